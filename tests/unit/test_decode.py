"""Decoding: every kind of picture that users drop, and every kind of thing that is none."""

import io
import os
import pickle
import struct
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from conf.tables import Reason
from streaming import decode as module
from streaming.decode import Photograph, decode
from streaming.refusal import Refusal
from tests.unit.image_corpus import (
    Pixels,
    chunk,
    exif,
    file_of,
    jpeg_with_header,
    png,
    scene,
    small_files,
    stored,
    tent_resize,
)

Numbers = NDArray[Any]

SIDE = 32
MEGAPIXEL = 1_000_000
SMALL = small_files()
SAMPLES = Path(os.environ.get("FRUITS_SAMPLE_DATA", Path(__file__).parents[2] / "../shared/data"))


def pixels_of(data: bytes, side: int = SIDE) -> Numbers:
    """The pixels as signed numbers, so that they can be subtracted. No resizing where the picture is side x side."""
    return decode(data, side, MEGAPIXEL).pixels.astype(int)


def assert_is_an_answer(result: Photograph | Refusal) -> None:
    """Any other exception has already failed the test; a detail is one short line without bytes in it."""
    if isinstance(result, Refusal):
        assert 0 < len(result.detail) <= 200
        assert result.detail.isprintable()
    else:
        assert result.pixels.shape == (8, 8, 3)


def refusal_of(data: bytes, max_pixels: int = MEGAPIXEL) -> Refusal:
    with pytest.raises(Refusal) as caught:
        decode(data, SIDE, max_pixels)
    assert_is_an_answer(caught.value)
    return caught.value


def outcome(data: bytes) -> Photograph | Refusal:
    try:
        return decode(data, 8, MEGAPIXEL)
    except Refusal as refusal:
        return refusal


# --- the picture ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 98, "subsampling": 0}, 4),
        ("JPEG", {"quality": 98, "subsampling": 0, "progressive": True}, 4),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4", "speed": 10}, 6),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 98}, 10),
    ],
)
def test_pixels_of_each_format(image_format: str, options: dict[str, Any], tolerance: int) -> None:
    photograph = decode(file_of(scene(), image_format, **options), SIDE, MEGAPIXEL)

    assert (photograph.width, photograph.height, photograph.format) == (SIDE, SIDE, image_format)
    assert np.abs(photograph.pixels.astype(int) - scene()).max() <= tolerance


def test_result_is_a_contiguous_square_of_bytes() -> None:
    for name, data in SMALL.items():
        pixels = decode(data, 48, MEGAPIXEL).pixels
        assert pixels.shape == (48, 48, 3), name
        assert pixels.dtype == np.uint8, name
        assert pixels.flags.c_contiguous, name


@pytest.mark.parametrize(
    ("width", "height", "mean", "largest"),
    # Far down, the box average that comes first shifts noise a little; elsewhere only rounding, twice, is left.
    [(300, 100, 1, 4), (100, 300, 1, 4), (20, 12, 0.5, 1.1), (33, 31, 0.5, 1.1)],
)
def test_whole_frame_is_squashed_by_an_antialiased_bilinear_filter(
    width: int, height: int, mean: float, largest: float
) -> None:
    rng = np.random.default_rng(3)
    noisy = scene(width, height) // 2 + rng.integers(0, 128, (height, width, 3), dtype=np.uint8)

    difference = np.abs(pixels_of(file_of(noisy, "PNG")) - tent_resize(noisy, SIDE))

    assert difference.mean() < mean
    assert difference.max() < largest


def test_width_and_height_are_those_of_the_file() -> None:
    assert decode(file_of(scene(50, 20), "JPEG"), SIDE, MEGAPIXEL)[1:] == (50, 20, "JPEG")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 50_000), (50_000, 1)])
