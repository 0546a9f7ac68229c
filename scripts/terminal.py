"""Small pictures in a terminal: two pixels a character, one in its own colour and one in its ground's."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from rich.columns import Columns
from rich.console import Console, Group
from rich.style import Style
from rich.text import Text

_COLUMNS, _LINES = 14, 7
_UPPER_HALF = "▀"


def shows_pictures(console: Console) -> bool:
    """Whether it is a terminal with sixteen million colours: those with 256 make mud of a photograph."""
    return console.is_terminal and console.color_system == "truecolor"


def cards(pictures: Sequence[bytes | None], captions: Sequence[str]) -> Columns:
    """Pictures side by side, as many as a line holds, each with a line below it."""
    both = zip(pictures, captions, strict=True)
    return Columns([Group(_drawn(data), _cut(caption)) for data, caption in both], padding=(1, 1))


def _drawn(data: bytes | None) -> Text:
    if data is None:
        gone = "\n" * (_LINES // 2) + "gone".center(_COLUMNS)
        return Text(gone + "\n" * (_LINES - 1 - gone.count("\n")), style="dim")
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((_COLUMNS, 2 * _LINES))
    square = Image.new("RGB", (_COLUMNS, 2 * _LINES))
    square.paste(image, ((_COLUMNS - image.width) // 2, (2 * _LINES - image.height) // 2))
    pixels = np.asarray(square)
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (Style(color=_colour(above), bgcolor=_colour(below)) for above, below in zip(upper, lower, strict=True))
        lines.append(Text.assemble(*((_UPPER_HALF, style) for style in cells)))
    return Text("\n").join(lines)


def _colour(pixel: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)


def _cut(caption: str) -> Text:
    cut = Text(caption, no_wrap=True)
    cut.truncate(_COLUMNS, overflow="ellipsis", pad=True)
    return cut
