"""Files that are well formed on the outside and anything within: hypothesis builds them, and shrinks what fails."""

import struct
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from conf.tables import Reason
from streaming.decode import decode
from streaming.refusal import Refusal
from tests.property.containers import (
    bitstream_of,
    box,
    gif_frame,
    gif_of,
    in_jpeg,
    png_of,
    riff,
    segment,
    tiff_directory,
    webp_canvas,
)
from tests.property.objects import SMALL
from tests.unit.image_corpus import chunk

SIDE = 8
MAX_PIXELS = 1_000_000

PNG_CHUNKS = ["PLTE", "tRNS", "IDAT", "iCCP", "eXIf", "tEXt", "zTXt", "iTXt", "acTL", "fcTL", "fdAT", "gAMA", "IEND"]
JPEG_MARKERS = (0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xDA, 0xDB, 0xDC, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE)
TIFF_TAGS = (254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338)
WEBP_CHUNKS = (b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L", b"ICCP", b"EXIF", b"XMP ", b"????")
ISO_BOXES = (b"hdlr", b"pitm", b"iloc", b"iinf", b"ispe", b"pixi", b"av1C", b"colr", b"ipma", b"iref", b"mdat")
ISO_FOLDERS = (b"meta", b"iprp", b"ipco", b"moov", b"trak")

small_bytes = st.binary(max_size=40)
numbers = st.one_of(st.integers(0, 20), st.sampled_from([2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))


def outcome(data: bytes) -> tuple[str, ...]:
    """What `decode` makes of an object, in a form that can be compared; whatever else it raises fails the test."""
    try:
        photograph = decode(data, SIDE, MAX_PIXELS)
    except Refusal as refusal:
        return refusal.reason, refusal.detail
    assert photograph.pixels.shape == (SIDE, SIDE, 3)
    return photograph.pixels.tobytes().hex(), *map(str, photograph[1:])


def assert_is_an_answer(data: bytes) -> None:
    """The same answer each time: a batch that is run again must give the same rows."""
    answer = outcome(data)
    assert answer == outcome(data)
    if len(answer) == 2:
        reason, detail = answer
        assert reason in set(Reason)
        assert 0 < len(detail) <= 200
        assert detail.isprintable()


@settings(max_examples=200, deadline=None)
@given(
    sides=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    depth=st.sampled_from([1, 2, 4, 8, 16, 3]),
    colour=st.sampled_from([0, 2, 3, 4, 6, 1]),
    interlace=st.integers(0, 2),
    chunks=st.lists(
        st.tuples(
            st.sampled_from(PNG_CHUNKS),
            small_bytes,
        ),
        max_size=6,
    ),
    pixels=st.integers(0, 3_000),
)
def test_any_chunks_make_an_answer(
    sides: tuple[int, int], depth: int, colour: int, interlace: int, chunks: list[tuple[str, bytes]], pixels: int
) -> None:
    parts = [chunk(kind.encode(), body) for kind, body in chunks]
    parts.insert(len(parts) // 2, chunk(b"IDAT", zlib.compress(bytes(pixels))))
    assert_is_an_answer(png_of(*sides, *parts, depth=depth, colour=colour, interlace=interlace))


@settings(max_examples=200, deadline=None)
@given(
    segments=st.lists(
        st.tuples(
            st.sampled_from(JPEG_MARKERS),
            st.sampled_from([b"", b"Exif\0\0II*\0\x08\0\0\0", b"ICC_PROFILE\0\1\1", b"MPF\0", b"Adobe", b"JFIF\0"]),
            small_bytes,
        ),
        max_size=8,
    ),
    name=st.sampled_from(["JPEG", "JPEG progressive"]),
)
def test_any_segments_make_an_answer(segments: list[tuple[int, bytes, bytes]], name: str) -> None:
    assert_is_an_answer(in_jpeg(SMALL[name], *(segment(marker, start + body) for marker, start, body in segments)))


@settings(max_examples=300, deadline=None)
@given(
    entries=st.lists(
        st.tuples(
            st.sampled_from(TIFF_TAGS),
            st.integers(0, 18),
            numbers,
            st.one_of(numbers, st.none()),
        ),
        max_size=12,
        unique_by=lambda entry: entry[0],
    ),
    data=small_bytes,
    following=numbers,
)
def test_any_directory_makes_an_answer(
    entries: list[tuple[int, int, int, int | None]], data: bytes, following: int
) -> None:
    shorts = [
        (tag, kind, count, value % 65_536 if kind == 3 and value is not None else value)
        for tag, kind, count, value in entries
    ]
    assert_is_an_answer(tiff_directory(sorted(shorts, key=lambda entry: entry[0]), data, following=following))


@settings(max_examples=150, deadline=None)
@given(
    canvas=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    flags=st.integers(0, 63),
    chunks=st.lists(
        st.tuples(
            st.sampled_from(WEBP_CHUNKS),
            small_bytes,
        ),
        max_size=5,
    ),
)
def test_any_riff_chunks_make_an_answer(canvas: tuple[int, int], flags: int, chunks: list[tuple[bytes, bytes]]) -> None:
    assert_is_an_answer(riff(webp_canvas(*canvas, flags), *chunks, bitstream_of(SMALL["WEBP lossless"])))


@settings(max_examples=150, deadline=None)
@given(
    screen=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    extensions=st.lists(st.tuples(st.sampled_from([0xF9, 0xFE, 0xFF, 0x01]), small_bytes), max_size=5),
    frame=st.tuples(*[st.integers(0, 60)] * 4),
    pixels=small_bytes,
)
def test_any_blocks_make_an_answer(
    screen: tuple[int, int],
    extensions: list[tuple[int, bytes]],
    frame: tuple[int, int, int, int],
    pixels: bytes,
) -> None:
    blocks = [struct.pack("<cBB", b"!", kind, len(body)) + body + b"\0" for kind, body in extensions]
    compressed = b"\2" + bytes([len(pixels)]) + pixels + b"\0"
    assert_is_an_answer(gif_of(*screen, *blocks, frame=gif_frame(*frame, compressed)))


@settings(max_examples=150, deadline=None)
@given(
    brand=st.sampled_from([b"avif", b"avis", b"mif1", b"heic"]),
    boxes=st.recursive(
        st.tuples(
            st.sampled_from(ISO_BOXES),
            small_bytes,
        ).map(lambda pair: box(*pair)),
        lambda inner: st.tuples(st.sampled_from(ISO_FOLDERS), st.lists(inner, max_size=5)).map(
            lambda pair: box(pair[0], bytes(4) if pair[0] == b"meta" else b"", *pair[1])
        ),
        max_leaves=12,
    ),
)
def test_any_boxes_make_an_answer(brand: bytes, boxes: bytes) -> None:
    assert_is_an_answer(box(b"ftyp", brand, bytes(4), b"avifmif1") + boxes)
