"""One lamp or sun, the sky, and what the table throws back: how a surface with colour looks under them."""

from dataclasses import dataclass

import numpy as np

from scripts.fruit_photos.colours import smoothstep
from scripts.fruit_photos.textures import Floats, Rng


@dataclass(frozen=True)
class Light:
    """Light of one photograph, in linear colours of shape (3,)."""

    towards: Floats
    """Unit vector from the fruit to the lamp, in the view frame."""
    key: Floats
    """The lamp's own light."""
    sky: Floats
    """Light from all round above."""
    bounce: Floats
    """Light that the ground throws back from below."""
    window: bool
    """Highlights are a window's rectangle instead of a lamp's round spot."""


def draw_light(ground: Floats, rng: Rng) -> Light:
    """Daylight to lamp light, from any side but behind, hard or soft, over a ground of mean colour `ground`."""
    side, elevation = rng.uniform(0, 2.6), rng.uniform(0.5, 1.15)
    level = np.cos(elevation)
    towards = np.array([np.cos(side) * level, 0.75 * np.sin(side) * level + 0.35, np.sin(elevation)])
    warmth = rng.normal(0, 1)
    tint = np.array([1 + 0.07 * warmth, 1 + 0.012 * warmth, 1 - 0.10 * warmth])
    softness = rng.uniform(0.22, 0.62)
    exposure = rng.uniform(0.88, 1.2)
    key = exposure * (1.35 - softness) * np.clip(tint, 0.6, 1.4)
    sky = exposure * softness * np.clip(2 - tint, 0.75, 1.25) ** 0.6 * np.clip(tint, 0.7, 1.3) ** 0.7
    towards, key, sky = (np.asarray(band, np.float32) for band in (towards / np.linalg.norm(towards), key, sky))
    return Light(towards, key, sky, bounce=ground * sky, window=bool(rng.random() < 0.45))


@dataclass(frozen=True)
class Skin:
    """What a painter says of N points: colour and how they answer to light."""

    albedo: Floats
    """Linear colour, shape (3, N)."""
    gloss: float = 0.3
    """0 dull, 1 wet."""
    polish: float = 0.5
    """Sharpness of the highlight, 0 to 1."""
    bump: Floats | None = None
    """Slopes of the skin in the view plane, shape (2, N)."""
    glow: float = 0.15
    """How far light creeps round into the shade, as it does in flesh that lets light through."""
    fuzz: float = 0.0
    """Brightness of fine hair against the light at the outline."""


def shade(skin: Skin, normal: Floats, light: Light) -> Floats:
    """Linear light of shape (3, N) that leaves points with unit normals of shape (3, N) towards the viewer."""
    x, y, z = normal if skin.bump is None else _bumped(normal, skin.bump)
    lx, ly, lz = light.towards
    facing = np.clip((x * lx + y * ly + z * lz + np.float32(skin.glow)) / np.float32(1 + skin.glow), 0, 1)
    upward = 0.6 + 0.4 * y
    shut = 0.55 + 0.45 * smoothstep(-1.05, 0.15, y + 0.35 * z)
    rim = (1 - np.clip(z, 0, 1)) ** 3
    ambient = light.bounce[:, None] + (light.sky - light.bounce)[:, None] * upward
    diffuse = light.key[:, None] * facing + ambient * shut
    glint = np.float32(skin.gloss) * _highlight(x, y, z, light, skin.polish)
    veil = rim * np.float32(0.35 * skin.gloss) * shut
    matt = skin.albedo * diffuse * (1 + np.float32(skin.fuzz) * rim)
    seen: Floats = matt + light.key[:, None] * glint + ambient * veil
    return seen


def _bumped(normal: Floats, bump: Floats) -> Floats:
    bent = normal.copy()
    bent[:2] -= bump
    bent /= np.sqrt((bent * bent).sum(0))
    return bent


def _highlight(x: Floats, y: Floats, z: Floats, light: Light, polish: float) -> Floats:
    """Reflection of the lamp: its mirror direction compared with where the lamp is."""
    lx, ly, _ = light.towards
    away_x, away_y = 2 * z * x - lx, 2 * z * y - ly
    front = np.clip(z * 4, 0, 1)
    size = 0.5 - 0.34 * polish
    if light.window:
        edge = (2.6 - 2.3 * polish) * size
        pane = np.minimum(size * 0.8 - np.abs(away_x), size - np.abs(away_y + 0.3 * away_x))
        shine: Floats = front * smoothstep(-edge, edge, pane) * np.float32(0.25 + 0.55 * polish)
        return shine
    spread = (away_x * away_x + away_y * away_y) / np.float32(size * size)
    spot: Floats = front * np.exp(-spread * np.float32(1.2)) * np.float32(0.3 + 0.6 * polish)
    return spot
