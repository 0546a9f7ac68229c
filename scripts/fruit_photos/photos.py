"""Photographs as users drop them: files of several sizes, formats, qualities and orientations."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageFilter

from scripts.fruit_photos.kinds import KINDS as _KINDS
from scripts.fruit_photos.scene import draw_scene
from scripts.fruit_photos.textures import SIDE, Rng, noise

KINDS = tuple(_KINDS)
"""Labels of the kinds of fruit that are drawn."""

_SMALL_SIDES = (100, 160, 224, 320, 480)
_SMALL_SHARES = (0.3, 0.15, 0.2, 0.2, 0.15)
_LARGE = ((1280, 960), (2048, 1536), (3264, 2448), (4032, 3024))
_DRAWN_SIDE, _DRAWN_SIDE_LARGE = 320, 640
_SHAPES = ((1.0, 1.0), (1.0, 0.75), (0.75, 1.0), (1.0, 2 / 3))
_NAMES = (
    "{label}_{index:06d}{end}",
    "IMG_{index:06d}{upper}",
    "photo {index:06d} ({label}){end}",
    "récolte {index:06d}{end}",
)

_TURN_FOR_STORING = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held another way up turns the upright picture, by the EXIF orientation that it then writes."""


@dataclass(frozen=True)
class FruitPhoto:
    """One file in a user's folder."""

    label: str
    """Folder that it lies in: the kind of fruit."""
    name: str
    """File name with extension."""
    data: bytes


def draw_photos(count: int, seed: int, *, start: int = 0, large_share: float = 0.0) -> Iterator[FruitPhoto]:
    """Draw photographs number `start` to `start + count - 1` of an endless series.

    Photograph i depends on `seed`, i and `large_share` alone, so that slices of a series make it up; the kinds take
    turns, so that every len(KINDS) photographs in a row show each kind once. Names are unique within a seed.

    Parameters
    ----------
    large_share:
        Share of photographs of 1.2 to 12 megapixels, which take some 15 times as long; the others measure 100 to
        480 pixels along the longer side.

    Raises
    ------
    ValueError
        When `count` or `start` is negative, or `large_share` lies outside [0, 1].
    """
    if count < 0 or start < 0:
        raise ValueError(f"count and start must be 0 or more, not {count} and {start}")
    if not 0 <= large_share <= 1:
        raise ValueError(f"large_share must lie in [0, 1], not {large_share}")
    return (_draw_photo(index, seed, large_share) for index in range(start, start + count))


def _draw_photo(index: int, seed: int, large_share: float) -> FruitPhoto:
    rng = np.random.default_rng((seed, index))
    label = KINDS[index % len(KINDS)]
    large = bool(rng.random() < large_share)
    picture = _draw_picture(label, large, rng).convert("L" if rng.random() < 0.03 else "RGB")
    kind = "jpeg" if large else str(rng.choice(["jpeg", "png", "webp"], p=[0.9, 0.05, 0.05]))
    quality = int(rng.integers(86, 97) if large else rng.integers(62, 96))
    orientation = int(rng.choice([1, 3, 6, 8], p=[0.25, 0.15, 0.45, 0.15])) if rng.random() < 0.3 else None
    end = ".jpg" if kind == "jpeg" and rng.random() < 0.85 else f".{kind}"
    name = str(rng.choice(_NAMES, p=[0.6, 0.25, 0.1, 0.05])).format(
        label=label, index=index, end=end, upper=end.upper()
    )
    return FruitPhoto(label, name, encode(picture, kind, quality, orientation))


def _draw_picture(label: str, large: bool, rng: Rng) -> Image.Image:
    """A scene, drawn no larger than shows, blurred as cheap lenses do, brought to size, with noise of that size."""
    width, height = _size(large, rng)
    scale = min(1.0, (_DRAWN_SIDE_LARGE if large else _DRAWN_SIDE) / max(width, height))
    picture = Image.fromarray(draw_scene(_KINDS[label], round(height * scale), round(width * scale), rng))
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    return _grainy(picture.resize((width, height), Image.Resampling.BICUBIC), rng)


def _size(large: bool, rng: Rng) -> tuple[int, int]:
    if large:
        longer, shorter = _LARGE[int(rng.integers(len(_LARGE)))]
        return (longer, shorter) if rng.random() < 0.5 else (shorter, longer)
    side = int(rng.choice(_SMALL_SIDES, p=_SMALL_SHARES))
    across, down = _SHAPES[int(rng.integers(len(_SHAPES)))] if side > 150 else _SHAPES[0]
    return round(side * across), round(side * down)


def _grainy(picture: Image.Image, rng: Rng) -> Image.Image:
    """Sensor noise, added at the size of the file: what was drawn small must not look smooth when large."""
    rows, columns = ((np.arange(size) + rng.integers(SIDE)) % SIDE for size in (picture.height, picture.width))
    tile = (noise(0.3).height * np.float32(rng.gamma(2.0, 0.9))).astype(np.int16)
    grainy = np.asarray(picture) + tile[np.ix_(rows, columns)][..., None]
    return Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8))


def encode(upright: Image.Image, kind: str, quality: int, orientation: int | None = None) -> bytes:
    """File of a picture in format `kind`, stored turned, with the EXIF `orientation` that sets it upright again."""
    stored = upright.transpose(_TURN_FOR_STORING[orientation]) if orientation in _TURN_FOR_STORING else upright
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    stored.save(file, kind, quality=quality, exif=exif, method=2, compress_level=3)
    return file.getvalue()
