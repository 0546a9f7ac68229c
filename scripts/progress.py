"""Progress on stderr: a bar on a terminal, nothing in a pipe."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from scripts.session import is_terminal

T = TypeVar("T")


class Bar:
    """A count that grows towards a total, known or not."""

    def __init__(self, progress: Progress, title: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def advance(self, count: int) -> None:
        """Count some more as done."""
        self._progress.advance(self._task, count)


@contextmanager
def bar(title: str, total: int | None = None, *, hidden: bool = False) -> Iterator[Bar]:
    """A bar while the block runs, a spinner where the total is not known; silent where stderr is no terminal."""
    known = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    unknown = (SpinnerColumn(), TextColumn("{task.completed}"))
    columns = unknown if total is None else known
    with Progress(
        TextColumn("{task.description}"),
        *columns,
        console=Console(stderr=True),
        disable=hidden or not is_terminal(),
        transient=True,
    ) as progress:
        yield Bar(progress, title, total)


def track(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Items as they are, with a bar of how many have passed."""
    with bar(title, total) as shown:
        for item in items:
            yield item
            shown.advance(1)
