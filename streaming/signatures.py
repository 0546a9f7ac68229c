"""What an object is, told from its first bytes: names and content types lie, signatures rarely do."""

from typing import Final

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADER_SIZES: Final = frozenset({12, 40, 52, 56, 64, 108, 124})

_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

# Camera raw files come before TIFF in the search: most of them are TIFF files whose first picture is a thumbnail.
_UNDECODED: Final = (
    ("JPEG XL image", (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),
    ("JPEG 2000 image", (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
    ("JPEG XR image", (b"II\xbc\x01",)),
    ("camera raw file", (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")),
    ("Photoshop document", (b"8BPS",)),
    ("PDF document", (b"%PDF-",)),
    ("PostScript document", (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    ("icon", (b"\0\0\1\0", b"\0\0\2\0", b"icns")),
    ("OpenEXR image", (b"v/1\x01",)),
    ("Radiance image", (b"#?RADIANCE", b"#?RGBE")),
    ("DirectDraw texture", (b"DDS ",)),
    ("QOI image", (b"qoif",)),
    ("BPG image", (b"BPG\xfb",)),
    ("GIMP document", (b"gimp xcf",)),
    ("Netpbm image", tuple(b"P%d%c" % (kind, blank) for kind in range(1, 8) for blank in b"\n\r")),
)


def decodable(data: bytes) -> str | None:
    """Name the format (as Pillow does: JPEG, PNG, GIF, WEBP, AVIF, BMP, TIFF) of bytes that we decode, else None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if _brands(data) & {b"avif", b"avis"}:
        return "AVIF"
    if data.startswith(_TIFF) and data[8:10] != b"CR":
        return "TIFF"
    # Two letters are no proof, any text may begin with them: the size of the header that follows is.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return None


def undecoded(data: bytes) -> str | None:
    """Name, in words, the kind of picture or document that we know of and do not decode, else None."""
    for name, signatures in _UNDECODED:
        if data.startswith(signatures):
            return name
    brands = _brands(data)
    if brands & _HEIF_BRANDS:
        return "HEIC or HEIF photograph"
    if b"crx " in brands or (data.startswith(_TIFF) and data[8:10] == b"CR"):
        return "camera raw file"
    head = data[:1024].lstrip(b"\xef\xbb\xbf\t\r\n ")
    if head.startswith((b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in head:
        return "SVG drawing"
    return None


def _brands(data: bytes) -> frozenset[bytes]:
    """List the brands of an ISO media file (HEIF, AVIF, and films too): the major one and the compatible ones."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return frozenset({data[8:12], *(data[at : at + 4] for at in range(16, end, 4))})
