"""The photographs that benches feed in: real ones where FRUITS_SAMPLE_DATA has them, else drawn ones."""

import itertools
import os
from itertools import islice
from pathlib import Path

from scripts.drop import name_files
from scripts.fruit_photos import draw_photos


def photographs(count: int) -> list[tuple[str, bytes]]:
    """Names and bytes; where there are too few, the same again under other names."""
    folder = Path(os.environ.get("FRUITS_SAMPLE_DATA", "../shared/data")) / "fruits360"
    if folder.is_dir():
        return again([(name, path.read_bytes()) for path, name in islice(name_files(folder), count)], count)
    return [(f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(count, seed=0)]


def again(files: list[tuple[str, bytes]], count: int) -> list[tuple[str, bytes]]:
    """`count` files, those that are too few repeated below folders 1/, 2/ and so on."""
    repeated = ((f"{turn}/{name}", data) for turn in itertools.count(1) for name, data in files)
    return files + list(islice(repeated, count - len(files)))
