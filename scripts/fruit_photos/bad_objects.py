"""What else lies in users' folders: files that no pipeline can turn into a picture, each named for what it is."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from scripts.fruit_photos.kinds import KINDS
from scripts.fruit_photos.photos import FruitPhoto, encode
from scripts.fruit_photos.scene import draw_scene

LABEL = "mixed"
_BOMB_SIDE = 60_000


def draw_bad_objects(seed: int) -> Iterator[FruitPhoto]:
    """Draw an empty file, text, a truncated JPEG, a damaged PNG, the start of a HEIC file, and a decompression bomb."""
    rng = np.random.default_rng((seed, 0xBAD))
    picture = Image.fromarray(draw_scene(KINDS["apple_red"], 160, 160, rng))
    jpeg, png = encode(picture, "jpeg", 90), encode(picture, "png", 90)
    damaged = bytearray(png)
    middle = len(png) // 2
    damaged[middle : middle + 64] = rng.bytes(64)
    yield FruitPhoto(LABEL, "empty.jpg", b"")
    yield FruitPhoto(LABEL, "text.jpg", b"Pommes : 3 kg, cueillies le matin.\n" * 20)
    yield FruitPhoto(LABEL, "truncated.jpg", jpeg[: int(len(jpeg) * rng.uniform(0.3, 0.8))])
    yield FruitPhoto(LABEL, "damaged.png", bytes(damaged))
    yield FruitPhoto(LABEL, "phone.heic", _heic_start() + rng.bytes(2000))
    yield FruitPhoto(LABEL, "bomb.png", _bomb())


def _heic_start() -> bytes:
    """The file type box with which every HEIC file begins."""
    brands = b"heic" + struct.pack(">I", 0) + b"mif1heic"
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands


def _bomb() -> bytes:
    """A small PNG whose header asks for 3.6 gigapixels, and whose rows are there to be inflated."""
    header = struct.pack(">IIBBBBB", _BOMB_SIDE, _BOMB_SIDE, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + _BOMB_SIDE) * 100, 9)
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(0, io.SEEK_END)
    for name, body in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")):
        file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return file.getvalue()
