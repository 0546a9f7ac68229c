"""How much a command says beside its result: `-q` errors alone, `-v` also what goes on within, with times."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from scripts.wording import printable

_LOGGERS = [logging.getLogger(package) for package in ("conf", "streaming", "batch", "scripts")]
_CHOSEN = f"{__name__}.chosen"


class _Say(logging.Handler):
    """Shows what our own modules tell, such as that a first preparation takes a while; Spark's words go to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        # A text with several lines, such as a key may be, is no other record.
        click.echo(printable(self.format(record), keep="\n").replace("\n", "\n    "), err=True)


_say = _Say()
_TIMED = logging.Formatter("%(asctime)s.%(msecs)03d %(name)s: %(message)s", "%H:%M:%S")


@contextmanager
def told() -> Iterator[None]:
    """Show within, on stderr, what our own modules tell a user."""
    _say.setFormatter(None)
    before = [logger.level for logger in _LOGGERS]
    for logger in _LOGGERS:
        logger.setLevel(logging.INFO)
        logger.addHandler(_say)
    try:
        yield
    finally:
        for logger, level in zip(_LOGGERS, before, strict=True):
            logger.removeHandler(_say)
            logger.setLevel(level)


def is_quiet() -> bool:
    """Whether errors and results alone are wanted."""
    return logging.getLogger(__name__).getEffectiveLevel() >= logging.ERROR


def is_watched() -> bool:
    """Whether a person watches stderr, and wants to."""
    return sys.stderr.isatty() and not is_quiet()


def with_volume(command: click.Command) -> click.Command:
    """Give a command, and all below it, `-q` and `-v`."""
    if not any(parameter.name == "quiet" for parameter in command.params):
        command.params += [
            click.Option(
                ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set, help="Say errors and results alone."
            ),
            click.Option(
                ["-v", "--verbose"],
                is_flag=True,
                expose_value=False,
                callback=_set,
                help="Say what goes on within, with times, and where Spark's log is.",
            ),
        ]
        for below in command.commands.values() if isinstance(command, click.Group) else ():
            with_volume(below)
    return command


def _set(ctx: click.Context, parameter: click.Parameter, given: bool) -> None:
    """Take one of the two, before the command's name or after it."""
    if not given:
        return
    if ctx.meta.setdefault(_CHOSEN, parameter.name) != parameter.name:
        raise click.UsageError("-q and -v exclude each other: give one.")
    quiet = parameter.name == "quiet"
    for logger in _LOGGERS:
        logger.setLevel(logging.ERROR if quiet else logging.DEBUG)
    if not quiet:
        _say.setFormatter(_TIMED)
