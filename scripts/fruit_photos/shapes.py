"""Outlines of the kinds of fruit, and makers that draw one fruit of a kind from them, no two alike."""

from collections.abc import Callable

import numpy as np

from scripts.fruit_photos.bodies import Bent, Body, Round
from scripts.fruit_photos.textures import Rng

Outline = tuple[tuple[float, float], ...]
"""(degrees from the stem, radius) pairs."""

APPLE = (
    (0, 0.50),
    (6, 0.60),
    (16, 0.86),
    (32, 1.01),
    (60, 1.05),
    (90, 1.0),
    (120, 0.93),
    (150, 0.90),
    (168, 0.86),
    (180, 0.74),
)
PEAR = (
    (0, 1.36),
    (12, 1.34),
    (24, 1.20),
    (38, 1.0),
    (55, 0.87),
    (75, 0.84),
    (100, 0.87),
    (130, 0.91),
    (160, 0.90),
    (180, 0.82),
)
LEMON = (
    (0, 1.28),
    (8, 1.20),
    (18, 1.06),
    (35, 0.95),
    (60, 0.87),
    (90, 0.84),
    (120, 0.86),
    (148, 0.96),
    (166, 1.10),
    (180, 1.30),
)
LIME = ((0, 1.02), (10, 1.0), (35, 0.93), (90, 0.88), (145, 0.93), (166, 1.02), (174, 1.10), (180, 1.12))
ORANGE = ((0, 0.93), (8, 0.96), (90, 1.0), (180, 0.96))
PLUM = ((0, 0.98), (8, 1.03), (40, 1.0), (90, 0.86), (140, 0.96), (180, 1.06))
STRAWBERRY = ((0, 0.76), (25, 0.84), (50, 0.92), (75, 0.88), (105, 0.84), (140, 0.93), (165, 1.10), (180, 1.16))
KIWI = ((0, 1.05), (30, 1.0), (90, 0.84), (150, 1.0), (180, 1.07))
TOMATO = ((0, 0.66), (10, 0.72), (28, 0.88), (60, 1.0), (90, 1.02), (130, 0.92), (180, 0.82))
GRAPE = ((0, 1.08), (45, 1.0), (90, 0.92), (180, 1.05))

_BANANA = (
    (0, 0.06),
    (0.035, 0.075),
    (0.08, 0.13),
    (0.25, 0.215),
    (0.5, 0.235),
    (0.72, 0.21),
    (0.86, 0.10),
    (0.92, 0.065),
    (1, 0.07),
)


def round_body(
    outline: Outline, lobes: float = 0.0, halved: float = 0.0, wobble: float = 0.025
) -> Callable[[Rng], Body]:
    """Maker of round bodies: each swells and tapers a little in its own way, and a share `halved` was cut in two."""

    def make(rng: Rng) -> Body:
        swell = rng.normal(0, wobble, 3) * (1, 1, 0.5)
        bent = [
            (at, radius * float(np.exp(swell @ np.cos(np.radians(at) * np.arange(1, 4))))) for at, radius in outline
        ]
        cut = float(rng.uniform(-0.1, 0.25)) if rng.random() < halved else None
        return Round(bent, lobes * rng.uniform(0.2, 1.3), cut)

    return make


def banana_body(rng: Rng) -> Body:
    """Maker of bananas, thick or thin, much or little bent."""
    fat = rng.uniform(0.85, 1.15)
    return Bent([(at, radius * (fat if 0.1 < at < 0.85 else 1)) for at, radius in _BANANA], rng.uniform(0.95, 1.9))
