"""`fruits status --watch` on a terminal: one screen, drawn over in place, that fits itself to the window."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from scripts.accounting import Accounting
from scripts.screen import Screen
from scripts.wording import duration

# How often the screen is drawn anew, for the age of what it shows and a window that changed its size.
_A_SECOND = 2


class Watch:
    """What was seen last, for as long as a `with` of `watched` lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen = time.monotonic()
        self._trouble = ""
        self.last: Accounting | None = None

    def show(self, status: Accounting) -> None:
        """Show this from now on."""
        self.last, self._seen, self._trouble = status, time.monotonic(), ""

    def trouble(self, says: str) -> None:
        """Say that a look failed; what was seen before stays."""
        self._trouble = f"{says} "

    def drawn(self) -> Screen | str:
        """As of now, for the window as it is now."""
        foot = f"{self._trouble}Seen {duration(time.monotonic() - self._seen)} ago; Ctrl-C ends."
        return Screen(self.last, self._console.size.height, foot) if self.last else ""


@contextmanager
def watched() -> Iterator[Watch]:
    """A screen of its own; at the end, the terminal is as it was, and what was seen last stays on it."""
    console = Console()
    watch = Watch(console)
    try:
        with Live(get_renderable=watch.drawn, console=console, screen=True, refresh_per_second=_A_SECOND):
            yield watch
    finally:
        if watch.last:
            console.print(Screen(watch.last), end="", highlight=False)
