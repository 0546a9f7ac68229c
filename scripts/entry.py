"""Where `fruits` begins: before anything slow is imported, so that whatever ends it ends it in one line."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = "Interrupted."
GOES_ON = f"{INTERRUPTED} What was committed stays; run it again to go on."
_COMMITTING = {"demo", "drop", "stream", "refresh", "reprocess", "forget", "deploy", "undeploy"}
drawn_on: list[int] = []
"""Descriptors that progress is drawn on, by another thread."""
_STDERR = 2


def main() -> None:
    """Run the command. Exit status: 0 done, 1 failed, 2 misuse, 130 interrupted, 141 not read to its end, 143 ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    from scripts.fruits import fruits

    fruits()


def interrupted() -> str:
    """The one line of a command that was interrupted, by what it was doing."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return GOES_ON if command in _COMMITTING else INTERRUPTED


def end_at_once(stderr: int, number: int) -> None:
    """End this process now, in one line, as a signal of that number asks for."""
    for descriptor in drawn_on:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    # A progress bar has the line, and hides the cursor.
    shown = "\r\x1b[K\x1b[?25h" if os.isatty(stderr) else ""
    os.write(stderr, f"{shown}{interrupted()}\n".encode())
    os._exit(128 + number)


def _end(number: int, frame: FrameType | None) -> None:
    """Let what is under way leave things in order. A module that is imported has nothing to, and may not survive it."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            end_at_once(_STDERR, number)
        frame = frame.f_back
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
