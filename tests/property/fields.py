"""Header fields at every limit."""

import itertools
import struct
from collections.abc import Iterator

from tests.property.containers import bmp_of, tiff_of
from tests.property.objects import CANARY, SMALL, Hostile
from tests.unit.image_corpus import chunk

_BYTES = (0, 1, 2, 3, 7, 9, 15, 17, 31, 33, 63, 127, 128, 255)
_WORDS = (0, 1, 2, 3, 4, 5, 16, 32, 64, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
_TIFF_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 324, 338, 339, 347, 530, 532)
_TIFF_VALUES = ((3, 0), (3, 2), (3, 6), (3, 65_535), (4, 2**32 - 1), (9, 2**32 - 1), (12, None), (2, None), (7, None))


def absurd_fields() -> Iterator[Hostile]:
    """Every small field of a header, with every value that is a limit of something."""
    for name, data in (*_bmp(), *_png(), *_jpeg(), *_tiff(), *_others()):
        yield Hostile(name, data, "either")


def _bmp() -> Iterator[tuple[str, bytes]]:
    bmp = bmp_of(9, 9, bytes(400))
    for at, value in itertools.product((2, 10, 14, 18, 22, 26, 28, 30, 34, 38, 46, 50), _WORDS):
        yield f"BMP with {value} at {at}", bmp[:at] + struct.pack("<I", value) + bmp[at + 4 :]


def _png() -> Iterator[tuple[str, bytes]]:
    png = SMALL["PNG"]
    for at, value in itertools.product((8, 9, 10, 11, 12), _BYTES):  # depth, colour, and three kinds of method
        header = png[16:29]
        lying = chunk(b"IHDR", header[:at] + bytes([value]) + header[at + 1 :])
        yield f"PNG with {value} at {at} of its header", png[:8] + lying + png[33:]


def _jpeg() -> Iterator[tuple[str, bytes]]:
    jpeg = SMALL["JPEG"]
    frame = jpeg.index(b"\xff\xc0")
    for marker in range(0xC0, 0xD0):  # sequential, progressive, lossless, hierarchical, arithmetic-coded, tables
        yield f"JPEG of frame {marker:x}", jpeg[: frame + 1] + bytes([marker]) + jpeg[frame + 2 :]
    for at, value in itertools.product(range(frame + 3, frame + 14), _BYTES):
        yield f"JPEG with {value} at {at - frame} of its frame", jpeg[:at] + bytes([value]) + jpeg[at + 1 :]


def _tiff() -> Iterator[tuple[str, bytes]]:
    for tag, (kind, value) in itertools.product(_TIFF_TAGS, _TIFF_VALUES):
        entry = (tag, kind, 9 if value is None else 1, value)
        yield f"TIFF with {value} of type {kind} in tag {tag}", tiff_of(9, 9, CANARY * 9, entry)


def _others() -> Iterator[tuple[str, bytes]]:
    for name in ("GIF", "WEBP", "WEBP lossless", "AVIF"):
        data = SMALL[name]
        for at, value in itertools.product(range(4, min(len(data), 60)), (0, 1, 127, 255)):
            yield f"{name} with {value} at {at}", data[:at] + bytes([value]) + data[at + 1 :]
