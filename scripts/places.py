"""Where a command writes a file of the user's: told at once if it cannot, and there only when it is whole."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from conf.errors import SettingsError

F = TypeVar("F", bound=str)


def check_place(place: Path, example: str) -> None:
    """Make sure that a file can be at a place.

    Raises
    ------
    click.UsageError
        Where stdout may be meant.
    SettingsError
        Where it is a folder, or its folder is not there.
    """
    if str(place) == "-":
        raise click.UsageError(f"This goes into a file, not to stdout: name one, such as {example}.")
    if place.is_dir():
        raise SettingsError(f"{place} is a folder: name a file in it, such as {place / example}.")
    if not place.absolute().parent.is_dir():
        raise SettingsError(f"There is no folder {place.parent}: make it, or name another place on this machine.")


def form_of(place: Path, asked: F | None, forms: Sequence[F]) -> F:
    """The format asked for, or else that in which the file's name ends.

    Raises
    ------
    click.UsageError
        Where neither tells.
    """
    found = asked or next((form for form in forms if place.suffix == f".{form}"), None)
    if found is None:
        raise click.UsageError(f"{place.name!r} tells no format: end it in .{', .'.join(forms)}, or give --format.")
    return found


@contextmanager
def appearing(place: Path) -> Iterator[Path]:
    """A path beside the place to write to, which takes the place at the end; what fails leaves what was there."""
    part = place.absolute().with_name(f"{place.name}.part")
    _remove(part)  # of one that was killed
    try:
        yield part
        part.replace(place)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
