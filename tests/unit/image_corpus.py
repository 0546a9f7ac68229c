"""Generated image files, good and bad, whose pixels are known without decoding them."""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Pixels = NDArray[np.uint8]


def scene(width: int = 32, height: int = 32) -> Pixels:
    """A smooth picture without any symmetry: red grows rightwards, green downwards, blue towards one corner."""
    across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)[:, None]
    red, green, blue = 40 + 200 * across + 0 * down, 20 + 150 * down**2 + 0 * across, 220 * across * (1 - down)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def file_of(pixels: Pixels | Image.Image, image_format: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def exif(turn: int) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = turn
    return tags.tobytes()


def stored(upright: Pixels, turn: int) -> Pixels:
    """Lay a picture out as a camera does that then writes this orientation (EXIF 2.32, 4.6.4 A)."""
    turned = upright.swapaxes(0, 1)
    layouts = {
        1: upright,
        2: upright[:, ::-1],  # row 0 is the top, column 0 the right-hand side
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: turned,  # left, top
        6: turned[::-1],  # right, top
        7: turned[::-1, ::-1],  # right, bottom
        8: turned[:, ::-1],  # left, bottom
    }
    return np.ascontiguousarray(layouts[turn])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: Iterable[bytes], *before: bytes) -> bytes:
    """A PNG made by hand: raw rows, and any further chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels + chunk(b"IEND", b"")


def tiff_directory_first(grey: Pixels) -> bytes:
    """A compressed TIFF made by hand (PackBits, literal runs only) whose directory comes before its pixels."""
    height, width = grey.shape
    strip = b"".join(bytes([width - 1]) + row.tobytes() for row in grey)
    # Width, height, bits, compression, photometric, strip offset, rows a strip, strip length; in order of their tags.
    values = {
        256: width,
        257: height,
        258: 8,
        259: 32773,
        262: 1,
        273: 8 + 2 + 8 * 12 + 4,
        278: height,
        279: len(strip),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4) + strip


def jpeg_with_header(jpeg: bytes, *, bits: int = 8, height: int, width: int) -> bytes:
    """Rewrite what the frame header of a baseline JPEG says, and leave the pixels as they were."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 4] + struct.pack(">BHH", bits, height, width) + jpeg[at + 9 :]


def tent_resize(pixels: Pixels, side: int) -> NDArray[np.float64]:
    """Bilinear resizing with antialiasing, from its definition: a tent as wide as an output pixel, in exact numbers."""

    def weights(length: int) -> NDArray[np.float64]:
        scale = length / side
        centres = (np.arange(side)[:, None] + 0.5) * scale
        distance = np.abs(np.arange(length) + 0.5 - centres) / max(scale, 1.0)
        tent: NDArray[np.float64] = np.clip(1 - distance, 0, None)
        tent /= tent.sum(axis=1, keepdims=True)
        return tent

    height, width = pixels.shape[:2]
    resized: NDArray[np.float64] = np.einsum("yh,xw,hwc->yxc", weights(height), weights(width), pixels, optimize=True)
    return resized


def small_files() -> dict[str, bytes]:
    """One small file of each format and of each way to store it that takes another path through a decoder."""
    pixels = scene(24, 20)
    grain = np.random.default_rng(7).integers(0, 40, pixels.shape, dtype=np.uint8)
    textured = pixels // 2 + grain  # so that a file has enough bytes to cut
    clear = np.dstack([textured, np.full(textured.shape[:2], 99, np.uint8)])
    palette = Image.fromarray(textured).quantize(32)
    return {
        "JPEG": file_of(textured, "JPEG", quality=90),
        "JPEG progressive": file_of(textured, "JPEG", quality=90, progressive=True),
        "JPEG with EXIF": file_of(textured, "JPEG", exif=exif(6)),
        "PNG": file_of(textured, "PNG", exif=exif(3)),
        "PNG with alpha": file_of(clear, "PNG"),
        "PNG with palette": file_of(palette, "PNG", transparency=3),
        "GIF": file_of(palette, "GIF", transparency=3),
        "WEBP": file_of(textured, "WEBP", exif=exif(8)),
        "WEBP lossless": file_of(clear, "WEBP", lossless=True),
        "AVIF": file_of(textured, "AVIF", speed=10),
        "BMP": file_of(textured, "BMP"),
        "TIFF": file_of(textured, "TIFF"),
        "TIFF directory first": tiff_directory_first(textured[..., 0]),
        "TIFF deflate": file_of(textured, "TIFF", compression="tiff_adobe_deflate"),
    }
