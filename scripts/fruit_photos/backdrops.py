"""What the fruit lies on and before: studio paper, wood, cloth, gravel, stone, leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.fruit_photos.colours import linear, ramp, smoothstep
from scripts.fruit_photos.light import Light
from scripts.fruit_photos.strips import Strip, draw_strip
from scripts.fruit_photos.textures import Floats, Rng, cells, noise, texel_of
from scripts.fruit_photos.tracing import Pose


@dataclass(frozen=True)
class Ground:
    """Points of the ground that the pixels of a picture show, each of shape (H, W), in picture heights."""

    x: Floats
    y: Floats
    far: Floats
    """0 at the lower edge of the picture to 1 at the upper."""


_LEAF_COLOURS = (("#8a6a34", "#6a4a22", "#a8843e", "#7a3a1c"), ("#3f6b22", "#547d2b", "#2f5a26", "#7a8c3a"))
_PAGE = Pose(0, 0, 1, np.eye(3, dtype=np.float32))
_LOW_CAMERA = 0.4
"""Tilt from which a wall may show behind the ground."""
_NOON, _WHITE = np.array([0.4, 0.6, 0.7], np.float32), np.ones(3, np.float32)
_FLAT_LIGHT = Light(_NOON, key=_WHITE * 0.8, sky=_WHITE * 0.4, bounce=_WHITE * 0, window=False)

Backdrop = Callable[[Ground, Rng], Floats]


def draw_backdrop(height: int, width: int, tilt: float, rng: Rng) -> Floats:
    """Albedo of the ground, linear, of shape (H, W, 3), seen straight down (`tilt` 0) to obliquely (0.8)."""
    down: Floats = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across: Floats = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * np.float32(width / height)
    stretch: Floats = np.float32(1) / (1 - np.float32(tilt) * (1 - down))
    angle = rng.uniform(0, 2 * np.pi)
    x, y = across * stretch, (1 - down) * stretch
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    ground = Ground(x * cosine + y * sine, y * cosine - x * sine, np.broadcast_to(1 - down, x.shape))
    colour = _pick(_GROUNDS, rng)(ground, rng)
    if tilt > _LOW_CAMERA and rng.random() < 0.6:
        wall = _pick(_WALLS, rng)(Ground(across + 0 * down, ground.far, ground.far), rng)
        edge = rng.uniform(0.12, 0.36)
        colour += (wall - colour) * smoothstep(edge + 0.012, edge - 0.012, down)
    return np.moveaxis(colour, 0, -1)


def _pick(choices: Sequence[tuple[float, Backdrop]], rng: Rng) -> Backdrop:
    weights = np.array([share for share, _ in choices])
    return choices[int(rng.choice(len(choices), p=weights / weights.sum()))][1]


def _lookup(texture: Floats, ground: Ground, x_scale: float, y_scale: float, rng: Rng) -> Floats:
    return texture.ravel()[texel_of(ground.x * np.float32(x_scale), ground.y * np.float32(y_scale), 1.0, rng)]


def _paper(choices: Sequence[tuple[str, str]]) -> Backdrop:
    def paint(ground: Ground, rng: Rng) -> Floats:
        near, far = choices[int(rng.integers(len(choices)))]
        return ramp(ground.far * np.float32(rng.uniform(0.3, 1.2)), [linear(near), linear(far)])

    return paint


def _wood(ground: Ground, rng: Rng) -> Floats:
    dark, light = [("#4a2c16", "#8a5a30"), ("#7a5230", "#b98a58"), ("#9a7a55", "#d0b48a"), ("#2e211a", "#5a4434")][
        int(rng.integers(4))
    ]
    planks = ground.y * np.float32(rng.uniform(2.5, 6))
    board = np.floor(planks)
    shifted = Ground(ground.x + board * np.float32(0.37), ground.y, ground.far)
    grain = _lookup(noise(1.0).height, shifted, 30, 700, rng)
    bands = _lookup(noise(1.9).height, shifted, 25, 260, rng)
    tone = 0.5 + 0.14 * grain + 0.14 * np.sin(bands * 5) + 0.12 * np.sin(board * 12.9)
    seam = np.abs(planks - board - 0.5)
    return ramp(tone, [linear(dark), linear(light)]) * (1 - 0.75 * smoothstep(0.48, 0.495, seam))


def _cloth(ground: Ground, rng: Rng) -> Floats:
    base = linear(str(rng.choice(["#e8e2d4", "#b9c4cc", "#7a8a9a", "#c8a89a", "#5a6a54", "#d8cfa8"])))
    other = linear(str(rng.choice(["#a83232", "#34558a", "#4a7a4a", "#f0ece2", "#8a7a5a"])))
    pitch = np.float32(rng.uniform(4, 14))
    stripe_x = smoothstep(-0.1, 0.1, np.sin(ground.x * pitch * 6))
    stripe_y = smoothstep(-0.1, 0.1, np.sin(ground.y * pitch * 6))
    pattern = [0 * stripe_x, stripe_x, 0.5 * (stripe_x + stripe_y)][int(rng.integers(3))]
    weave = np.sin(ground.x * 420) * np.sin(ground.y * 420)
    folds = noise(1.9).slope_x.ravel()[texel_of(ground.x, ground.y, 160, rng)] * np.float32(rng.uniform(0, 3.5))
    cloth = ramp(pattern, [base, other])
    cloth *= np.clip(1 + 0.08 * weave + folds, 0.4, 1.4)
    return cloth


def _pebbles(palettes: Sequence[Sequence[str]], across: int, scale: tuple[float, float]) -> Backdrop:
    def paint(ground: Ground, rng: Rng) -> Floats:
        field = cells(across)
        texel = texel_of(ground.x, ground.y, rng.uniform(*scale), rng)
        colours = [linear(colour) for colour in palettes[int(rng.integers(len(palettes)))]]
        relief = field.pit.slope_y.ravel()[texel] * 3 - field.pit.slope_x.ravel()[texel] * 2
        tone = ramp(field.shade.ravel()[texel], colours)
        tone *= np.clip(0.85 + relief, 0.3, 1.5) * smoothstep(-0.05, 0.22, field.border.ravel()[texel])
        return tone

    return paint


def _stone(ground: Ground, rng: Rng) -> Floats:
    low, high = [("#2a2c30", "#4e5258"), ("#b8b4ac", "#e6e4de"), ("#8a8680", "#b4b0a8")][int(rng.integers(3))]
    texel = texel_of(ground.x, ground.y, 300, rng)
    tone = 0.5 + 0.1 * noise(0.3).height.ravel()[texel] + 0.2 * noise(1.6).height.ravel()[texel]
    vein = np.exp(-np.abs(noise(1.6).height.ravel()[np.roll(texel, 77)]) * 14)
    return ramp(tone - 0.5 * vein * np.float32(rng.choice([0, 1])), [linear(low), linear(high)])


def _leaves(ground: Ground, rng: Rng) -> Floats:
    """Fallen leaves over soil."""
    soil = _lookup(noise(1.0).height, ground, 220, 220, rng)
    picture = np.moveaxis(ramp(0.5 + 0.2 * soil, [linear("#1c140c"), linear("#4a3826")]), 0, -1).copy()
    height, width, _ = picture.shape
    greens = _LEAF_COLOURS[int(rng.integers(len(_LEAF_COLOURS)))]
    nowhere = np.full((height, width), -np.inf, np.float32)
    for _ in range(45):
        base, turn = rng.uniform(-0.1, 1.1, 2) * (width, -height), rng.uniform(0, 7)
        length = rng.uniform(0.25, 0.5) * height
        tip = base + length * np.array([np.cos(turn), np.sin(turn)])
        wide, green, bend = length * rng.uniform(0.16, 0.24), str(rng.choice(greens)), rng.normal(0, 0.1)
        leaf = Strip((base[0], base[1], 0.0), (tip[0], tip[1], 0.0), wide, green, leaf=True, bend=bend)
        draw_strip(picture, leaf, _PAGE, _FLAT_LIGHT, nowhere)
    return np.moveaxis(picture, -1, 0)


def _garden(ground: Ground, rng: Rng) -> Floats:
    """Greenery out of focus: soft patches of leaf and light."""
    texel = texel_of(ground.x, ground.y, rng.uniform(200, 340), rng)
    tone = 0.42 + 0.24 * noise(1.9).height.ravel()[texel]
    spots = cells(6)
    bokeh = smoothstep(0.42, 0.34, spots.pit.height.ravel()[texel]) * (spots.shade.ravel()[texel] > 0.6)
    bokeh *= smoothstep(0.0, 0.15, spots.border.ravel()[texel])
    return ramp(tone + 0.2 * bokeh, [linear(colour) for colour in ("#16280e", "#355a1e", "#6a8e36", "#c4d08a")])


_STUDIO = _paper([("#f4f4f2", "#ffffff"), ("#e6e6e4", "#fafafa"), ("#ffffff", "#ffffff")])
_CARD = _paper([("#9ab4c8", "#c8d8e0"), ("#d8b8a0", "#ecd8c4"), ("#383c44", "#6a707a"), ("#a8b89a", "#d0dcc4")])
_GRAVEL = _pebbles([("#6a645a", "#a89e8c", "#d0c8b8"), ("#4a4844", "#8a8680")], 48, (220, 450))

_GROUNDS = [
    (0.32, _STUDIO),
    (0.14, _CARD),
    (0.22, _wood),
    (0.14, _cloth),
    (0.07, _GRAVEL),
    (0.06, _leaves),
    (0.13, _stone),
]
_WALLS = [(0.35, _CARD), (0.2, _STUDIO), (0.35, _garden), (0.1, _stone)]
