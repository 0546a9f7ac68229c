"""How much a command says: results alone with -q, what goes on within with -v; and its end where nobody reads on."""

import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from conf.errors import DataError
from scripts.entry import GOES_ON, INTERRUPTED, interrupted
from scripts.fruits import fruits
from scripts.reference import Entry, entries
from scripts.session import say


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`fruits config`, telling something of every kind."""

    def load(*_: object) -> None:
        logging.getLogger("batch.refresh").debug("a detail")
        logging.getLogger("streaming.sink").info("news")
        say("a word")
        logging.getLogger("conf.lease").warning("a warning")
        logging.getLogger("conf.s3").error("an error")
        raise click.ClickException("the end")

    monkeypatch.setattr("scripts.config.load", load)
    return ["config"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ["news", "a word", "a warning", "an error"]),
        (["-q"], ["an error"]),
        (["--quiet"], ["an error"]),
        (["-v"], ["a detail", "news", "a word", "a warning", "an error"]),
        (["--verbose"], ["a detail", "news", "a word", "a warning", "an error"]),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_quiet_leaves_errors_and_verbose_adds_what_goes_on_within(
    talkative: list[str], words: list[str], told: list[str], before: bool
) -> None:
    said = CliRunner().invoke(fruits, [*words, *talkative] if before else [*talkative, *words])
    lines = said.stderr.splitlines()
    assert (said.exit_code, said.stdout, lines.pop()) == (1, "", "Error: the end")
    time = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} [\w.]+: ")
    assert [time.sub("", line) for line in lines] == told
    assert sum(bool(time.match(line)) for line in lines) == (4 if "a detail" in told else 0)


def test_what_others_chose_is_letters_in_a_log_and_no_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "\x1b[2Jpear\nAll is well.\u202e"

    def load(*_: object) -> None:
        logging.getLogger("streaming.sink").warning("It is about %s.", hostile)
        raise DataError(f"It is about {hostile}.")

    monkeypatch.setattr("scripts.config.load", load)
    said = CliRunner().invoke(fruits, ["config"]).stderr
    assert said.splitlines()[:2] == [r"It is about \x1b[2Jpear", r"    All is well.\u202e."]
    assert all(line.isprintable() for line in said.splitlines())


def test_a_command_leaves_the_loggers_as_they_were(talkative: list[str]) -> None:
    loggers = [logging.getLogger(name) for name in ("conf", "streaming", "batch", "scripts")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    CliRunner().invoke(fruits, ["-q", *talkative])
    assert [(logger.level, logger.handlers) for logger in loggers] == before


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_command_takes_both(entry: Entry) -> None:
    said = CliRunner().invoke(fruits, [*entry.name.split()[1:], "--help"])
    assert re.search(r"-q, --quiet +Say", said.output)
    assert re.search(r"-v, --verbose +Say", said.output)


@pytest.mark.parametrize("words", [["-q", "config", "-v"], ["config", "-v", "-q"], ["-v", "-q", "config"]])
def test_quiet_and_verbose_are_misuse(words: list[str]) -> None:
    said = CliRunner().invoke(fruits, words)
    assert (said.exit_code, "-q and -v exclude each other: give one." in said.output) == (2, True)


@pytest.mark.parametrize(
    "result", ["click.echo('x\\n' * 99_999)", "Console().print('x\\n' * 99_999)", "click.echo('x')"]
)
def test_a_reader_who_has_read_enough_is_no_error(result: str) -> None:
    code = (
        "import sys, click\nfrom scripts import config\nfrom scripts.console import Console\n"
        "from scripts.entry import main\n"
        f"config.command.callback = lambda **_: {result}\n"
        "sys.argv = ['fruits', 'config']; sys.stdin.readline(); main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        assert started.stdin
        assert started.stdout
        assert started.stderr
        started.stdout.close()
        started.stdin.write(b"\n")
        started.stdin.close()
        assert started.stderr.read() == b""
    assert started.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize(
    ("words", "told"),
    [(["query", "stream"], INTERRUPTED), (["-q", "stream"], GOES_ON), (["drop", "photos"], GOES_ON), ([], INTERRUPTED)],
)
def test_only_a_command_that_commits_says_that_it_goes_on(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["fruits", *words])
    assert interrupted() == told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["click", "scripts.fruits", "pydantic", "scripts.config", "json.decoder"])
def test_whatever_is_imported_when_it_is_interrupted_it_ends_in_one_line(
    module: str, number: int, tmp_path: Path
) -> None:
    """A module takes the place of one that a command imports, and sends the signal from within."""
    code = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), {int(number)}); sum(range(999_999))\n"
        "from scripts.entry import main\n"
        f"sys.modules.pop({module!r}, None); sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['fruits', 'config', '--json']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (128 + number, f"{INTERRUPTED}\n")
