"""Small pictures of photographs that were featurized, read and decoded as the stream does."""

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from PIL import Image

from conf.s3 import object_store
from conf.settings import Settings
from streaming.archive import archive_key
from streaming.decode import Photograph, decode
from streaming.fetch import Fetcher
from streaming.manifests import Listed
from streaming.naming import with_real_keys
from streaming.refusal import Refusal

SIDE: Final = 96
"""Pixels of the longer side, at most."""
# A kilobyte or two each, at which a fruit is still told from another.
_QUALITY: Final = 60


def thumbnails(settings: Settings, versions: Iterable[Listed]) -> Iterator[bytes | None]:
    """A small WebP of each row's photograph, in order; None where it has left the store, or was overwritten.

    One is held at a time, beside the photographs that are being fetched.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    archive = partial(archive_key, settings.storage) if settings.discovery.clean == "archive" else None
    store = object_store(settings.storage)
    fetcher = Fetcher(store, settings.stream.gets_in_flight, settings.images.max_bytes, archive)
    for _, body in fetcher.fetch(with_real_keys(store, settings.storage, versions)):
        try:
            yield None if isinstance(body, Refusal) else thumbnail(body, settings.images.max_pixels)
        except Refusal:
            yield None


def thumbnail(data: bytes, max_pixels: int) -> bytes:
    """A small WebP of an image file. Refusal where a stream would refuse it."""
    image = small(decode(data, SIDE, max_pixels))
    written = io.BytesIO()
    image.save(written, "WEBP", quality=_QUALITY)
    return written.getvalue()


def small(photograph: Photograph) -> Image.Image:
    """What was squashed to a square, as it was shown."""
    longest = max(photograph.width, photograph.height)
    size = (max(1, SIDE * photograph.width // longest), max(1, SIDE * photograph.height // longest))
    return Image.fromarray(photograph.pixels).resize(size, Image.Resampling.BILINEAR)
