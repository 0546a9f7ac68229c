"""Whether an image file that failed to decode was cut short, told from the lengths that its own structure announces.

It only runs once decoding has failed, so it may be slow and needs no more than a good guess: damage that changes a
length can pass for a cut.
"""

import io
from collections.abc import Callable
from typing import Final

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from streaming.directory import first_directory


def ends_early(data: bytes, image_format: str) -> bool:
    """Tell whether the file announces more bytes than there are.

    Parameters
    ----------
    data : the whole object.
    image_format : a name that `signatures.decodable` gave for it.
    """
    return _CHECKS[image_format](data)


def _jpeg(data: bytes) -> bool:
    # Segment by segment up to the first scan: the thumbnail inside an EXIF segment has an end marker of its own.
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 2 <= len(data):
        marker = data[at + 1]
        if marker in (0xD9, 0xDA):
            return data.find(b"\xff\xd9", at) < 0
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


def _png(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND" or not kind.isalpha():
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return True


def _gif(data: bytes) -> bool:
    return not data.rstrip(b"\0").endswith(b";")


def _webp(data: bytes) -> bool:
    return 8 + int.from_bytes(data[4:8], "little") > len(data)


def _bmp(data: bytes) -> bool:
    return int.from_bytes(data[2:6], "little") > len(data)


def _avif(data: bytes) -> bool:
    at, kinds = 0, set()
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kinds.add(data[at + 4 : at + 8])
        if size < 8:  # 0: up to the end of the file; 1: a 64-bit size, which no photograph needs
            return False
        at += size
    return at != len(data) or b"mdat" not in kinds


def _tiff(data: bytes) -> bool:
    return _directory_cut(data) or _strips_cut(data)


def _directory_cut(data: bytes) -> bool:
    """Tell whether the first directory, or a value that it keeps elsewhere, lies beyond the end."""
    directory = first_directory(data)
    if directory is None or directory.end > len(data):
        return True
    return any(entry.end is not None and entry.end > len(data) for entry in directory.entries)


def _strips_cut(data: bytes) -> bool:
    """Tell whether pixels lie beyond the end."""
    try:
        stream = io.BytesIO(data)
        directory = ImageFileDirectory_v2(stream.read(16 if 43 in data[2:4] else 8))
        stream.seek(directory.next)
        directory.load(stream)
        offsets = directory.get(_STRIP_OFFSETS) or directory.get(_TILE_OFFSETS) or ()
        lengths = directory.get(_STRIP_BYTE_COUNTS) or directory.get(_TILE_BYTE_COUNTS) or ()
        return any(offset + length > len(data) for offset, length in zip(offsets, lengths, strict=False))
    except MemoryError:
        raise
    except Exception:
        return False  # a directory that cannot be read is damaged, whatever else befell the file


_STRIP_OFFSETS: Final = 273
_STRIP_BYTE_COUNTS: Final = 279
_TILE_OFFSETS: Final = 324
_TILE_BYTE_COUNTS: Final = 325

_CHECKS: Final[dict[str, Callable[[bytes], bool]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "AVIF": _avif,
    "TIFF": _tiff,
}
