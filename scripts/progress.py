"""Progress on stderr: a bar or a spinner on a terminal, nothing in a pipe or with `-q`."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from scripts.entry import drawn_on
from scripts.volume import is_watched

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

T = TypeVar("T")


class Bar:
    """What is being done, and a count that grows towards a total, known or not."""

    def __init__(self, progress: "Progress | None", title: str, total: int | None) -> None:
        self._progress = progress
        if progress:
            self._task = progress.add_task(title, total=total)

    def advance(self, count: int) -> None:
        """Count some more as done."""
        if self._progress:
            self._progress.advance(self._task, count)

    def count(self, items: Iterable[T]) -> Iterator[T]:
        """Items as they are, each counted once the next is asked for."""
        for item in items:
            yield item
            self.advance(1)

    def says(self, title: str) -> None:
        """Tell what is being done now."""
        if self._progress:
            self._progress.update(self._task, description=title)

    def end(self) -> None:
        """Vanish before the block's end."""
        if self._progress:
            self._progress.stop()


@contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Bar]:
    """A bar while the block runs, with rate and remaining time; a spinner with elapsed time where no total is known.

    It draws on a descriptor of its own: while Spark starts, stderr is the JVM's log.
    """
    if not is_watched():
        yield Bar(None, title, total)
        return
    from rich.console import Console
    from rich.progress import Progress

    with (
        os.fdopen(os.dup(2), "w") as stderr,
        Progress(*_columns(total), console=Console(file=stderr), transient=True) as progress,
    ):
        drawn_on.append(stderr.fileno())
        try:
            yield Bar(progress, title, total)
        finally:
            drawn_on.remove(stderr.fileno())


def pace(speed: float) -> str:
    """A rate in three figures, or all of a larger one's whole."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"


def _columns(total: int | None) -> "tuple[ProgressColumn, ...]":
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.text import Text

    class Pace(ProgressColumn):
        """How many a second, and for how long yet; without a total, how many, and for how long now."""

        def render(self, task: Task) -> Text:
            count = f"{task.completed:,.0f}" if task.completed and task.total is None else ""
            rate = f"{pace(task.speed)}/s" if task.speed else ""
            if task.total is None:
                time = f"{task.elapsed or 0:.0f} s"
            else:
                time = "" if task.time_remaining is None else f"{timedelta(seconds=int(task.time_remaining))} left"
            return Text("  ".join(filter(None, (count, rate, time))), "progress.remaining")

    counted = () if total is None else (BarColumn(), MofNCompleteColumn())
    return SpinnerColumn(), TextColumn("{task.description}"), *counted, Pace()
