"""More structure than a photograph has: what would keep a decoder busy for hours, or fill memory, from a small file.

Decoders bound the work for pixels, and few of them the work for everything else. An example each, on one core: 31 bytes
of a further JPEG scan cost 60 ms at 100 megapixels, a kilobyte of a compressed PNG text 2 ms, four bytes of a TIFF tile
14 us, a pixel of a run-length BMP 0.2 us. The structure is looked at before any decoder sees the file, so that the same
file is refused at every run and on every machine, which no time limit would do.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from conf.tables import Reason
from streaming.directory import first_directory
from streaming.refusal import Refusal

# Three channels of 64 coefficients could be sent in more scans; encoders use a dozen, and libtiff has the same limit.
_MOST_SCANS: Final = 100
# EXIF, profile and XMP of 64 MB fit in. Pillow joins parts of EXIF in a time that grows with their number squared.
_MOST_SEGMENTS: Final = 1_000
# Apart from pixels and frames.
_MOST_METADATA_CHUNKS: Final = 500
_MOST_CHUNKS: Final = 65_536
_MOST_TAGS: Final = 4_096
# A strip a row of the highest picture, and tiles of 40 pixels square of the largest.
_MOST_VALUES: Final = 65_536
# Pixels, and bytes, of a BMP in run lengths, for which Pillow's decoder is a loop in Python.
_LONGEST_RUN_LENGTHS: Final = 2_000_000


def check_structure(data: bytes, image_format: str) -> None:
    """Refuse a file that is cut into far more pieces than any camera or editor writes.

    Damage is none of its business: where the structure breaks off, it stops looking. Costs microseconds on a small
    photograph, and a few milliseconds on 50 MB.

    Parameters
    ----------
    data : the whole object.
    image_format : a name that `signatures.decodable` gave for it.

    Raises
    ------
    Refusal
        With CORRUPT, or with UNSUPPORTED for a large BMP in run lengths.
    """
    if check := _CHECKS.get(image_format):
        check(data)


def _at_most(limit: int, count: int, what: str) -> None:
    if count > limit:
        raise Refusal(Reason.CORRUPT, f"more than {limit:,} {what}: no photograph has as many")


# Stuffing, fill bytes and the markers that stand alone (restarts, start, those reserved) are not followed by a length,
# nor is the end.
_SEGMENT: Final = re.compile(rb"\xff([\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe])")
_END, _SCAN = 0xD9, 0xDA
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1, 0xC3, 0xC9, 0xCB})
_SMALL: Final = 20_000


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the markers of a JPEG that have a length, and the end, each with the place behind it."""
    at = 2
    while found := _SEGMENT.search(data, at):
        marker, at = found[1][0], found.end()
        yield marker, at
        if marker != _END:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def _jpeg(data: bytes) -> None:
    # Most photographs of a catalogue are so small that their marker bytes are soon counted, stuffing and all.
    if len(data) < _SMALL and data.count(b"\xff") <= _MOST_SCANS:
        return
    scans, channels = 0, b"\xff"
    for segments, (marker, at) in enumerate(_segments(data), 1):
        _at_most(_MOST_SEGMENTS, segments, "segments")
        if marker in _SEQUENTIAL:
            channels = data[at + 7 : at + 8]
        elif marker == _END and scans:
            return
        elif marker == _SCAN:
            scans += 1
            _at_most(_MOST_SCANS, scans, "scans")
            if scans == 1 and (data[at + 2 : at + 3] >= channels or data.count(b"\xff\xda", at) < _MOST_SCANS):
                # One scan of all channels is the only one that a sequential picture has. Others are counted by their
                # marker first, fast and never too few: a film appended to the picture holds some, too.
                return


def _png(data: bytes) -> None:
    at, chunks, metadata = 8, 0, 0
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return
        chunks += 1
        _at_most(_MOST_CHUNKS, chunks, "chunks")
        if kind not in (b"IDAT", b"fdAT", b"fcTL"):
            metadata += 1
            _at_most(_MOST_METADATA_CHUNKS, metadata, "chunks of metadata")
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _bmp(data: bytes) -> None:
    header, compression = int.from_bytes(data[14:18], "little"), int.from_bytes(data[30:34], "little")
    if header < 40 or compression not in (1, 2):
        return
    width = int.from_bytes(data[18:22], "little")
    height = abs(int.from_bytes(data[22:26], "little", signed=True))
    if max(width * height, len(data)) > _LONGEST_RUN_LENGTHS:
        limit = f"the limit is {_LONGEST_RUN_LENGTHS:,} of each, save it as PNG"
        raise Refusal(
            Reason.UNSUPPORTED, f"BMP in run lengths, {width * height:,} pixels in {len(data):,} bytes: {limit}"
        )


def _tiff(data: bytes) -> None:
    directory = first_directory(data)
    if directory is None:
        return
    _at_most(_MOST_TAGS, directory.length, "tags")
    for entry in directory.entries:
        if entry.type not in _BYTES_AND_TEXT:
            _at_most(_MOST_VALUES, entry.values, f"values in tag {entry.tag}")


_BYTES_AND_TEXT: Final = frozenset({1, 2, 7})

_CHECKS: Final[dict[str, Callable[[bytes], None]]] = {"JPEG": _jpeg, "PNG": _png, "BMP": _bmp, "TIFF": _tiff}
