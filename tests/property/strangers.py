"""Objects that are something else, as well as a photograph or altogether."""

from collections.abc import Iterator

from tests.property.containers import box, in_jpeg, segment
from tests.property.objects import CANARY, SMALL, Hostile
from tests.unit.image_corpus import chunk


def polyglots() -> Iterator[Hostile]:
    """Photographs that are something else as well: the photograph is shown, nothing else ever runs."""
    archive = b"PK\3\4\x14\0\0\0\0\0" + CANARY + b"PK\1\2" + bytes(42) + b"PK\5\6" + bytes(18)
    script = b"<html><script>alert('" + CANARY + b"')</script></html>"
    jpeg, png = SMALL["JPEG"], SMALL["PNG"]
    yield Hostile("JPEG and ZIP", jpeg + archive, "shown")
    yield Hostile("JPEG and HTML", in_jpeg(jpeg, segment(0xFE, script)), "shown")
    yield Hostile("JPEG and a program", jpeg + b"\x7fELF\2\1\1" + bytes(57), "shown")
    yield Hostile("PNG and HTML", png[:33] + chunk(b"tEXt", b"Comment\0" + script) + png[33:], "shown")
    yield Hostile("PNG and ZIP", png + archive, "shown")
    yield Hostile("PNG and PDF", png[:33] + chunk(b"tEXt", b"a\0%PDF-1.7") + png[33:], "shown")
    yield Hostile("GIF and JavaScript", b"GIF89a=1/*" + SMALL["GIF"][10:] + b"*/;alert(1)", "either")
    yield Hostile("GIF and JavaScript, whole", SMALL["GIF"] + b"=1;/*" + script + b"*/", "shown")
    yield Hostile("BMP and a program", SMALL["BMP"] + b"MZ" + bytes(200), "shown")
    yield Hostile("TIFF and PostScript", SMALL["TIFF"] + b"%!PS\n(" + CANARY + b") run", "shown")
    yield Hostile("WEBP and ZIP", SMALL["WEBP"] + archive, "shown")
    yield Hostile("ZIP and JPEG", archive + jpeg, "refused")
    yield Hostile("PDF and JPEG", b"%PDF-1.7\n" + jpeg, "refused")
    yield Hostile("PostScript and JPEG", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" + jpeg, "refused")


def other_formats() -> Iterator[Hostile]:
    """What Pillow could open and we do not, and what no image library could."""
    text = CANARY.decode() + ": pommes, poires et cerises\n" * 9
    zeros = bytes(200)
    others = {
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + zeros,
        "JPEG 2000 code": b"\xff\x4f\xff\x51" + zeros,
        "JPEG XL": b"\xff\x0a" + zeros,
        "JPEG XL box": b"\0\0\0\x0cJXL \r\n\x87\n" + zeros,
        "icon": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + zeros,
        "cursor": b"\0\0\2\0\1\0\x10\x10\0\0\1\0\x20\0" + zeros,
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(" + CANARY + b") run\n",
        "EPS, binary": b"\xc5\xd0\xd3\xc6" + zeros,
        "FITS": b"SIMPLE  =                    T" + b" " * 2_850,
        "WMF": b"\xd7\xcd\xc6\x9a" + zeros,
        "EMF": b"\1\0\0\0" + zeros[:36] + b" EMF" + zeros,
        "FLI": bytes(4) + b"\x11\xaf" + zeros,
        "PCX": b"\x0a\5\1\x08" + zeros,
        "SGI": b"\x01\xda\0\1" + zeros,
        "Sun raster": b"\x59\xa6\x6a\x95" + zeros,
        "Photoshop": b"8BPS\0\1" + zeros,
        "Targa": zeros + b"TRUEVISION-XFILE.\0",
        "XBM": b"#define x_width 9\n#define x_height 9\nstatic char x_bits[] = {0};\n",
        "XPM": b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c red", "a"};\n',
        "Netpbm": b"P6\n9 9\n255\n" + zeros,
        "DirectDraw": b"DDS " + zeros,
        "GRIB": b"GRIB" + zeros,
        "HDF5": b"\x89HDF\r\n\x1a\n" + zeros,
        "MPEG": b"\0\0\1\xb3" + zeros,
        "McIdas": bytes(3) + b"\0\0\0\0\4" + zeros,
        "Mac icons": b"icns" + zeros,
        "PIXAR": b"\x80\xe8\0\0" + zeros,
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>' + CANARY + b"</script></svg>",
        "SVG that expands": b'<!DOCTYPE svg [<!ENTITY a "&a;&a;">]><svg>&a;</svg>',
        "HTML": b"<!doctype html><title>" + CANARY + b"</title>",
        "PDF": b"%PDF-1.7\n" + CANARY,
        "ZIP": b"PK\3\4" + zeros,
        "gzip": b"\x1f\x8b\x08\0" + zeros,
        "ELF": b"\x7fELF\2\1\1" + zeros,
        "PE": b"MZ" + zeros[:58] + b"\x80\0\0\0" + zeros[:64] + b"PE\0\0",
        "Mach-O": b"\xcf\xfa\xed\xfe" + zeros,
        "class file": b"\xca\xfe\xba\xbe" + zeros,
        "script": b"#!/bin/sh\necho " + CANARY,
        "pickle": b"\x80\4\x95\x10\0\0\0\0\0\0\0\x8c\5posix\x94.",
        "text": text.encode(),
        "UTF-16": text.encode("utf-16"),
        "UTF-16, big": text.encode("utf-16-be"),
        "UTF-32": text.encode("utf-32"),
        "Latin-1": "pêche à point\n".encode("latin-1") * 9,
        "BM in a text": b"BM" + text.encode(),
        "film": box(b"ftyp", b"isom", bytes(4), b"isommp42") + zeros,
        "sound": b"RIFF\x24\0\0\0WAVEfmt " + zeros,
        "RIFF of nothing": b"RIFF\0\0\0\0WEBP",
        "Parquet": b"PAR1" + zeros + b"PAR1",
    }
    for name, data in others.items():
        yield Hostile(name, data, "refused")
    for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"crx ", b"avif", b"avis", b"jpx "):
        for tail in (
            b"",
            zeros,
            box(b"meta", bytes(4), CANARY),
            box(b"meta", bytes(4)) * 400,
            b"\0\0\0\1mdat" + b"\xff" * 8,
        ):
            data = box(b"ftyp", brand, bytes(4), brand) + tail
            yield Hostile(f"ISO file of {brand.decode()} and {len(tail)}", data, "refused")
    for size in (0, 1, 2, 3, 4, 8, 16, 64, 1_000, 100_000):
        for value in (0, 0x20, 0x41, 0xFF):
            yield Hostile(f"{size} bytes of {value:x}", bytes([value]) * size, "refused")
    for start in sorted({data[:end] for data in SMALL.values() for end in range(1, 13)}):
        yield Hostile(f"signature {start!r}", start, "refused")