def test_absurd_shapes_are_pictures(width: int, height: int) -> None:
    found = pixels_of(file_of(scene(width, height), "PNG"))
    middles = [(2 * i + 1) * 50_000 // (2 * SIDE) for i in range(SIDE)]
    expected = scene(width, height)[np.ix_(middles if height > 1 else [0], middles if width > 1 else [0])]
    assert np.abs(found[1:-1, 1:-1] - np.broadcast_to(expected, found.shape)[1:-1, 1:-1]).max() <= 2


@pytest.mark.parametrize(("width", "height"), [(1200, 800), (1207, 801), (303, 261)])
def test_drafted_jpeg_is_the_whole_picture_resized(width: int, height: int) -> None:
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)).resize((width, height))

    photograph = decode(file_of(coarse, "JPEG", quality=95, subsampling=0), SIDE, MEGAPIXEL)

    assert photograph[1:3] == (width, height)
    assert np.abs(photograph.pixels - tent_resize(np.asarray(coarse), SIDE)).mean() < 1


@pytest.mark.skipif(not (SAMPLES / "fullsize").is_dir(), reason="the sample photographs are not on this machine")
def test_drafted_phone_photograph_is_the_whole_picture_resized() -> None:
    path = SAMPLES / "fullsize" / "lychee.jpg"  # 2503 x 2122: no multiple of eight
    with Image.open(path) as image:
        whole = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)).astype(int)

    assert np.abs(decode(path.read_bytes(), 224, 50 * MEGAPIXEL).pixels - whole).mean() < 0.6


# --- orientation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_each_orientation_shows_the_upright_scene(image_format: str, turn: int) -> None:
    upright = scene(48, 24)
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 98, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 95, "subsampling": "4:4:4", "speed": 10},
    }
    data = file_of(stored(upright, turn), image_format, exif=exif(turn), **options.get(image_format, {}))

    photograph = decode(data, SIDE, MEGAPIXEL)

    assert photograph[1:3] == (48, 24)
    assert np.abs(photograph.pixels - tent_resize(upright, SIDE)).max() <= 8
    assert np.abs(photograph.pixels - tent_resize(upright, SIDE)).mean() <= 2


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        exif(6)[:20],
        exif(0),
        exif(9),
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\2\0\0\0\4six\0\0\0\0\0",  # an orientation in letters
    ],
    ids=["garbage", "no offset", "offset beyond end", "cut", "zero", "nine", "letters"],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_leaves_the_photograph_as_it_is(image_format: str, block: bytes) -> None:
    plain = file_of(scene(48, 24), image_format)
    assert np.array_equal(pixels_of(file_of(scene(48, 24), image_format, exif=block)), pixels_of(plain))


@pytest.mark.parametrize("count", [1, 2])
def test_a_resolution_in_letters_leaves_the_photograph_as_it_is(count: int) -> None:
    words = struct.pack("<HHIHHHHI4s", 296, 3, 1, 2, 0, 282, 2, count, b"7\0\0\0")
    block = b"Exif\0\0II*\0\x08\0\0\0\2\0" + words + bytes(4)
    plain = file_of(scene(48, 24), "JPEG")
    assert np.array_equal(pixels_of(file_of(scene(48, 24), "JPEG", exif=block)), pixels_of(plain))


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(700, 2, b"<xmp tiff:Orientation='9'/>"), (700, 3, 7), (34665, 8, -9), (34853, 8, -9), (34665, 4, 2**32 - 1)],
    ids=["XMP in letters", "XMP in numbers", "EXIF before the start", "place before the start", "EXIF beyond the end"],
)
def test_broken_metadata_of_a_tiff_leaves_the_photograph_as_it_is(tag: int, kind: int, value: Any) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[tag] = kind
    tags[tag] = value
    data = file_of(scene(48, 24), "TIFF", tiffinfo=tags)
    assert np.array_equal(pixels_of(data), pixels_of(file_of(scene(48, 24), "TIFF")))


@pytest.mark.parametrize("turn", range(1, 9))
def test_each_orientation_of_a_compressed_tiff_shows_the_upright_scene(turn: int) -> None:
    data = file_of(stored(scene(48, 24), turn), "TIFF", exif=exif(turn), compression="tiff_adobe_deflate")
    photograph = decode(data, SIDE, MEGAPIXEL)
    assert photograph[1:3] == (48, 24)
    assert np.abs(photograph.pixels - tent_resize(scene(48, 24), SIDE)).max() <= 2


