"""The kinds of fruit: shape, skin, how each lies, and what grows on it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.fruit_photos import flesh, shapes, skins
from scripts.fruit_photos.bodies import Body
from scripts.fruit_photos.growths import Growth, bare, sepals, stalk
from scripts.fruit_photos.skins import Painter
from scripts.fruit_photos.textures import Rng


@dataclass(frozen=True)
class Kind:
    """One kind of fruit, as drawn."""

    body: Callable[[Rng], Body]
    paints: tuple[Painter, ...]
    """One for each variety; the fruits of one photograph are of one variety."""
    growth: Growth = bare
    standing: float = 0.5
    """Share of photographs that show it upright; the others show it lying on its side."""
    spin: float = np.pi
    """How far it may be turned about its own axis, in radians."""
    size: float = 1.0
    """Its radius against that of an apple as large in the picture."""
    heap: float = 0.3
    """Share of photographs that show several."""
    bunch: bool = False
    """Grows and is photographed in bunches."""


_APPLE_STALK = stalk(0.55, (0.3, 0.6), 0.045, "#5b4023", leaf=0.3)

KINDS: dict[str, Kind] = {
    "apple_green": Kind(
        shapes.round_body(shapes.APPLE),
        (
            skins.apple(("#5f8a1e", "#86ad30", "#a9c450"), ("#c9b55a", "#c07a48"), (-0.2, 0.1)),
            skins.apple(("#8a9a2a", "#b4bc48", "#d0d070"), ("#c9a55a", "#c8683c"), (-0.2, 0.45)),
        ),
        _APPLE_STALK,
        standing=0.7,
    ),
    "apple_red": Kind(
        shapes.round_body(shapes.APPLE),
        (
            skins.apple(("#b8b04a", "#d6b757", "#d99a4a"), ("#4e0a12", "#8c141c", "#b23226"), (0.6, 1.2)),
            skins.apple(("#a8b040", "#d0c050", "#e0b860"), ("#8c141c", "#b4281c", "#d0583c"), (0.45, 0.9)),
        ),
        _APPLE_STALK,
        standing=0.7,
    ),
    "banana": Kind(shapes.banana_body, (skins.banana,), standing=0.0, spin=0.45, size=1.3, heap=0.45),
    "grape": Kind(
        shapes.round_body(shapes.GRAPE),
        (
            skins.bloomed(("#1c1026", "#34183a", "#56284e"), "#8a88ac", 0.3, crease=False),
            skins.bloomed(("#5a1424", "#8a2836", "#a8485a"), "#c09aa4", 0.4, crease=False),
            skins.bloomed(("#86a030", "#aabe48", "#c8d068"), "#dce0bc", 0.5, crease=False),
        ),
        bunch=True,
    ),
    "kiwi": Kind(shapes.round_body(shapes.KIWI, halved=0.4), (flesh.kiwi,), standing=0.25, heap=0.4),
    "lemon": Kind(
        shapes.round_body(shapes.LEMON, halved=0.08),
        (flesh.citrus(("#c99a10", "#edc421", "#f6dc4a"), ("#e6cf6a", "#f2e6a0"), "#a9ad2e", 0.9),),
        standing=0.15,
        heap=0.4,
    ),
    "lime": Kind(
        shapes.round_body(shapes.LIME, halved=0.08),
        (
            flesh.citrus(("#2c5a16", "#4c8420", "#7aa638"), ("#a8bf5a", "#d3dd98"), "#b9b544", 0.6),
            flesh.citrus(("#6a8a20", "#96a838", "#bcbc50"), ("#a8bf5a", "#d3dd98"), "#4c7420", 0.6),
        ),
        standing=0.2,
        heap=0.4,
    ),
    "orange": Kind(
        shapes.round_body(shapes.ORANGE, halved=0.12, wobble=0.012),
        (
            flesh.citrus(("#c25a08", "#ec8414", "#f7a032"), ("#e8882a", "#f6b04e"), "#a8a028", 1.0),
            flesh.citrus(("#b84806", "#e06c10", "#f08c2c"), ("#b02c1c", "#e0683a"), "#c08020", 0.8),
        ),
        stalk(0.93, (0.0, 0.05), 0.07, "#6a7a34", leaf=0.25),
    ),
    "pear": Kind(
        shapes.round_body(shapes.PEAR),
        (
            skins.pear(("#7f9a34", "#a9b84a", "#c9c662"), 0.4),
            skins.pear(("#a8913a", "#cdb64c", "#e0cf74"), 0.5),
            skins.pear(("#86652a", "#aa8840", "#c4a45c"), 0.0),
        ),
        stalk(1.3, (0.3, 0.6), 0.05, "#5b4023", leaf=0.15),
        standing=0.6,
        size=0.95,
    ),
    "plum": Kind(
        shapes.round_body(shapes.PLUM),
        (
            skins.bloomed(("#1c1030", "#3a1638", "#6a1c34"), "#7c84b0", 0.1, crease=True),
            skins.bloomed(("#3c0c20", "#64182c", "#8c3038"), "#a08aa0", 0.15, crease=True),
        ),
        stalk(0.95, (0.1, 0.4), 0.035, "#5b4a23", leaf=0.15),
        heap=0.45,
    ),
    "strawberry": Kind(
        shapes.round_body(shapes.STRAWBERRY, wobble=0.04),
        (skins.strawberry,),
        sepals(0.80, (7, 11), (0.5, 0.85), 0.14, 0.12),
        heap=0.45,
    ),
    "tomato": Kind(
        shapes.round_body(shapes.TOMATO, lobes=0.035, wobble=0.015),
        (
            skins.tomato(("#a8140f", "#cf2a18", "#dd4a22")),
            skins.tomato(("#c03a14", "#dc5a1c", "#e6742c")),
        ),
        sepals(0.70, (5, 6), (0.35, 0.7), 0.07, 0.0),
        standing=0.6,
    ),
}
