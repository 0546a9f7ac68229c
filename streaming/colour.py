"""Any colour model that a photograph comes in, to plain 8-bit RGB on a white ground."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP: Final = frozenset({"I;16", "I;16B", "I"})

MODES: Final = _DEEP | {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
"""The Pillow modes that `resizable` takes. Left out: floating point, LAB, and what no camera or editor writes."""


def resizable(image: Image.Image) -> Image.Image:
    """Bring a loaded image of one of `MODES` to L, RGB or RGBa, whose neighbouring pixels may be averaged.

    Palette indices and 1-bit dots cannot be averaged, and colour under a transparent pixel must not weigh in: RGBa
    holds colour already multiplied by alpha.

    Raises
    ------
    ValueError
        The image says that it has a palette, and has none.
    """
    if image.mode in _DEEP:
        return _eight_bits(image)
    if image.mode == "P" and image.palette is None:
        raise ValueError("the palette is missing")
    if image.has_transparency_data:
        return image.convert("RGBA").convert("RGBa")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def on_white(image: Image.Image) -> NDArray[np.uint8]:
    """Lay an L, RGB or RGBa image on white: uint8, shape (height, width, 3), C-contiguous."""
    layers: NDArray[np.uint8] = np.asarray(image.convert("RGB") if image.mode == "L" else image)
    if image.mode != "RGBa":
        return layers
    # Premultiplied colour is at most alpha, so the sum is at most 255: no overflow.
    return layers[..., :3] + (255 - layers[..., 3:])


def _eight_bits(image: Image.Image) -> Image.Image:
    """Keep the high byte of 16-bit grey, as Pillow does for 16-bit colour (its own conversion of grey clips to white).

    Mode I is 32 bits wide but by Pillow's custom carries 16-bit values; what lies outside is clipped.
    """
    values = np.asarray(image)
    if image.mode == "I":
        values = np.clip(values, 0, 65_535)
    return Image.fromarray((values >> 8).astype(np.uint8))
