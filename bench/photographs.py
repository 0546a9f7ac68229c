"""The photographs that benches feed in: real ones where FRUITS_SAMPLE_DATA has them, else drawn ones."""

import io
import itertools
import math
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from PIL import Image

from scripts.drop import name_files
from scripts.fruit_photos import draw_photos

# Different large ones; the others are these under other names.
_LARGE = 10


def photographs(count: int) -> list[tuple[str, bytes]]:
    """Names and bytes; where there are too few, the same again under other names."""
    folder = _sample("fruits360")
    if folder.is_dir():
        return _again(_read(folder, count), count)
    return _drawn(count)


def large_photographs(count: int, megapixels: float) -> list[tuple[str, bytes]]:
    """Names and bytes of JPEGs of so many million pixels; those of the right size already are taken as they are."""
    folder = _sample("fullsize")
    files = _read(folder, min(count, _LARGE)) if folder.is_dir() else _drawn(min(count, _LARGE))
    return _again([(f"{Path(name).with_suffix('.jpg')}", _scaled(data, megapixels)) for name, data in files], count)


def _sample(name: str) -> Path:
    return Path(os.environ.get("FRUITS_SAMPLE_DATA", "../shared/data")) / name


def _read(folder: Path, count: int) -> list[tuple[str, bytes]]:
    return [(name, path.read_bytes()) for path, name in islice(name_files(folder), count)]


def _drawn(count: int) -> list[tuple[str, bytes]]:
    return [(f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(count, seed=0)]


def _again(files: list[tuple[str, bytes]], count: int) -> list[tuple[str, bytes]]:
    """The files, then the same below folders 1/, 2/ and so on: one body in memory for all its names."""
    repeated: Iterable[tuple[str, bytes]] = (
        (f"{turn}/{name}", data) for turn in itertools.count(1) for name, data in files
    )
    return files + list(islice(repeated, count - len(files)))


def _scaled(data: bytes, megapixels: float) -> bytes:
    image = Image.open(io.BytesIO(data))
    factor = math.sqrt(megapixels * 1e6 / (image.width * image.height))
    if image.format == "JPEG" and 0.95 < factor < 1.05:
        return data
    larger = image.convert("RGB").resize((round(image.width * factor), round(image.height * factor)))
    file = io.BytesIO()
    larger.save(file, "JPEG", quality=92)
    return file.getvalue()
