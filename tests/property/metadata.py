"""Good pixels under bad metadata: EXIF, profiles and texts that are cyclic, huge, of wrong types, or nonsense."""

import itertools
import zlib
from collections.abc import Iterator

from tests.property.containers import bitstream_of, deflated, exif_of, in_jpeg, riff, segment, tiff_of, webp_canvas
from tests.property.objects import CANARY, Fate, Hostile
from tests.unit.image_corpus import chunk, file_of, scene

_JPEG = file_of(scene(9, 7), "JPEG")
_PNG = file_of(scene(9, 7), "PNG")
_WEBP = file_of(scene(9, 7), "WEBP", lossless=True)
_TYPES = (0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 99)
_TIFF_TAGS = (270, 274, 282, 305, 330, 700, 33723, 34377, 34665, 34675, 34853, 37500, 40965)
_APPLICATIONS = (
    b"",
    b"JFIF",
    b"Adobe",
    b"MPF\0",
    b"Photoshop 3.0\x008BIM\3\xed\xff",
    b"http://ns.adobe.com/xap/1.0/\0",
)
_CHUNKS = ["tEXt", "zTXt", "iTXt", "gAMA", "cHRM", "sRGB", "pHYs", "tRNS", "PLTE", "acTL", "fcTL", "hIST", "tIME"]
_NAMES = (b"", b"\0", b"bbox\0", b"transparency\0", b"exif\0", b"icc_profile\0", b"interlace\0", b"\xff" * 40)


def bad_metadata() -> Iterator[Hostile]:
    """The photograph is shown, except where the metadata are part of the pixels' own structure."""
    yield from _exif()
    yield from _tiff_tags()
    yield from _profiles()
    for marker, start in itertools.product((*range(0xE0, 0xF0), 0xFE), _APPLICATIONS):
        yield Hostile(f"JPEG with {marker:x}: {start[:9]!r}", in_jpeg(_JPEG, segment(marker, start + CANARY)), "either")
    for kind, name in itertools.product(_CHUNKS, _NAMES):
        for text in (b"", CANARY, zlib.compress(CANARY)):
            yield Hostile(
                f"PNG with {kind} {name[:5]!r} {len(text)}", _in_png(chunk(kind.encode(), name + text)), "either"
            )


def _in_png(*chunks: bytes) -> bytes:
    return _PNG[:33] + b"".join(chunks) + _PNG[33:]


def _exif() -> Iterator[Hostile]:
    exifs = {
        "garbage": b"Exif\0\0" + CANARY,
        "a ring of directories": exif_of((34665, 4, 1, 8), (34853, 4, 1, 8), (40965, 4, 1, 8), following=8),
        "nothing": b"Exif\0\0",
        "the other byte order": exif_of((274, 3, 1, 6), order=">"),
        "tags that share a value": exif_of(*((tag, 7, 40_000, 8) for tag in range(1_000)), data=bytes(40_000)),
        **{f"orientation {turn}": exif_of((274, 3, 1, turn)) for turn in (0, 9, 65_535)},
    }
    for tag, kind, count in itertools.product((274, 282, 296), _TYPES, (0, 1, 2, 2**31)):
        exifs[f"tag {tag} of type {kind} x {count}"] = exif_of((tag, kind, count, 0x37), data=bytes(16))
    for name, exif in exifs.items():
        extended = riff(webp_canvas(9, 7, 8), bitstream_of(_WEBP), (b"EXIF", exif))
        yield Hostile(f"JPEG with EXIF: {name}", in_jpeg(_JPEG, segment(0xE1, exif[:65_000])), "shown")
        yield Hostile(f"PNG with EXIF: {name}", _in_png(chunk(b"eXIf", exif[6:])), "shown")
        yield Hostile(f"WEBP with EXIF: {name}", extended, "shown")


def _tiff_tags() -> Iterator[Hostile]:
    places = ((1, 2**32 - 1), (1, 8), (2, 7), (90, None))
    for tag, kind, (count, value) in itertools.product(_TIFF_TAGS, _TYPES, places):
        # A tag that points nowhere is the last that Pillow reads, and those of the pixels may come after it.
        fate: Fate = "either" if tag < 273 and value == 2**32 - 1 else "shown"
        entry = (tag, kind, count, value if kind != 3 or value is None else value % 65_536)
        name = f"tag {tag} of type {kind} x {count} at {value}"
        yield Hostile(f"TIFF with {name}", tiff_of(9, 9, bytes(1_000), entry), fate)
        yield Hostile(f"deflated TIFF with {name}", tiff_of(9, 9, deflated(1_000), (259, 3, 1, 8), entry), fate)


def _profiles() -> Iterator[Hostile]:
    rgb, cmyk = (bytes(12) + b"mntr" + space + b"XYZ " + bytes(100) for space in (b"RGB ", b"CMYK"))
    profiles = {"garbage": CANARY, "CMYK": cmyk, "cut": rgb[:20], "huge": rgb + bytes(900_000), "empty": b""}
    for name, profile in profiles.items():
        parts = [profile[at : at + 60_000] for at in range(0, len(profile) or 1, 60_000)]
        numbered = [segment(0xE2, b"ICC_PROFILE\0" + bytes([n + 1, len(parts)]) + part) for n, part in enumerate(parts)]
        strange = numbered[1:] or numbered * 9
        files = {
            "PNG": _in_png(chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))),
            "JPEG": in_jpeg(_JPEG, *numbered),
            "JPEG, in parts that do not add up,": in_jpeg(_JPEG, *strange),
            "WEBP": riff(webp_canvas(9, 7, 32), (b"ICCP", profile), bitstream_of(_WEBP)),
            "TIFF": tiff_of(9, 9, bytes(81) + profile, (34675, 7, len(profile), None)),
        }
        yield from (Hostile(f"{kind} with a profile: {name}", data, "shown") for kind, data in files.items())
