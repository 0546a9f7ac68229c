"""Small files that ask for much work or memory."""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.property.containers import (
    avif_of,
    bmp_of,
    box,
    deflated,
    gif_frame,
    gif_of,
    in_jpeg,
    lzw,
    png_of,
    segment,
    tiff_directory,
    tiff_of,
    webp_animation,
    webp_frame,
)
from tests.property.objects import Hostile
from tests.unit.image_corpus import chunk, file_of, scene


def bombs() -> Iterator[Hostile]:
    """Bombs in the formats whose decoders would not stop by themselves, then in the others."""
    for files in (_jpegs(), _pngs(), _gifs_and_bmps(), _tiffs()):
        yield from (Hostile(name, data, "refused") for name, data in files.items())
    avif = file_of(scene(), "AVIF", speed=10)
    wide = file_of(Image.new("L", (2_048, 2_048), 9), "AVIF", speed=10)
    harmless = {
        "PNG with 200 MB behind its pixels": png_of(9, 9, chunk(b"IDAT", deflated(200_000_000))),
        "WEBP of a large empty canvas": webp_animation(1_999, 2_000),
        "WEBP of 100,000 chunks": webp_animation(9, 9, *[(b"abcd", b"")] * 100_000),
        "AVIF of 60,000 extents": avif_of(avif, extents=60_000),
        "AVIF of more pixels than it says": avif_of(wide, ispe=(9, 9)),
        "BMP of skips": bmp_of(1_999, 999, b"\0\2\xff\xff" * 9, bits=8, compression=1),
        "BMP in 4-bit run lengths": bmp_of(1_999, 999, b"\xff\x12" * 9_000, bits=4, compression=2),
        "GIF of nothing but new starts": gif_of(9, 9, frame=gif_frame(0, 0, 9, 9, lzw([4] * 2_000_000))),
        "JPEG of fill bytes": in_jpeg(file_of(scene(), "JPEG"), b"\xff" * 2_000_000),
        "JPEG of junk": in_jpeg(file_of(scene(), "JPEG"), b"\0x" * 1_000_000),
    }
    yield from (Hostile(name, data, "either") for name, data in harmless.items())


def _jpegs() -> dict[str, bytes]:
    jpeg = file_of(scene(), "JPEG")
    broad = file_of(Image.new("RGB", (2_000, 2_000), "red"), "JPEG", progressive=True)
    last = broad[broad.rindex(b"\xff\xda") : -2]
    false_end = segment(0xFE, b"\xff\xd9") + b"\xff\xd0\xff\0"
    exif = segment(0xE1, b"Exif\0\0x") * 200_000
    return {
        "JPEG of 100,000 scans": broad[:-2] + last * 100_000 + broad[-2:],
        "JPEG of scans behind false ends": broad[:-2] + (false_end + last) * 3_000 + broad[-2:],
        "JPEG with EXIF in 200,000 parts": in_jpeg(jpeg, exif),
        "JPEG of segments behind one of no length": in_jpeg(jpeg, b"\xff\xf0\xff\xff", exif),
        "JPEG of segments of length 0": in_jpeg(jpeg, b"\xff\xe1\0\0" * 500_000),
        "JPEG of 500,000 segments": in_jpeg(jpeg, segment(0xEE, b"") * 500_000),
    }


def _pngs() -> dict[str, bytes]:
    pixels = chunk(b"IDAT", deflated(3_000))
    megabyte = deflated(1_000_000)
    profile, text, nameless = chunk(b"iCCP", b"a\0\0" + megabyte), b"a\0\0" + megabyte, b"\0\0" + megabyte
    return {
        "PNG of a large text": png_of(9, 9, chunk(b"zTXt", b"a\0\0" + deflated(10**8)), pixels),
        "PNG of many texts": png_of(9, 9, chunk(b"zTXt", text) * 400, pixels),
        "PNG of many nameless texts": png_of(9, 9, chunk(b"zTXt", nameless) * 3_000, pixels),
        "PNG of many profiles": png_of(9, 9, profile * 3_000, pixels),
        "PNG of many profiles behind its pixels": png_of(9, 9, pixels, profile * 900),
        "PNG of 300,000 chunks": png_of(9, 9, chunk(b"prVt", b"") * 300_000, pixels),
        "PNG of 300,000 empty chunks of pixels": png_of(9, 9, chunk(b"IDAT", b"") * 300_000, pixels),
    }


