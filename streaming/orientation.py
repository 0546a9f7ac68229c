"""How the camera was held: the EXIF (or XMP) orientation of a photograph, and the turn that sets it upright."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

# Where Pillow leaves metadata that may hold an orientation. Most photographs of a catalogue have none: no parsing then.
_SOURCES: Final = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")


def orientation(image: Image.Image) -> int:
    """Read the orientation, 1 to 8; 1 (upright) where there is none, or none that can be read or makes sense.

    Bad metadata is no reason to refuse a good photograph: whatever the parser raises is taken for "no orientation".
    """
    try:
        value = _stated(image)
    except MemoryError:
        raise
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _stated(image: Image.Image) -> object:
    if isinstance(image, TiffImageFile):
        return image.tag_v2.get(ExifTags.Base.Orientation, 1)
    if any(source in image.info for source in _SOURCES):
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def upright(pixels: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Undo an orientation.

    Parameters
    ----------
    pixels : uint8, shape (side, side, 3). Square, so that resizing first and turning after is the same as the other
        way round, at a fraction of the cost.
    turn : 1 to 8, as in EXIF 2.32, 4.6.4 A: which sides of the scene row 0 and column 0 show.

    Returns
    -------
    uint8, shape (side, side, 3), C-contiguous.
    """
    if turn >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if turn in (3, 4, 7, 8) else 1
    columns = -1 if turn in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])
