"""One object's bytes to the square of pixels that the network sees, or to a refusal with a code.

    signatures -> structure -> Pillow (header, limits, draft, pixels) -> colour -> resize -> white ground -> orientation

Pillow's format classes are called directly rather than through `Image.open`. They are the allow-list (no other parser
is imported, let alone reached), they keep the message of the error that `Image.open` replaces by "cannot identify", and
they leave out its decompression-bomb check, which is one number a process and would compete with `max_pixels`. Where a
format class makes that check by itself (GIF, TIFF, WebP), Pillow's limit holds beside ours: 179 million pixels. It is
also what the first picture of a GIF may take, a byte each, before its size is known here; an AVIF whose pixels are more
than its header says is held by the 268 million of the library below.

While it is decoded, a picture takes up to 16 bytes a pixel (WebP), besides twice the bytes of the file.
"""

import io
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling
from PIL.TiffImagePlugin import TiffImageFile

from conf.tables import Reason
from streaming import signatures
from streaming.colour import MODES, on_white, resizable
from streaming.excess import check_structure
from streaming.orientation import orientation, upright
from streaming.readers import READERS
from streaming.refusal import Refusal, from_decoder
from streaming.silence import PillowSilence, silence_libraries

__all__ = ["Photograph", "decode"]

# JPEG's own limit. Pillow keeps a pointer a row and resize a table a column: a picture of one pixel by fifty million
# would pass `max_pixels` and cost gigabytes.
_LONGEST_SIDE: Final = 65_535

# A JPEG decoder can halve a picture up to three times and works less for it. Stopping at 1.5 times the side keeps the
# result within one grey level, on average, of resizing the whole picture; stopping at 1.0 costs up to three levels.
_DRAFT_MARGIN: Final = 1.5

# Box-average first, then filter the last factor of three: a third of the time for large pictures, no visible change.
_REDUCING_GAP: Final = 3.0

_NEW_SUBFILE_TYPE: Final = 254
_TILE_WIDTH: Final = 322
_TILE_LENGTH: Final = 323
_THUMBNAIL: Final = 1
_SILENCE: Final = PillowSilence()
silence_libraries()


class Photograph(NamedTuple):
    """A decoded photograph.

    Attributes
    ----------
    pixels : uint8, shape (side, side, 3), RGB, C-contiguous; maybe read-only.
    width, height : pixels of the whole picture as shown, that is after orientation.
    format : Pillow's name of the file format, such as JPEG or PNG.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str


def decode(data: bytes, side: int, max_pixels: int) -> Photograph:
    """Decode an image file, once, and squash its whole frame to a square.

    The filter is bilinear with antialiasing. Orientation is applied, transparency is laid on white, the first frame
    stands for an animation; colour profiles are not applied and all other metadata is dropped. Safe to call from
    several threads.

    Parameters
    ----------
    data : the whole object.
    side : width and height of the result, in pixels.
    max_pixels : the largest width x height to decode. Read from the header, before any pixel is decoded.

    Raises
    ------
    Refusal
        With EMPTY, NOT_AN_IMAGE, UNSUPPORTED, TOO_MANY_PIXELS, TRUNCATED or CORRUPT.
    """
    image_format = _recognise(data)
    with _SILENCE:
        try:
            image, frame, (width, height), turn = _load(data, image_format, side, max_pixels)
        except (Refusal, MemoryError):
            raise
        except Exception as error:  # decoders raise nearly every type there is on bad bytes
            raise from_decoder(error, data, image_format) from error
    small = image.resize((side, side), Resampling.BILINEAR, box=frame, reducing_gap=_REDUCING_GAP)
    if turn >= 5:
        width, height = height, width
    return Photograph(upright(on_white(small), turn), width, height, image_format)


def _recognise(data: bytes) -> str:
    if not data:
        raise Refusal(Reason.EMPTY, "the object has no bytes")
    if image_format := signatures.decodable(data):
        return image_format
    if name := signatures.undecoded(data):
        raise Refusal(Reason.UNSUPPORTED, f"{name}: not decoded here, convert it to JPEG or PNG")
    raise Refusal(Reason.NOT_AN_IMAGE, "its first bytes are not those of an image file")


class _Loaded(NamedTuple):
    """An image ready to resize; the part of it that is the picture (None: all); the stored size; the orientation."""

    image: Image
    frame: tuple[int, int, float, float] | None
    size: tuple[int, int]
    turn: int


def _load(data: bytes, image_format: str, side: int, max_pixels: int) -> _Loaded:
    """Read the header, then the pixels."""
    check_structure(data, image_format)
    image = READERS[image_format](io.BytesIO(data))
    width, height = image.size
    _check_size(width, height, max_pixels)
    if isinstance(image, TiffImageFile):
        # One tile may be larger than the picture, and is decoded whole.
        _check_size(_number(image, _TILE_WIDTH), _number(image, _TILE_LENGTH), max_pixels)
    if image.mode not in MODES:
        raise Refusal(Reason.UNSUPPORTED, f"{image_format} with pixels of mode {image.mode}: save it as 8-bit RGB")
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_NEW_SUBFILE_TYPE) == _THUMBNAIL:
        raise Refusal(Reason.UNSUPPORTED, "camera raw file (TIFF whose first picture is a thumbnail)")
    drafted = image.draft(None, (int(side * _DRAFT_MARGIN),) * 2)
    image.load()
    # An eighth of 2,503 columns is 313, the last of them not whole: counted as whole, it would shift the picture.
    frame = drafted[1] if drafted else None
    return _Loaded(resizable(image), frame, (width, height), orientation(image))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels or max(width, height) > _LONGEST_SIDE:
        limit = f"at most {max_pixels:,} pixels, no side above {_LONGEST_SIDE:,}"
        raise Refusal(Reason.TOO_MANY_PIXELS, f"{width:,} x {height:,} pixels; the limit is {limit}")


def _number(image: TiffImageFile, tag: int) -> int:
    value = image.tag_v2.get(tag)
    return value if isinstance(value, int) else 0
