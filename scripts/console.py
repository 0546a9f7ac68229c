"""Where results are printed for people."""

import rich.console


class Console(rich.console.Console):
    """Rich's, but that a reader who has gone (`fruits status | head -1`) is the command's to see."""

    def on_broken_pipe(self) -> None:
        """Raise what Rich has just caught."""
        raise BrokenPipeError
