"""Every example that the help of a command gives, run: in one store, as its reader would, in a shell.

Those that end by themselves and need no shell run in this process, where they share one session of Spark. What an
example names (files, a moment) is made for it; what can be seen of it afterwards (exit status, files that it names) is
looked at.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scripts.embedded_s3 import ServerInfo
from scripts.fruit_photos import draw_photos
from scripts.fruits import fruits
from scripts.reference import entries
from streaming.weights import wheel_weights
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BIN = Path(sys.executable).parent
EXAMPLES = list(dict.fromkeys(example.split("  #")[0].rstrip() for entry in entries() for example in entry.examples))
PREPARES = EXAMPLES[: len(entries()[0].examples)]
"""What `fruits --help` begins with makes the store in which all others run."""
NEEDS_SHELL = re.compile(r"[|>$;&]|^(?!fruits )|^fruits (local|doctor)")
"""Examples for a shell to take apart, and those that start a process of their own, or leave one behind."""
STAYS_UP = {
    r"fruits stream(?!.*--once)": ("Watching ", signal.SIGTERM),
    r"--watch": ("landing zone", signal.SIGINT),
    r"--every": ("PCA version", signal.SIGINT),
}
"""Examples that run until they are told to end: what they say once they are up, and how they are ended."""
MOMENT = "2026-05-04T10:00"
"""A moment that an example names. Here it stands for now."""
CANNOT_RUN_HERE = dict.fromkeys(
    ("fruits doctor --profile aws", "fruits doctor --profile aws --json"), "Setting storage.bucket: Field required."
)
"""Examples that need an account of AWS's: the one message that they end in."""
MAY_END_WITH_1 = {"fruits status --check"}
"""Examples whose exit status tells of the store: photographs wait in this one."""
UNDONE_BY = {"fruits reprocess --model --set model.weights=retrained.pt": "fruits reprocess --model"}
"""Examples that leave a wish behind which the others must not meet."""
MADE = re.compile(r"\.(npz|parquet|csv|records|html|svg|pdf|png)$|^pca-3/$")


@dataclass
class Shell:
    """A folder with all that the examples name, and what was run in it before."""

    folder: Path
    ran: dict[str, tuple[int, str]] = field(default_factory=dict)

    def run(self, line: str) -> tuple[int, str]:
        """Exit status and stderr of a line, which is run once."""
        if line not in self.ran:
            self.ran[line] = (self._in_bash if NEEDS_SHELL.search(line) else self._in_process)(line)
        return self.ran[line]

    def start(self, line: str, out: Path) -> "subprocess.Popen[bytes]":
        """A command that stays up, with all that it says in a file."""
        with out.open("wb") as file:
            return subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.folder,
                env=environment(),
                stdout=file,
                stderr=file,
            )

    def _in_bash(self, line: str) -> tuple[int, str]:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        return ran.returncode, ran.stderr

    def _in_process(self, line: str) -> tuple[int, str]:
        handlers = {end: signal.getsignal(end) for end in (signal.SIGINT, signal.SIGTERM)}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            # The session is the tests' own.
            patch.setattr("conf.spark.stop", lambda _: None)
            try:
                ran = CliRunner().invoke(fruits, shlex.split(line)[1:])
            finally:
                for end, handler in handlers.items():
                    signal.signal(end, handler)
        return ran.exit_code, ran.stderr + ("" if ran.exit_code in (0, 1) else repr(ran.exception))


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FRUITS_"))}
    # No question to a server of metadata that is not here.
    return kept | {"PATH": f"{BIN}:{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def shell(server: ServerInfo, spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("examples")
    for number, photo in enumerate(draw_photos(24, seed=11)):
        place = folder / "photos" / ("pear", "apple")[number % 2] / f"{number // 2}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photo.data)
    for name in ("one.jpg", "two.jpg"):
        shutil.copy(folder / "photos/pear/3.jpg", folder / name)
    (folder / "report.sql").write_text("SELECT label, count(*) AS photographs FROM features GROUP BY label\n")
    (folder / "retrained.pt").write_bytes(wheel_weights().read_bytes() + b"retrained")
    (folder / ".fruits").mkdir()
    (folder / ".fruits" / "s3").symlink_to(server.root)
    shell = Shell(folder)
    for line in PREPARES:
        status, said = shell.run(line)
        assert status == 0, f"{line}: {said}"
    return shell


def stays_up(line: str) -> tuple[str, signal.Signals] | None:
    return next((how for pattern, how in STAYS_UP.items() if re.search(pattern, line)), None)


@pytest.mark.parametrize("line", [line for line in EXAMPLES if "fruits local" not in line and not stays_up(line)])
def test_an_example_runs(shell: Shell, line: str) -> None:
    words = [word.strip(">") for word in shlex.split(line)]
    given = {path for path in words if (shell.folder / path).exists() and not MADE.search(path)}
    status, said = shell.run(line.replace(MOMENT, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"))
    if line in UNDONE_BY:
        assert shell.run(UNDONE_BY[line])[0] == 0
    assert "Traceback" not in said
    if line in CANNOT_RUN_HERE:
        assert (status, said.startswith(f"Error: {CANNOT_RUN_HERE[line]}"), said.count("Error")) == (1, True, 1), said
        return
    assert (status - (line in MAY_END_WITH_1 and status == 1), "Error" in said) == (0, False), said
    assert [word for word in words if MADE.search(word) and not (shell.folder / word).exists()] == []
    assert all((shell.folder / path).exists() for path in given)


@pytest.mark.parametrize("line", [line for line in EXAMPLES if stays_up(line)])
def test_an_example_that_stays_up_ends_when_it_is_told(shell: Shell, tmp_path: Path, line: str) -> None:
    how = stays_up(line)
    assert how
    out = tmp_path / "out"
    with shell.start(line, out) as started:
        try:
            wait_until(lambda: started.poll() is not None or how[0] in out.read_text(), 300)
            assert started.poll() is None, out.read_text()
            started.send_signal(how[1])
            assert started.wait(60) in (0, 128 + how[1]), out.read_text()
        finally:
            started.kill()
    assert "Traceback" not in out.read_text()


def test_examples_of_the_embedded_s3_run(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    lines = [line for line in EXAMPLES if "fruits local" in line]
    try:
        for line in sorted(lines, key=lambda line: (" up" not in line, " down" in line)):
            status, said = shell.run(line)
            assert status == 0, f"{line}: {said}"
        assert len(lines) >= 4
    finally:
        shell._in_bash("fruits local down")


@pytest.mark.parametrize("exception", [*CANNOT_RUN_HERE, *UNDONE_BY, MOMENT, *STAYS_UP])
def test_an_exception_is_made_for_an_example_that_is_there(exception: str) -> None:
    assert any(exception in line or re.search(exception, line) for line in EXAMPLES)
