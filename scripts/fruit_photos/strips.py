"""Stalks and leaves: flat strips drawn between two points of a fruit's own frame."""

from dataclasses import dataclass

import numpy as np

from scripts.fruit_photos.colours import linear
from scripts.fruit_photos.light import Light
from scripts.fruit_photos.textures import Floats
from scripts.fruit_photos.tracing import Pose

Point = tuple[float, float, float]

_LEAF_LIFT = 0.16
"""How far, in radii, a leaf arches up over the skin between its ends."""


@dataclass(frozen=True)
class Strip:
    """A stalk (round) or a leaf (flat, pointed, with veins), from `base` to `tip` in the body frame."""

    base: Point
    tip: Point
    width: float
    """Half its width at the widest, in radii of the fruit."""
    colour: str
    leaf: bool
    bend: float = 0.0
    """Sideways bow at the middle, as a share of its length."""


def draw_strip(picture: Floats, strip: Strip, pose: Pose, light: Light, depth: Floats) -> None:
    """Draw onto `picture`, shape (H, W, 3) of linear light, in place, where no `depth` (H, W) of the fruit hides it."""
    ends = np.array([pose.project(strip.base), pose.project(strip.tip)])
    (base, tip), (base_depth, tip_depth) = ends[:, :2], ends[:, 2]
    length = max(float(np.hypot(*(tip - base))), 1.0)
    half = strip.width * pose.radius
    margin = half + abs(strip.bend) * length + 2
    left, top = np.maximum(np.minimum(base, tip) - margin, 0).astype(int)
    right, bottom = np.maximum(np.maximum(base, tip) + margin + 1, 0).astype(int)
    patch = picture[top:bottom, left:right]
    if not patch.size:
        return
    x = np.arange(left, left + patch.shape[1], dtype=np.float32) - np.float32(base[0])
    y = np.arange(top, top + patch.shape[0], dtype=np.float32)[:, None] - np.float32(base[1])
    along_x, along_y = ((tip - base) / length).astype(np.float32)
    s = (x * along_x + y * along_y) / np.float32(length)
    t = (y * along_x - x * along_y) - 4 * np.float32(strip.bend * length) * s * (1 - s)
    s_in = np.clip(s, 0, 1)
    if strip.leaf:
        reach = half * 2.1 * s_in**0.55 * (1 - s_in) ** 0.8
        tone = _leaf_tone(s, t / np.float32(half), light.towards, np.sign(along_x) or 1.0)
    else:
        reach = half * (0.7 + 0.5 * s_in**3)
        side = np.clip(t / np.maximum(reach, 0.1), -1, 1)
        tone = 0.55 + 0.45 * side * -(light.towards[0] * along_y + light.towards[1] * along_x) + 0.15 * s_in
    lift = np.float32(_LEAF_LIFT if strip.leaf else 0)
    shown = base_depth + np.float32(tip_depth - base_depth) * s_in + lift > depth[top:bottom, left:right]
    beyond = np.maximum(np.abs(s - 0.5) - 0.5, 0) * length
    alpha = (shown * np.clip(reach - np.hypot(t, beyond) + 0.5, 0, 1))[..., None]
    colour = linear(strip.colour) * (light.key * 0.75 + light.sky)
    patch += (colour * tone[..., None].astype(np.float32) - patch) * alpha.astype(np.float32)


def _leaf_tone(s: Floats, t: Floats, towards: Floats, facing: float) -> Floats:
    """Brightness over a leaf folded along its midrib, with side veins."""
    fold = np.float32(0.85) + np.float32(0.22 * facing) * np.clip(t * 6, -1, 1) * towards[1]
    veins = np.maximum(np.sin(s * 26 - np.abs(t) * 6), 0.8) - 0.8
    midrib = np.exp(-((t / np.float32(0.07)) ** 2))
    tone: Floats = fold * (1 + 0.5 * veins + 0.35 * midrib) * (0.8 + 0.35 * s)
    return tone
