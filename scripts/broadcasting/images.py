"""Images to predict on, drawn by their number wherever they are needed: so nothing but the model travels."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 224
_TILE: Final = 8


def draw(numbers: Iterable[int]) -> NDArray[np.uint8]:
    """Images of coloured tiles, (n, 224, 224, 3); a number names the same image on every machine."""
    tiles = (SIDE // _TILE, SIDE // _TILE, 3)
    drawn = [np.random.default_rng(number).integers(0, 256, tiles, np.uint8) for number in numbers]
    return np.stack(drawn).repeat(_TILE, axis=1).repeat(_TILE, axis=2)
