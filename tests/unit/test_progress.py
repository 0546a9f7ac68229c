"""Progress on a terminal: it draws, it vanishes, and the cursor comes back; nowhere else is there any."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from scripts.entry import INTERRUPTED
from scripts.progress import pace

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
BAR = "bar('Picking', 40)"
SPINNER = "bar('Picking')"


def run(block: str, *, quiet: bool = False) -> tuple[int, str]:
    """Exit status, and what a terminal on stderr got; the block can say that it is `ready` for a signal."""
    code = f"""
import logging, os, signal, sys, time
from scripts.entry import main, _end, end_at_once
from scripts.progress import bar
logging.getLogger("scripts").setLevel(logging.{"ERROR" if quiet else "INFO"})
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, _end)
{block}
"""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment) as started:
        os.close(theirs)
        got = b""
        try:
            while piece := os.read(ours, 4096):
                got += piece
        except OSError:
            pass  # how a terminal ends on Linux
    os.close(ours)
    return started.returncode, got.decode()


def left(drawn: str) -> str:
    """What is on the last line once all is drawn."""
    return drawn.rpartition("\x1b[2K")[2].replace(SHOWN, "").strip()


@pytest.mark.parametrize(("what", "told"), [(BAR, "30/40"), (SPINNER, "30")])
def test_a_count_is_drawn_with_its_rate_and_vanishes(what: str, told: str) -> None:
    status, drawn = run(
        f"with {what} as shown:\n    for _ in shown.count(range(30)): time.sleep(0.02)\n    time.sleep(0.3)"
    )
    assert status == 0
    assert "Picking" in drawn
    assert told in drawn
    assert "/s" in drawn
    assert (" left" in drawn) == (what == BAR)
    assert drawn.rindex(SHOWN) > drawn.rindex(HIDDEN)
    assert left(drawn) == ""


def test_a_spinner_says_what_is_done_now_while_stderr_goes_elsewhere() -> None:
    block = """
with bar("Picking") as shown:
    kept = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    shown.says("Peeling")
    time.sleep(0.5)
    os.dup2(kept, 2)
print("done", file=sys.stderr)
"""
    _, drawn = run(block)
    assert "Peeling" in drawn
    assert left(drawn) == "done"


@pytest.mark.parametrize(
    ("speed", "told"), [(2260.4, "2,260"), (99.96, "100"), (99.94, "99.9"), (1.234, "1.23"), (0.05, "0.05")]
)
def test_a_rate_is_told_as_a_person_writes_it(speed: float, told: str) -> None:
    assert pace(speed) == told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_at_once_leaves_one_line_and_the_cursor(number: signal.Signals) -> None:
    signals = f"signal.signal({int(number)}, lambda number, _: end_at_once(2, number))"
    status, drawn = run(
        f"{signals}\nwith bar('Picking'):\n    time.sleep(0.3)\n    os.kill(os.getpid(), {int(number)})"
    )
    assert status == 128 + number
    assert drawn.endswith(f"\r\x1b[K{SHOWN}{INTERRUPTED}\r\n")


def test_an_interrupt_takes_the_bar_away() -> None:
    block = "with bar('Picking', 9) as shown:\n    for _ in shown.count(range(9)): os.kill(os.getpid(), signal.SIGINT)"
    _, drawn = run(
        f"try:\n    {block.replace(chr(10), chr(10) + '    ')}\nexcept KeyboardInterrupt: print('bye', file=sys.stderr)"
    )
    assert drawn.rindex(SHOWN) > drawn.rindex(HIDDEN)
    assert left(drawn) == "bye"


@pytest.mark.parametrize("what", [BAR, SPINNER])
def test_nothing_is_drawn_where_nobody_wants_it(what: str) -> None:
    block = f"with {what} as shown:\n    shown.advance(3); shown.says('Peeling'); shown.end()"
    assert run(block, quiet=True) == (0, "")
    piped = subprocess.run(
        [sys.executable, "-c", f"from scripts.progress import bar\n{block}"], capture_output=True, check=True
    )
    assert piped.stderr == b""
