"""Pillow's format classes, the closed list of those that ever run, less what lets metadata fail a good photograph."""

from typing import Final

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from conf.tables import Reason
from streaming.refusal import Refusal

# Metadata comes in sub-blocks of up to 255 bytes: this is 16 MB of it.
_MOST_SUB_BLOCKS: Final = 65_536


class _Jpeg(JpegImageFile):
    """JPEG without the resolution, for which Pillow reads EXIF so early that damage there fails the picture."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _Gif(GifImageFile):
    """GIF with a limit to what may come before the first picture: Pillow keeps a list of every byte of comments."""

    _sub_blocks = 0

    def data(self) -> bytes | None:
        self._sub_blocks += 1
        if self._sub_blocks > _MOST_SUB_BLOCKS:
            limit = f"more than {_MOST_SUB_BLOCKS:,} blocks of metadata"
            raise Refusal(Reason.CORRUPT, f"{limit} before the first picture: no GIF of a photograph has as many")
        return super().data()


class _Tiff(TiffImageFile):
    """TIFF as it is stored.

    Pillow, once the pixels are there, reads every directory of metadata, where damage fails the picture, and turns the
    picture at its full size. Its orientation stays in `tag_v2`.
    """

    def _open(self) -> None:
        super()._open()
        self._size = self._tile_size  # not swapped for a turn to come

    def load_end(self) -> None:
        pass


# The JPEG class also takes MPO (several JPEG pictures in a file, as phones write for depth): the first picture is ours.
READERS: Final[dict[str, type[ImageFile]]] = {
    "JPEG": _Jpeg,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "AVIF": AvifImageFile,
    "GIF": _Gif,
    "BMP": BmpImageFile,
    "TIFF": _Tiff,
}
"""By the names that `signatures.decodable` gives."""
