"""The drawn photographs: same by seed, even by kind, and as varied and as broken as users' own."""

import hashlib
import io
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from scripts.fruit_photos import KINDS, FruitPhoto, draw_bad_objects, draw_photos
from scripts.fruit_photos.photos import encode

LARGE_PIXELS = 1_200_000


@pytest.fixture(scope="module")
def photos() -> list[FruitPhoto]:
    return list(draw_photos(6 * len(KINDS), seed=5))


def opened(photo: FruitPhoto) -> Image.Image:
    return Image.open(io.BytesIO(photo.data))


def test_same_seed_draws_the_same_files(photos: list[FruitPhoto]) -> None:
    assert list(draw_photos(6, seed=5)) == photos[:6]


def test_another_seed_draws_other_pictures(photos: list[FruitPhoto]) -> None:
    others = draw_photos(6, seed=6)
    assert all(other.data != photo.data for other, photo in zip(others, photos, strict=False))


def test_another_process_draws_the_same_files(photos: list[FruitPhoto]) -> None:
    program = (
        "import hashlib, sys\n"
        "from scripts.fruit_photos import draw_photos\n"
        "print(hashlib.sha256(b''.join(p.data for p in draw_photos(3, 5))).hexdigest())\n"
        "print('tensorflow' in sys.modules, 'pyspark' in sys.modules)\n"
    )
    digest = hashlib.sha256(b"".join(photo.data for photo in photos[:3])).hexdigest()
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == [digest, "False", "False"]


@pytest.mark.parametrize(("start", "count"), [(0, 5), (7, 9), (66, 6)])
def test_a_slice_is_that_part_of_the_series(photos: list[FruitPhoto], start: int, count: int) -> None:
    assert list(draw_photos(count, seed=5, start=start)) == photos[start : start + count]


def test_kinds_are_balanced_from_any_start() -> None:
    labels = Counter(photo.label for photo in draw_photos(2 * len(KINDS), seed=1, start=5))
    assert labels == dict.fromkeys(KINDS, 2)


def test_names_are_unique_and_end_as_the_format_says(photos: list[FruitPhoto]) -> None:
    assert len({photo.name for photo in photos}) == len(photos)
    ends = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}
    assert all(photo.name.lower().endswith(ends[str(opened(photo).format)]) for photo in photos)


def test_every_photo_decodes_at_a_small_size(photos: list[FruitPhoto]) -> None:
    for photo in photos:
        picture = opened(photo)
        picture.load()
        assert 100 <= max(picture.size) <= 480, photo.name
        assert min(picture.size) >= 100, photo.name
        assert np.asarray(picture).std() > 8, f"{photo.name} is nearly of one colour"


def test_formats_modes_sizes_and_orientations_all_occur(photos: list[FruitPhoto]) -> None:
    pictures = [opened(photo) for photo in photos]
    assert {picture.format for picture in pictures} == {"JPEG", "PNG", "WEBP"}
    assert {"RGB", "L"} <= {picture.mode for picture in pictures}
    assert {100, 480} <= {max(picture.size) for picture in pictures}
    assert {None, 3, 6, 8} <= {picture.getexif().get(ExifTags.Base.Orientation) for picture in pictures}


def test_large_photos_come_only_when_asked() -> None:
    large = [opened(photo) for photo in draw_photos(6, seed=2, large_share=1.0)]
    assert all(picture.width * picture.height >= LARGE_PIXELS for picture in large)
    assert len({max(picture.size) for picture in large}) > 1


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_a_viewer_shows_the_stored_picture_upright(orientation: int | None) -> None:
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste("red", (0, 0, 30, 20))
    stored = Image.open(io.BytesIO(encode(upright, "png", 90, orientation)))
    shown = ImageOps.exif_transpose(stored)
    assert np.array_equal(np.asarray(shown), np.asarray(upright))
    assert stored.size == ((40, 60) if orientation in (6, 8) else (60, 40))


def test_kinds_differ_in_colour(photos: list[FruitPhoto]) -> None:
    def redness(label: str) -> float:
        middles = [
            np.asarray(opened(p).convert("RGB").resize((32, 32)), float)[8:24, 8:24] for p in photos if p.label == label
        ]
        return float(np.mean([middle[..., 0].mean() - middle[..., 1].mean() for middle in middles]))

    assert redness("lime") < redness("lemon") < redness("strawberry")


@pytest.mark.parametrize(("count", "start", "large_share"), [(-1, 0, 0.0), (1, -1, 0.0), (1, 0, 1.5)])
def test_nonsense_is_refused_at_once(count: int, start: int, large_share: float) -> None:
    with pytest.raises(ValueError, match="must"):
        draw_photos(count, seed=0, start=start, large_share=large_share)


def test_no_bad_object_gives_a_picture() -> None:
    bad = {photo.name: photo for photo in draw_bad_objects(seed=3)}
    raised = {}
    for name, photo in bad.items():
        with pytest.raises((OSError, Image.DecompressionBombError)) as refusal:
            opened(photo).load()
        raised[name] = refusal.type
    assert raised == {
        "empty.jpg": UnidentifiedImageError,
        "text.jpg": UnidentifiedImageError,
        "truncated.jpg": OSError,
        "damaged.png": OSError,
        "phone.heic": UnidentifiedImageError,
        "bomb.png": Image.DecompressionBombError,
    }


def test_bad_objects_are_what_their_names_say() -> None:
    bad = {photo.name: photo.data for photo in draw_bad_objects(seed=3)}
    assert bad["empty.jpg"] == b""
    assert "Pommes" in bad["text.jpg"].decode()
    assert bad["truncated.jpg"].startswith(b"\xff\xd8\xff")
    assert not bad["truncated.jpg"].endswith(b"\xff\xd9")
    assert bad["damaged.png"].startswith(b"\x89PNG")
    assert bad["phone.heic"][4:12] == b"ftypheic"
    assert len(bad["bomb.png"]) < 20_000
    assert {photo.label for photo in draw_bad_objects(seed=3)} == {"mixed"}


@pytest.mark.parametrize("seed", range(8))
def test_bad_objects_are_bad_by_any_seed(seed: int) -> None:
    for photo in draw_bad_objects(seed):
        with pytest.raises((OSError, Image.DecompressionBombError)):
            opened(photo).load()
