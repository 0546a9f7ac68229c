"""Image containers written by hand, field by field, so that any field can lie."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.unit.image_corpus import chunk, file_of, scene

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_of(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def in_jpeg(jpeg: bytes, *segments: bytes) -> bytes:
    """Put segments right behind the start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def gif_of(width: int, height: int, *blocks: bytes, frame: bytes = b"") -> bytes:
    """A GIF of two colours: a screen, any blocks, and a frame, which fills the screen unless given."""
    screen = struct.pack("<6sHHBBB6s", b"GIF89a", width, height, 0x80, 0, 0, b"\0\0\0\xff\0\0")
    return screen + b"".join(blocks) + (frame or gif_frame(0, 0, width, height)) + b";"


def gif_frame(left: int, top: int, width: int, height: int, pixels: bytes = b"") -> bytes:
    """A frame with compressed pixels, black unless given; no more than 10,000 of these."""
    zeros = pixels or lzw([4, 0, 0] * (min(width * height, 10_000) // 2 + 1) + [5])
    return struct.pack("<cHHHHB", b",", left, top, width, height, 0) + zeros


def lzw(codes: Sequence[int]) -> bytes:
    """Codes of three bits: 0 to 3 are colours, 4 starts anew (in time, before codes grow longer), 5 ends."""
    bits = np.unpackbits(np.array(codes, np.uint8)[:, None], axis=1, count=3, bitorder="little")
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    blocks = (packed[at : at + 255] for at in range(0, len(packed), 255))
    return b"\2" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def bmp_of(
    width: int, height: int, pixels: bytes, *, bits: int = 24, compression: int = 0, colours: int = 0, header: int = 40
) -> bytes:
    """A BMP with a grey palette where `bits` asks for one. Sides may be negative, and wrap."""
    sides = struct.pack("<II", width % 2**32, height % 2**32)
    info = struct.pack("<I", header) + sides + struct.pack("<HHIIIIII", 1, bits, compression, 0, 0, 0, colours, 0)
    palette = b"".join(bytes([value, value // 2, 99, 0]) for value in range(1 << bits)) if bits <= 8 else b""
    start = 14 + len(info) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + info + palette + pixels


TiffEntry = tuple[int, int, int, int | None]
"""Tag, type, count, and value; None stands for the offset of the data behind the directory."""


def tiff_directory(entries: Sequence[TiffEntry], data: bytes = b"", *, following: int = 0, order: str = "<") -> bytes:
    start = 8 + 2 + 12 * len(entries) + 4
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    fields = b"".join(_tiff_entry(*entry, start, order) for entry in entries)
    return head + fields + struct.pack(order + "I", following) + data


def _tiff_entry(tag: int, kind: int, count: int, value: int | None, start: int, order: str) -> bytes:
    if kind == 3 and value is not None:  # a short lies in the first two of the four bytes, whatever the byte order
        return struct.pack(order + "HHIHH", tag, kind, count, value, 0)
    return struct.pack(order + "HHII", tag, kind, count, start if value is None else value)


def tiff_of(width: int, height: int, data: bytes, *changes: TiffEntry, without: Sequence[int] = ()) -> bytes:
    """A grey 8-bit TIFF of one strip, `data`, with entries changed, added and left out."""
    entries: dict[int, TiffEntry] = {
        256: (256, 4, 1, width),
        257: (257, 4, 1, height),
        258: (258, 3, 1, 8),
        259: (259, 3, 1, 1),
        262: (262, 3, 1, 1),
        273: (273, 4, 1, None),
        277: (277, 3, 1, 1),
        278: (278, 4, 1, height),
        279: (279, 4, 1, len(data)),
    }
    entries |= {entry[0]: entry for entry in changes}
    return tiff_directory([entries[tag] for tag in sorted(entries) if tag not in without], data)


def exif_of(*entries: TiffEntry, data: bytes = b"", following: int = 0, order: str = "<") -> bytes:
    return b"Exif\0\0" + tiff_directory(sorted(entries), data, following=following, order=order)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(width: int, height: int, flags: int) -> tuple[bytes, bytes]:
    return b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def webp_frame(bitstream: tuple[bytes, bytes], width: int = 1, height: int = 1) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    kind, data = bitstream
    return b"ANMF", bytes(6) + sides + bytes(4) + kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp_animation(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A canvas whose first frame, of one pixel, lies in a corner."""
    frame = webp_frame(bitstream_of(file_of(scene(1, 1), "WEBP", lossless=True)))
    return riff(webp_canvas(width, height, 2), (b"ANIM", bytes(6)), frame, *more)


def bitstream_of(webp: bytes) -> tuple[bytes, bytes]:
    """The only chunk of a simple WebP file."""
    return webp[12:16], webp[20 : 20 + int.from_bytes(webp[16:20], "little")]


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def avif_of(avif: bytes, *, extents: int = 1, ispe: tuple[int, int] | None = None) -> bytes:
    """Rewrap the picture of an AVIF file, its bytes listed again and again, or its size misstated."""
    av1 = avif[avif.index(b"mdat") + 4 :]
    at = avif.index(b"iprp") - 4
    properties = avif[at : at + int.from_bytes(avif[at : at + 4], "big")]
    if ispe:
        at = properties.index(b"ispe") + 8
        properties = properties[:at] + struct.pack(">II", *ispe) + properties[at + 8 :]
    kind = box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")

    def meta(start: int) -> bytes:
        where = struct.pack(">II", start, len(av1)) * extents
        item = box(b"infe", b"\2\0\0\0", struct.pack(">HH", 1, 0), b"av01\0")
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", bytes(4), b"\x44\0", struct.pack(">HHHH", 1, 1, 0, extents), where),
            box(b"iinf", bytes(4), b"\0\1", item),
            properties,
        )

    return kind + meta(len(kind) + len(meta(0)) + 8) + box(b"mdat", av1)


def joints(data: bytes, image_format: str) -> Iterator[int]:
    """Where the parts of a good file begin: segments, chunks, boxes or directory entries."""
    if image_format == "JPEG":
        yield from (at for at in range(len(data) - 1) if data[at] == 0xFF and data[at + 1] not in (0, 0xFF))
    elif image_format == "PNG":
        yield from _chained(data, 8, lambda at: 12 + int.from_bytes(data[at : at + 4], "big"))
    elif image_format == "WEBP":
        yield from _chained(data, 12, lambda at: 8 + int.from_bytes(data[at + 4 : at + 8], "little"))
    elif image_format == "AVIF":
        yield from _chained(data, 0, lambda at: int.from_bytes(data[at : at + 4], "big"))
        yield from (data.index(kind) - 4 for kind in (b"hdlr", b"pitm", b"iloc", b"iinf", b"ispe", b"av1C", b"ipma"))
    elif image_format == "GIF":
        yield from (at for at in range(6, len(data)) if data[at] in b"!,;")
    elif image_format == "TIFF":
        start = int.from_bytes(data[4:8], "little")
        yield from range(start, min(len(data), start + 2 + 12 * data[start] + 4), 12)
        yield from (4, 8)
    else:
        yield from (2, 6, 10, 14, 18, 22, 26, 28, 30, 34, 54)


def _chained(data: bytes, at: int, length: Callable[[int], int]) -> Iterator[int]:
    while at + 8 <= len(data):
        yield at
        at += length(at)


def deflated(size: int) -> bytes:
    """A stream of this many zeros, a thousandth of the length."""
    return zlib.compress(bytes(size), 9)
