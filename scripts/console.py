"""Where results are printed for people."""

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from scripts.wording import printable


class Console(rich.console.Console):
    """Rich's, but that a reader who has gone (`fruits status | head -1`) is the command's to see.

    And that no text, such as a key that somebody else chose, moves the cursor, or hides or turns what is beside it.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What Rich would print, with codes in the place of what is no letter."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text, keep="\n")
            yield segment if text == segment.text else Segment(text, segment.style)

    def on_broken_pipe(self) -> None:
        """Raise what Rich has just caught."""
        raise BrokenPipeError
