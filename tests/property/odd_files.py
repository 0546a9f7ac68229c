"""Ways to store a photograph that are valid and odd, some of them written by hand."""

import itertools
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.property.containers import bmp_of, png_of, tiff_of
from tests.unit.image_corpus import Pixels, chunk, exif, file_of, png, stored

Odd = Callable[[Pixels], tuple[bytes, Pixels]]
"""Writes a picture in an odd way; gives the file, and what should be seen."""


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _threefold(grey: Pixels) -> Pixels:
    return np.dstack([grey] * 3)


def _on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[..., None] / 255
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


def sixteen_bit_grey(pixels: Pixels) -> tuple[bytes, Pixels]:
    grey = _grey(pixels)
    return file_of(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"), _threefold(grey)


def sixteen_bit_grey_tiff(pixels: Pixels) -> tuple[bytes, Pixels]:
    grey = _grey(pixels)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    return file_of(deep, "TIFF", compression="tiff_adobe_deflate"), _threefold(grey)


def sixteen_bit_colour(pixels: Pixels) -> tuple[bytes, Pixels]:
    height, width, _ = pixels.shape
    rows = [(row.astype(np.uint16) * 257).astype(">u2").tobytes() for row in pixels]
    return png(width, height, 16, 2, rows), pixels


def few_bits(bits: int) -> Odd:
    def write(pixels: Pixels) -> tuple[bytes, Pixels]:
        levels = _grey(pixels) // 2 ** (8 - bits)
        unpacked = np.unpackbits(levels.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :]
        rows = [np.packbits(row.ravel()).tobytes() for row in unpacked]
        height, width, _ = pixels.shape
        return png(width, height, bits, 0, rows), _threefold(levels * (255 // (2**bits - 1)))

    return write


def fax(pixels: Pixels) -> tuple[bytes, Pixels]:
    dots = Image.fromarray(_grey(pixels) > 90)
    return file_of(dots, "TIFF", compression="group4"), np.asarray(dots.convert("RGB"))


def interlaced(pixels: Pixels) -> tuple[bytes, Pixels]:
    """Adam7: seven pictures, each a grid of the whole."""
    passes = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
    grids = [pixels[top::down, left::across] for top, down, left, across in passes]
    rows = (b"\0" + row.tobytes() for grid in grids if grid.size for row in grid)
    height, width, _ = pixels.shape
    return png_of(width, height, chunk(b"IDAT", zlib.compress(b"".join(rows))), interlace=1), pixels


def palette_with_alpha(pixels: Pixels) -> tuple[bytes, Pixels]:
    image = Image.fromarray(pixels).quantize(16)
    alphas = np.linspace(0, 255, 16).astype(np.uint8)
    alpha = alphas[np.asarray(image)]
    return file_of(image, "PNG", transparency=alphas.tobytes()), _on_white(np.asarray(image.convert("RGB")), alpha)


def progressive(pixels: Pixels) -> tuple[bytes, Pixels]:
    return file_of(pixels, "JPEG", quality=99, subsampling=0, progressive=True), pixels


def cmyk(pixels: Pixels) -> tuple[bytes, Pixels]:
    inks = Image.merge("CMYK", [*Image.fromarray(255 - pixels).split(), Image.new("L", pixels.shape[1::-1])])
    return file_of(inks, "JPEG", quality=99, subsampling=0), pixels


def first_page(pixels: Pixels) -> tuple[bytes, Pixels]:
    others = [Image.new("RGB", (5, 9), colour) for colour in ("red", "blue")]
    return file_of(pixels, "TIFF", save_all=True, append_images=others), pixels


def first_frame(image_format: str) -> Odd:
    def write(pixels: Pixels) -> tuple[bytes, Pixels]:
        others = [Image.new("RGB", pixels.shape[1::-1], colour) for colour in ("red", "blue")]
        return file_of(pixels, image_format, save_all=True, append_images=others, lossless=True), pixels

    return write


def turned(image_format: str, turn: int) -> Odd:
    def write(pixels: Pixels) -> tuple[bytes, Pixels]:
        return file_of(stored(pixels, turn), image_format, exif=exif(turn), lossless=True), pixels

    return write


def tiled(pixels: Pixels) -> tuple[bytes, Pixels]:
    """A TIFF in tiles of 16 by 16, the last of them not full."""
    grey = _grey(pixels)
    height, width = grey.shape
    padded = np.pad(grey, ((0, -height % 16), (0, -width % 16)))
    corners = itertools.product(range(0, height, 16), range(0, width, 16))
    tiles = [padded[top : top + 16, left : left + 16].tobytes() for top, left in corners]
    count, start = len(tiles), 8 + 2 + 12 * 10 + 4
    offsets = [start + 8 * count + 256 * n for n in range(count)]
    data = struct.pack(f"<{2 * count}I", *offsets, *[256] * count) + b"".join(tiles)
    if count == 1:  # then they lie in the directory itself
        places = (324, 4, 1, start + 8), (325, 4, 1, 256)
    else:
        places = (324, 4, count, start), (325, 4, count, start + 4 * count)
    sides = (322, 3, 1, 16), (323, 3, 1, 16)
    return tiff_of(width, height, data, *sides, *places, without=(273, 278, 279)), _threefold(grey)


def bottom_up(pixels: Pixels) -> tuple[bytes, Pixels]:
    height, width, _ = pixels.shape
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-row.size % 4) for row in pixels[::-1])
    return bmp_of(width, height, rows), pixels


def top_down(pixels: Pixels) -> tuple[bytes, Pixels]:
    height, width, _ = pixels.shape
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-row.size % 4) for row in pixels)
    return bmp_of(width, -height, rows), pixels


ODD: dict[str, tuple[Odd, int]] = {
    "16-bit grey": (sixteen_bit_grey, 0),
    "16-bit grey TIFF": (sixteen_bit_grey_tiff, 0),
    "16-bit colour": (sixteen_bit_colour, 0),
    "1-bit": (few_bits(1), 0),
    "2-bit": (few_bits(2), 0),
    "4-bit": (few_bits(4), 0),
    "fax": (fax, 0),
    "interlaced": (interlaced, 0),
    "palette with alpha": (palette_with_alpha, 3),
    "progressive": (progressive, 6),
    "CMYK": (cmyk, 6),
    "first page of a TIFF": (first_page, 0),
    "first frame of a WebP": (first_frame("WEBP"), 0),
    "first frame of a PNG": (first_frame("PNG"), 0),
    **{f"PNG turned {turn}": (turned("PNG", turn), 2) for turn in range(2, 9)},
    **{f"WebP turned {turn}": (turned("WEBP", turn), 2) for turn in range(2, 9)},
    **{f"TIFF turned {turn}": (turned("TIFF", turn), 2) for turn in range(2, 9)},
    "TIFF in tiles": (tiled, 0),
    "BMP from the bottom": (bottom_up, 0),
    "BMP from the top": (top_down, 0),
}
"""Each odd way, and by how many grey levels what is seen may differ: rounding, and what JPEG loses."""
