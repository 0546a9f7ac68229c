"""Photographs that are valid and odd are shown as their plain selves would be, and no more depends on than must."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.tables import Reason
from streaming.decode import decode
from streaming.refusal import Refusal
from tests.property.containers import in_jpeg, segment
from tests.property.odd_files import ODD
from tests.unit.image_corpus import chunk, file_of, jpeg_with_header, scene

SIDE = 16
MEGAPIXEL = 1_000_000

TEXTURED = scene(24, 20) // 2 + np.random.default_rng(7).integers(0, 99, (20, 24, 3), dtype=np.uint8)
PLAIN = {name: file_of(TEXTURED, name) for name in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")}
SHOWN = {name: decode(data, SIDE, MEGAPIXEL) for name, data in PLAIN.items()}


@pytest.mark.parametrize("name", ODD)
@settings(max_examples=8, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40))
def test_an_odd_photograph_is_seen_as_a_png_of_what_it_shows(name: str, width: int, height: int) -> None:
    write, tolerance = ODD[name]
    data, seen = write(scene(width, height))

    odd, plain = decode(data, SIDE, MEGAPIXEL), decode(file_of(seen, "PNG"), SIDE, MEGAPIXEL)

    assert odd[1:3] == plain[1:3] == (width, height)
    assert np.abs(odd.pixels.astype(int) - plain.pixels).max() <= tolerance


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(PLAIN)), tail=st.binary(max_size=300))
def test_what_comes_behind_a_photograph_does_not_change_it(name: str, tail: bytes) -> None:
    found = decode(PLAIN[name] + tail, SIDE, MEGAPIXEL)
    assert found[1:] == SHOWN[name][1:]
    assert np.array_equal(found.pixels, SHOWN[name].pixels)


@settings(max_examples=150, deadline=None)
@given(comments=st.lists(st.binary(max_size=60), max_size=5))
def test_comments_do_not_change_a_photograph(comments: list[bytes]) -> None:
    jpeg = in_jpeg(PLAIN["JPEG"], *(segment(0xFE, comment) for comment in comments))
    texts = b"".join(chunk(b"tEXt", b"Comment\0" + comment) for comment in comments)
    png = PLAIN["PNG"][:33] + texts + PLAIN["PNG"][33:]
    assert np.array_equal(decode(jpeg, SIDE, MEGAPIXEL).pixels, SHOWN["JPEG"].pixels)
    assert np.array_equal(decode(png, SIDE, MEGAPIXEL).pixels, SHOWN["PNG"].pixels)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 65_535), height=st.integers(1, 65_535))
def test_one_pixel_more_than_the_limit_is_too_many_in_every_shape(width: int, height: int) -> None:
    data = jpeg_with_header(PLAIN["JPEG"], width=width, height=height)
    with pytest.raises(Refusal) as caught:
        decode(data, SIDE, width * height - 1)
    assert caught.value.reason == Reason.TOO_MANY_PIXELS


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_as_many_pixels_as_the_limit_are_not_too_many(width: int, height: int) -> None:
    assert decode(file_of(scene(width, height), "PNG"), SIDE, width * height)[1:3] == (width, height)
