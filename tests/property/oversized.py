"""Headers that announce more pixels than anybody wants, or none, over little or nothing."""

from collections.abc import Iterator

from tests.property.containers import avif_of, bmp_of, deflated, gif_frame, gif_of, png_of, tiff_of, webp_animation
from tests.property.objects import Hostile
from tests.unit.image_corpus import chunk, file_of, jpeg_with_header, scene

_JPEG = file_of(scene(), "JPEG")
_AVIF = file_of(scene(), "AVIF", speed=10)


def oversized() -> Iterator[Hostile]:
    """Sides of 16 bits, of 31 bits, and none at all; frames beyond their screens."""
    for width, height in ((65_535, 65_535), (65_535, 62), (2_001, 2_000), (1, 65_535 * 62), (2**31 - 1, 2**31 - 1)):
        files = _headers(width, height)
        if max(width, height) < 65_536:
            files |= _short_headers(width, height)
            files["GIF frame"] = gif_of(1, 1, frame=gif_frame(0, 0, width, height))
        files["WEBP"] = webp_animation(min(width, 1 << 24), min(height, 1 << 24))
        yield from (Hostile(f"{name} of {width} x {height}", data, "refused") for name, data in files.items())
    for width, height in ((0, 0), (0, 5), (5, 0)):
        files = _headers(width, height) | _short_headers(width, height)
        yield from (Hostile(f"{name} of {width} x {height}", data, "refused") for name, data in files.items())
    for left, top in ((65_535, 65_535), (0, 65_535), (60_000, 0)):
        beyond = gif_of(1, 1, frame=gif_frame(left, top, 60_000, 60_000))
        yield Hostile(f"GIF frame at {left}, {top}", beyond, "refused")
    # Pillow fills such a frame before anybody can ask for its size.
    cleared = gif_of(1, 1, b"!\xf9\4\x09\0\0\0\0", frame=gif_frame(0, 0, 13_000, 13_000))
    yield Hostile("GIF with a large frame to clear", cleared, "refused")


def _headers(width: int, height: int) -> dict[str, bytes]:
    pixels = chunk(b"IDAT", deflated(1_000))
    return {
        "PNG": png_of(width, height, pixels),
        "PNG interlaced": png_of(width, height, pixels, interlace=1),
        "BMP": bmp_of(width, height, bytes(100)),
        "BMP upside down": bmp_of(width, -height, bytes(100)),
        "TIFF": tiff_of(width, height, bytes(100)),
        "TIFF deflate": tiff_of(width, height, deflated(1_000), (259, 3, 1, 8)),
        "AVIF": avif_of(_AVIF, ispe=(width, height)),
    }


def _short_headers(width: int, height: int) -> dict[str, bytes]:
    """Headers with sides of 16 bits."""
    return {"JPEG": jpeg_with_header(_JPEG, height=height, width=width), "GIF": gif_of(width, height)}
