"""What grows on a fruit: stalks with or without a leaf, and stars of sepals."""

from collections.abc import Callable

import numpy as np

from scripts.fruit_photos.strips import Strip
from scripts.fruit_photos.textures import Rng

Growth = Callable[[Rng], list[Strip]]

_GREENS = ("#4c7a26", "#5f8f30", "#3d6a24", "#547d2b")


def bare(rng: Rng) -> list[Strip]:
    """Nothing."""
    return []


def stalk(foot: float, length: tuple[float, float], width: float, colour: str, leaf: float = 0.0) -> Growth:
    """A stalk that rises from height `foot` on the axis, with a leaf on a share `leaf` of the fruit."""

    def grow(rng: Rng) -> list[Strip]:
        rise = rng.uniform(*length)
        x, z = rng.normal(0, 0.16, 2).tolist()
        thick, bend = width * rng.uniform(0.8, 1.3), rng.normal(0, 0.1)
        strips = [Strip((0, foot, 0), (x, foot + rise, z), thick, colour, leaf=False, bend=bend)]
        if rng.random() < leaf:
            turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.1)
            root = (x * 0.6, foot + rise * 0.6, z * 0.6)
            tip = (float(np.cos(turn) * out), root[1] + rng.uniform(0.1, 0.5), float(np.sin(turn) * out))
            green = str(rng.choice(_GREENS))
            strips.insert(0, Strip(root, tip, out * rng.uniform(0.2, 0.3), green, leaf=True, bend=rng.normal(0, 0.12)))
        return strips

    return grow


def sepals(foot: float, count: tuple[int, int], reach: tuple[float, float], width: float, droop: float) -> Growth:
    """A star of sepals round the stem, which fall by `droop` or curl up, and the stub of the stem."""

    def grow(rng: Rng) -> list[Strip]:
        number = int(rng.integers(*count, endpoint=True))
        turns = (np.arange(number) + rng.uniform(-0.25, 0.25, number) + rng.random()) * (2 * np.pi / number)
        strips = []
        for turn in turns:
            out, fall = rng.uniform(*reach), droop * rng.uniform(-0.4, 1.5)
            tip = (float(np.cos(turn) * out), foot - fall, float(np.sin(turn) * out))
            green, bend = str(rng.choice(_GREENS)), rng.normal(0, 0.1)
            strips.append(Strip((0, foot, 0), tip, width * rng.uniform(0.8, 1.2), green, leaf=True, bend=bend))
        x, z = rng.normal(0, 0.1, 2).tolist()
        return [*strips, Strip((0, foot, 0), (x, foot + rng.uniform(0.1, 0.4), z), 0.045, "#6a8a3a", leaf=False)]

    return grow