def test_orientation_in_xmp_alone_counts() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = file_of(stored(scene(48, 24), 6), "JPEG", quality=98, subsampling=0, xmp=xmp)
    assert np.abs(pixels_of(data) - tent_resize(scene(48, 24), SIDE)).max() <= 8


# --- colour models -------------------------------------------------------------------------------------------------

GREY = scene()[..., 0]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_grey_is_the_same_in_three_channels(image_format: str) -> None:
    found = pixels_of(file_of(GREY, image_format, **({"lossless": True} if image_format == "WEBP" else {})))
    assert np.abs(found - GREY[..., None]).max() <= 3


@pytest.mark.parametrize(
    ("deep", "image_format"),
    [
        (GREY.astype(np.uint16) * 256 + 77, "PNG"),
        ((GREY.astype(np.uint16) * 256 + 77).astype("<u2"), "TIFF"),
        ((GREY.astype(np.uint16) * 256 + 77).astype(">u2"), "TIFF"),
        (GREY.astype(np.int32) * 256 + 77, "TIFF"),
    ],
    ids=["PNG", "TIFF little-endian", "TIFF big-endian", "TIFF 32-bit"],
)
def test_deep_grey_keeps_its_high_byte(deep: Numbers, image_format: str) -> None:
    assert np.array_equal(pixels_of(file_of(Image.fromarray(deep), image_format)), np.dstack([GREY] * 3))


def test_deep_colour_keeps_its_high_byte() -> None:
    rows = [(row.astype(np.uint16) * 256 + 77).astype(">u2").tobytes() for row in scene()]
    assert np.array_equal(pixels_of(png(SIDE, SIDE, 16, 2, rows)), scene())


def test_integers_beyond_16_bits_are_clipped() -> None:
    values = np.full((SIDE, SIDE), 70_000, np.int32)
    values[:, :16] = -5
    found = pixels_of(file_of(Image.fromarray(values), "TIFF"))
    assert (found[:, :16] == 0).all()
    assert (found[:, 16:] == 255).all()


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP"])
def test_one_bit_dots_are_averaged(image_format: str) -> None:
    dots = np.zeros((64, 64), bool)
    dots[::2, ::2] = True  # a quarter white: nearest-neighbour would give all black or all white
    found = pixels_of(file_of(Image.fromarray(dots), image_format))
    assert np.abs(found[2:-2, 2:-2] - 64).max() <= 2


def cmyk() -> Pixels:
    return np.dstack([scene(), scene()[::-1, ::-1, 0] // 2])


def ink_on_paper(inks: Numbers) -> Numbers:
    """What ink lets through, times what black lets through."""
    light: Numbers = 255 - inks.astype(float)
    light[..., :3] *= light[..., 3:] / 255
    return light[..., :3]


def test_cmyk_tiff() -> None:
    data = file_of(Image.fromarray(cmyk(), "CMYK"), "TIFF")
    assert np.abs(pixels_of(data) - ink_on_paper(cmyk())).max() <= 1


def test_cmyk_jpeg_with_inverted_inks() -> None:
    data = file_of(Image.fromarray(cmyk(), "CMYK"), "JPEG", quality=98)
    assert b"Adobe" in data  # the sign that 255 means no ink
    assert np.abs(pixels_of(data) - ink_on_paper(cmyk())).max() <= 8


def test_ycck_jpeg() -> None:
    data = file_of(Image.fromarray(cmyk(), "CMYK"), "JPEG", quality=100, subsampling=0)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    luma, blue, red, black = np.moveaxis(255.0 - cmyk(), -1, 0)  # the same bytes, under the name YCCK
    cyan = luma + 1.402 * (red - 128)
    magenta = luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128)
    yellow = luma + 1.772 * (blue - 128)
    # JPEG's RGB is the complement of the inks, and Adobe stores inks inverted: they cancel out.
    inks = np.clip(np.stack([cyan, magenta, yellow, 255 - black], axis=-1), 0, 255)

    found = pixels_of(data[:at] + b"\2" + data[at + 1 :])

    assert np.abs(found - ink_on_paper(inks)).mean() <= 2


# --- transparency --------------------------------------------------------------------------------------------------


def over_white(colour: Numbers, alpha: Numbers) -> Numbers:
    share = alpha[..., None] / 255
    return colour * share + 255 * (1 - share)


ALPHA = scene()[..., 2]


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_on_white(image_format: str) -> None:
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    data = file_of(np.dstack([scene(), ALPHA]), image_format, **options)
    assert np.abs(pixels_of(data) - over_white(scene(), ALPHA)).max() <= 1


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_grey_with_alpha_is_laid_on_white(image_format: str) -> None:
    data = file_of(Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), image_format)
    assert np.abs(pixels_of(data) - over_white(np.dstack([GREY] * 3), ALPHA)).max() <= 1