def _gifs_and_bmps() -> dict[str, bytes]:
    return {
        "GIF of 2 million blocks of comment": gif_of(9, 9, b"!\xfe" + b"\1a" * 2_000_000 + b"\0"),
        "GIF of 500,000 comments": gif_of(9, 9, b"!\xfe\1a\0" * 500_000),
        "BMP in run lengths, a pixel a row": bmp_of(65_535, 61, b"\1\5\0\0" * 61, bits=8, compression=1),
        "BMP in run lengths without progress": bmp_of(9, 9, b"\1\5" * 2_000_000, bits=8, compression=1),
    }


def _tiffs() -> dict[str, bytes]:
    million = 1_000_000
    offsets = struct.pack("<I", 8) * million
    tiles = [(322, 3, 1, 1), (323, 3, 1, 1), (324, 4, million, None)]
    jpeg = file_of(Image.new("RGB", (512, 512), "red"), "JPEG", progressive=True)
    scans = jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * 5_000 + jpeg[-2:]
    files = {
        "TIFF of a million tiles": tiff_of(1_000, 1_000, offsets, *tiles, without=(273, 278, 279)),
        "TIFF of a million strips": tiff_of(9, 9, offsets, (273, 4, million, None), (278, 4, 1, 1)),
        "TIFF of 60,000 tags": tiff_directory([(tag, 3, 1, 1) for tag in range(60_000)]),
        "TIFF whose tags share one value": tiff_directory(
            [(tag, 7, 400_000, 8) for tag in range(1_000, 5_000)], bytes(400_000)
        ),
        "TIFF of JPEG scans": tiff_of(512, 512, scans, (258, 3, 1, 8), (259, 3, 1, 7), (262, 3, 1, 6), (277, 3, 1, 3)),
    }
    for tag, kind in ((258, 3), (338, 3), (339, 3), (282, 5), (700, 4), (320, 3), (322, 4), (530, 12)):
        long = tiff_of(9, 9, bytes(8 * 500_000), (tag, kind, 500_000, None))
        files[f"TIFF of 500,000 values in tag {tag}"] = long
    for scheme in (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32809, 32946, 34676, 34677, 34887, 34925, 50000, 50001):
        for side in (20_000, 2**31 - 16):
            tile = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, None), (325, 4, 1, 99), (259, 3, 1, scheme)]
            large = tiff_of(9, 9, bytes(99), *tile, without=(273, 278, 279))
            files[f"TIFF of scheme {scheme} with a tile of {side}"] = large
    return files


def near_bombs() -> Iterator[Hostile]:
    """What looks like a bomb and is a photograph: structure just below the limits, and what only resembles it."""
    broad = file_of(Image.new("RGB", (2_000, 2_000), "red"), "JPEG", progressive=True)
    last = broad[broad.rindex(b"\xff\xda") : -2]
    exif = segment(0xE1, b"Exif\0\0x") * 900
    files = {
        "JPEG of 90 scans": broad[:-2] + last * 80 + broad[-2:],
        "JPEG with a film behind": broad + box(b"mdat", b"\xff\xda" * 500),
        "JPEG with EXIF in 900 parts": in_jpeg(file_of(scene(), "JPEG"), exif),
        "PNG of 400 texts": png_of(9, 9, chunk(b"tEXt", b"a\0b") * 400, chunk(b"IDAT", deflated(3_000))),
        "GIF of 60,000 blocks of comment": gif_of(9, 9, b"!\xfe" + b"\1a" * 60_000 + b"\0"),
    }
    yield from (Hostile(name, data, "shown") for name, data in files.items())


def deep_animations() -> Iterator[Hostile]:
    """Thousands of frames, of which the first is the photograph."""
    pixels = zlib.compress(bytes(10 * 3 * 10))

    def control(number: int) -> bytes:
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 9, 9, 0, 0, 1, 10, 0, 0))

    later = [control(2 * n + 1) + chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + pixels) for n in range(10_000)]
    first = control(0) + chunk(b"IDAT", pixels)
    pixel = file_of(scene(1, 1), "WEBP", lossless=True)
    frames = [webp_frame((pixel[12:16], pixel[20:]))] * 20_000
    page = tiff_of(9, 9, bytes(81))
    files = {
        "GIF of 20,000 frames": gif_of(9, 9, gif_frame(0, 0, 9, 9) * 20_000),
        "WEBP of 20,000 frames": webp_animation(9, 9, *frames),
        "PNG of 10,001 frames": png_of(9, 9, chunk(b"acTL", struct.pack(">II", 10_001, 0)), first, *later),
        "PNG that promises two billion frames": png_of(9, 9, chunk(b"acTL", struct.pack(">II", 2**31, 0)), first),
        "TIFF whose pages form a ring": page[:-85] + struct.pack("<I", 8) + page[-81:],
    }
    yield from (Hostile(name, data, "shown") for name, data in files.items())
