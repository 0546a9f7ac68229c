"""Files in far too many pieces are refused before a decoder sees them, and ordinary ones are not."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from conf.tables import Reason
from streaming.decode import decode
from streaming.refusal import Refusal
from tests.unit.image_corpus import chunk, file_of, png, scene

SIDE = 8
MEGAPIXEL = 1_000_000
JPEG = file_of(scene(), "JPEG")
PROGRESSIVE = file_of(scene(), "JPEG", progressive=True)
GIF = file_of(Image.new("P", (SIDE, SIDE)), "GIF")


def refusal_of(data: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        decode(data, SIDE, MEGAPIXEL)
    return caught.value


def segments(count: int) -> bytes:
    return JPEG[:2] + b"\xff\xe1\0\x09Exif\0\0x" * count + JPEG[2:]


def scans(count: int) -> bytes:
    last = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
    return PROGRESSIVE[:-2] + last * (count - PROGRESSIVE.count(b"\xff\xda")) + PROGRESSIVE[-2:]


def chunks_of_metadata(count: int) -> bytes:
    return png(SIDE, SIDE, 8, 0, [bytes(SIDE)] * SIDE, *[chunk(b"teXt", b"")] * (count - 1))  # and the header


def chunks(count: int) -> bytes:
    whole = png(
        SIDE, SIDE, 8, 0, [bytes(SIDE)] * SIDE
    )  # with a header, one of pixels and the end, which is not counted
    return whole[:-12] + chunk(b"IDAT", b"") * (count - 2) + whole[-12:]


def tiff(*entries: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A grey TIFF of eight by eight, with entries (tag, type, count, value) changed or added; `data` lies at 400."""
    values = {256: SIDE, 257: SIDE, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: SIDE, 279: SIDE * SIDE}
    table = {tag: (tag, 4, 1, value) for tag, value in values.items()} | {entry[0]: entry for entry in entries}
    fields = b"".join(struct.pack("<HHII", *table[tag]) for tag in sorted(table))
    head = b"II*\0" + struct.pack("<IH", 8, len(table)) + fields + bytes(4)
    return head + bytes(max(0, 400 - len(head))) + data


def strips(count: int) -> bytes:
    return tiff((273, 4, count, 400), (278, 4, 1, 1), data=bytes(4 * count))


def tags(count: int) -> bytes:
    return tiff(*((tag, 4, 1, 0) for tag in range(1_000, 1_000 + count - 9)))


def blocks_of_comment(count: int) -> bytes:
    at = GIF.index(b",", 13 + (6 << (GIF[10] & 7)))
    return GIF[:at] + b"!\xfe" + b"\1a" * (count - 1) + b"\0" + GIF[at:]  # the end of them is one as well


@pytest.mark.parametrize(
    ("made_of", "most", "named"),
    [
        (scans, 100, "scans"),
        (segments, 980, "segments"),  # the JPEG has some of its own
        (chunks_of_metadata, 500, "chunks of metadata"),
        (chunks, 65_536, "chunks"),
        (strips, 65_536, "values in tag 273"),
        (tags, 4_096, "tags"),
        (blocks_of_comment, 65_536, "blocks of metadata"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_pieces_beyond_a_limit_are_refused(made_of: Callable[[int], bytes], most: int, named: str) -> None:
    assert decode(made_of(most), SIDE, MEGAPIXEL).width > 0

    refusal = refusal_of(made_of(most + 21 if made_of is segments else most + 1))

    assert refusal.reason == Reason.CORRUPT
    assert named in refusal.detail


def test_scans_after_the_picture_are_not_counted() -> None:
    assert decode(PROGRESSIVE + b"film" + b"\xff\xda" * 1_000, SIDE, MEGAPIXEL).width == scene().shape[1]


def test_a_false_end_between_scans_hides_none() -> None:
    last = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
    hidden = b"\xff\xfe\0\4\xff\xd9" + last
    assert "scans" in refusal_of(PROGRESSIVE[:-2] + hidden * 200 + PROGRESSIVE[-2:]).detail


@pytest.mark.parametrize("lengthless", [b"\xff\xf0", b"\xff\xc8", b"\xff\xd0", b"\xff\xd9"])
def test_a_marker_of_no_length_hides_no_segments(lengthless: bytes) -> None:
    assert "segments" in refusal_of(JPEG[:2] + lengthless + b"\xff\xff" + segments(2_000)[2:]).detail


def bmp_in_run_lengths(width: int, height: int, codes: bytes) -> bytes:
    palette = b"".join(bytes([value, 0, 255 - value, 0]) for value in range(256))
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(codes), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(codes), 0, 0, start) + info + palette + codes


def test_a_bmp_in_run_lengths_is_a_picture() -> None:
    rows = [bytes([4, value, 4, 255 - value]) for value in range(SIDE)]  # from the lowest row up
    pixels = decode(bmp_in_run_lengths(SIDE, SIDE, b"\0\0".join(rows) + b"\0\1"), SIDE, MEGAPIXEL).pixels
    values = np.arange(SIDE)[::-1, None]
    assert np.array_equal(pixels[:, :4, 2], np.broadcast_to(values, (SIDE, 4)))
    assert np.array_equal(pixels[:, 4:, 2], np.broadcast_to(255 - values, (SIDE, 4)))


@pytest.mark.parametrize(
    ("width", "height", "codes"),
    [(2_000, 1_001, b"\0\1"), (2_000, -1_001, b"\0\1"), (SIDE, SIDE, b"\1\5" * 1_000_000)],
    ids=["pixels", "pixels upside down", "bytes"],
)
def test_a_large_bmp_in_run_lengths_is_unsupported(width: int, height: int, codes: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        decode(bmp_in_run_lengths(width, height, codes), SIDE, 100 * MEGAPIXEL)
    assert caught.value.reason == Reason.UNSUPPORTED
    assert "run lengths" in caught.value.detail


def test_a_tile_larger_than_the_picture_counts() -> None:
    tiled = [(322, 4, 1, 2_000), (323, 4, 1, 2_000), (324, 4, 1, 400), (325, 4, 1, 64), (259, 4, 1, 8)]
    refusal = refusal_of(tiff(*tiled, data=bytes(64)))
    assert refusal.reason == Reason.TOO_MANY_PIXELS
    assert "2,000 x 2,000" in refusal.detail