def test_colour_hidden_under_transparency_does_not_bleed() -> None:
    layers = np.zeros((64, 64, 4), np.uint8)
    layers[:, :33] = (255, 0, 0, 255)  # opaque red beside green that nobody should see
    layers[:, 33:] = (0, 255, 0, 0)
    found = pixels_of(file_of(layers, "PNG"))
    assert np.array_equal(found[..., 1], found[..., 2])
    assert (found[..., 0] == 255).all()


def palette_picture() -> tuple[Image.Image, Pixels, Pixels]:
    """A picture of 16 colours, its indices, and its palette."""
    indices = (np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) // 5) % 16
    colours = np.random.default_rng(1).integers(0, 256, (16, 3), dtype=np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    return image, indices, colours


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_gives_its_colours(image_format: str) -> None:
    image, indices, colours = palette_picture()
    assert np.array_equal(pixels_of(file_of(image, image_format)), colours[indices])


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_transparent_palette_entry_is_white(image_format: str) -> None:
    image, indices, colours = palette_picture()
    colours[3] = 255
    assert np.array_equal(pixels_of(file_of(image, image_format, transparency=3)), colours[indices])


def test_palette_with_an_alpha_an_entry() -> None:
    image, indices, colours = palette_picture()
    alphas = np.arange(0, 256, 16, dtype=np.uint8)
    expected = over_white(colours[indices], alphas[indices])
    assert np.abs(pixels_of(file_of(image, "PNG", transparency=alphas.tobytes())) - expected).max() <= 1


def test_palette_with_an_alpha_channel() -> None:
    image, indices, colours = palette_picture()
    with_alpha = image.convert("PA")
    with_alpha.putalpha(Image.fromarray(ALPHA))
    expected = over_white(colours[indices], ALPHA)
    assert np.abs(pixels_of(file_of(with_alpha, "TIFF")) - expected).max() <= 1


@pytest.mark.parametrize(("mode", "key"), [("RGB", (9, 9, 9)), ("L", 9)])
def test_transparent_colour_is_white(mode: str, key: int | tuple[int, ...]) -> None:
    image = Image.new(mode, (SIDE, SIDE), (90, 90, 90)[: len(mode)] if mode == "RGB" else 90)
    image.paste(key, (0, 0, 16, SIDE))
    found = pixels_of(file_of(image, "PNG", transparency=key))
    assert (found[:, :16] == 255).all()
    assert (found[:, 16:] == 90).all()


# --- more than one picture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_stands_for_an_animation(image_format: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "lime", "blue")]
    found = pixels_of(file_of(frames[0], image_format, save_all=True, append_images=frames[1:]))
    assert np.abs(found - (255, 0, 0)).max() <= 6


def test_several_jpeg_pictures_in_a_file_are_the_first_one() -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue")]
    photograph = decode(file_of(frames[0], "MPO", save_all=True, append_images=frames[1:]), SIDE, MEGAPIXEL)
    assert photograph.format == "JPEG"
    assert np.abs(photograph.pixels.astype(int) - (255, 0, 0)).max() <= 2


# --- refusals ------------------------------------------------------------------------------------------------------


def test_no_bytes_are_empty() -> None:
    assert refusal_of(b"").reason == Reason.EMPTY


@pytest.mark.parametrize(
    "data",
    [
        b"a list of fruit",
        b"BMW is a car, not a bitmap",
        b"<!DOCTYPE html><html><body><svg/></body></html>",
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        b"\x7fELF\2\1\1" + bytes(60),
        b"MZ" + bytes(200),
        b"PK\3\4" + bytes(60),
        b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(60),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(30),
        bytes(1000),
        b"\xff",
    ],
)
def test_what_is_no_image(data: bytes) -> None:
    assert refusal_of(data).reason == Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix" + bytes(60), "HEIC"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\n<svg width="10" height="10"/>', "SVG"),
        (b"\xff\x0a" + bytes(60), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "JPEG 2000"),
        (b"8BPS\0\1" + bytes(60), "Photoshop"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\1\0\1\0" + bytes(60), "icon"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "camera raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(60), "camera raw"),
        (file_of(Image.new("F", (8, 8), 0.5), "TIFF"), "mode F"),
        (file_of(Image.new("LAB", (8, 8)), "TIFF"), "mode LAB"),
        (file_of(scene(), "TIFF", tiffinfo={254: 1}), "thumbnail"),
        (file_of(scene(), "TIFF").replace(b"\x03\1\3\0\1\0\0\0\1", b"\x03\1\3\0\1\0\0\0\x4d"), "77"),
        (jpeg_with_header(file_of(scene(), "JPEG"), bits=12, height=SIDE, width=SIDE), "12-bit"),
    ],
)
def test_what_is_known_but_not_decoded(data: bytes, named: str) -> None:
    refusal = refusal_of(data)
    assert refusal.reason == Reason.UNSUPPORTED
    assert named in refusal.detail


def test_heif_container_that_holds_avif_is_avif() -> None:
    data = file_of(scene(), "AVIF", speed=10)
    assert decode(data[:8] + b"mif1" + data[12:], SIDE, MEGAPIXEL).format == "AVIF"


@pytest.mark.parametrize("name", SMALL)
def test_a_file_cut_anywhere_is_truncated_or_still_shows_its_picture(name: str) -> None:
    data = SMALL[name]
    assert isinstance(decode(data, 8, MEGAPIXEL), Photograph)
    steps = range(16, len(data), max(1, len(data) // 150))
    after_semicolons = (at + 1 for at in range(16, len(data) - 1) if data[at] == ord(";"))  # how a whole GIF ends
    before_pixels = max(16, data.find(b"mdat") - 4)  # between two boxes of AVIF
    for end in {*steps, *after_semicolons, before_pixels, len(data) - 2, len(data) - 1}:
        result = outcome(data[:end])
        if isinstance(result, Refusal):
            assert result.reason == Reason.TRUNCATED, (end, result.detail)
        else:
            assert end > 0.9 * len(data)  # only what comes after the pixels is missing


@pytest.mark.parametrize(
    "data",
    [
        SMALL["PNG"].replace(b"IHDR", b"IHDr"),
        SMALL["PNG"][:20] + b"\x99" + SMALL["PNG"][21:],
        png(0, 5, 8, 2, []),
        b"\xff\xd8\xff\xfe\0\x08 apple\xff\xd9",
        jpeg_with_header(file_of(scene(), "JPEG"), height=0, width=SIDE),
        SMALL["WEBP"][:40] + bytes(len(SMALL["WEBP"]) - 40),
        SMALL["TIFF deflate"][:60] + b"\xff" * 400 + SMALL["TIFF deflate"][460:],
        b"GIF89a\x05\0\0\0\0\0\0;",
    ],
    ids=[
        "PNG chunk name",
        "PNG checksum",
        "PNG of no width",
        "JPEG with nothing but a comment",
        "JPEG of no height",
        "WebP of zeros",
        "TIFF overwritten",
        "GIF without a frame",
    ],
)
def test_damaged_files_are_corrupt(data: bytes) -> None:
    assert refusal_of(data).reason == Reason.CORRUPT


def test_a_palette_picture_without_its_palette_is_corrupt() -> None:
    refusal = refusal_of(png(4, 4, 8, 3, [bytes(4)] * 4))
    assert refusal.reason == Reason.CORRUPT
    assert "palette is missing" in refusal.detail


def test_a_detail_quotes_nothing_of_the_file() -> None:
    checksum = refusal_of(SMALL["PNG"][:20] + b"\x99" + SMALL["PNG"][21:])
    assert checksum.detail.endswith("SyntaxError: broken PNG file (bad header checksum in …)")
    scheme = file_of(scene(), "TIFF").replace(b"\x03\1\3\0\1\0\0\0\1\0\0\0", b"\x03\1\2\0\4\0\0\0Anna")
    assert refusal_of(scheme).detail.endswith("SyntaxError: …")


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_lzw"])
def test_damage_prints_nothing(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = file_of(scene(), "TIFF", compression=compression)
    assert refusal_of(data[:8] + b"\xff" * 300 + data[308:]).reason == Reason.CORRUPT
    assert capfd.readouterr() == ("", "")


def test_pixels_are_counted_before_any_is_decoded() -> None:
    assert decode(file_of(scene(40, 25), "PNG"), SIDE, 1000).width == 40
    assert refusal_of(file_of(scene(40, 25), "PNG"), max_pixels=999).reason == Reason.TOO_MANY_PIXELS
    header_only = png(20_000, 20_000, 8, 2, [])
    assert "20,000 x 20,000" in refusal_of(header_only).detail
    assert refusal_of(header_only).reason == Reason.TOO_MANY_PIXELS
    assert refusal_of(header_only, max_pixels=10**9).reason != Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with_header(file_of(scene(), "JPEG"), height=65_000, width=65_000),
        b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\x08\0\x08\0\0\x08\2\x4c\1\0;",
        b"GIF89a\x08\0\x08\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\2\x4c\1\0;",
        b"BM" + struct.pack("<IIIIiiHH6I", 90, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6) + bytes(40),
        png(1, 100_000, 1, 0, [b"\0"] * 100_000),
    ],
    ids=["JPEG", "GIF", "GIF with a frame beyond its screen", "BMP", "PNG of one column"],
)
def test_oversized_headers_are_refused(data: bytes) -> None:
    assert refusal_of(data, max_pixels=100 * MEGAPIXEL).reason == Reason.TOO_MANY_PIXELS


def test_a_large_picture_does_not_meet_pillows_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(file_of(scene(), "PNG"), SIDE, MEGAPIXEL).width == SIDE
    assert Image.MAX_IMAGE_PIXELS == 100


def test_lack_of_memory_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(_: io.BytesIO) -> None:
        raise MemoryError

    monkeypatch.setitem(module.READERS, "PNG", starved)
    with pytest.raises(MemoryError):
        decode(SMALL["PNG"], SIDE, MEGAPIXEL)


def test_a_refusal_travels_between_processes() -> None:
    refusal = pickle.loads(pickle.dumps(Refusal(Reason.CORRUPT, "bits fell over")))  # noqa: S301 (our own bytes)
    assert (refusal.reason, refusal.detail) == (Reason.CORRUPT, "bits fell over")
    assert str(refusal) == "corrupt: bits fell over"


# --- anything at all -----------------------------------------------------------------------------------------------


@settings(max_examples=250, deadline=None)
@given(
    name=st.sampled_from(sorted(SMALL)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_give_a_photograph_or_a_refusal(name: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(SMALL[name])
    for where, byte in flips:
        data[int(where**2 * len(data))] = byte  # more often near the front, where the headers are
    assert_is_an_answer(outcome(bytes(data)))


@settings(max_examples=120, deadline=None)
@given(
    start=st.sampled_from([data[:n] for data in SMALL.values() for n in (4, 16, 30, 60)]),
    rest=st.binary(max_size=200),
)
def test_any_bytes_after_a_signature_give_a_photograph_or_a_refusal(start: bytes, rest: bytes) -> None:
    assert_is_an_answer(outcome(start + rest))


@settings(max_examples=80, deadline=None)
@given(block=st.binary(max_size=80), start=st.sampled_from([b"", b"II*\0\x08\0\0\0", exif(6)[6:]]))
def test_any_exif_leaves_a_photograph(block: bytes, start: bytes) -> None:
    data = file_of(scene(8, 8), "PNG")
    body = chunk(b"eXIf", start + block)
    assert isinstance(outcome(data[:33] + body + data[33:]), Photograph)


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    noisy = file_of(scene(), "JPEG", exif=exif(6)[:20])  # Pillow warns of this one, and warnings are errors here
    before = list(warnings.filters)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(40):
                decode(noisy, 8, MEGAPIXEL)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert list(warnings.filters) == before
