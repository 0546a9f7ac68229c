"""Puts fruit, ground and light together into one picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from scripts.fruit_photos.arrangement import Placed, arrange
from scripts.fruit_photos.backdrops import draw_backdrop
from scripts.fruit_photos.colours import develop
from scripts.fruit_photos.kinds import Kind
from scripts.fruit_photos.light import Light, draw_light, shade
from scripts.fruit_photos.skins import Painter
from scripts.fruit_photos.strips import draw_strip
from scripts.fruit_photos.textures import Floats, Rng


def draw_scene(kind: Kind, height: int, width: int, rng: Rng) -> NDArray[np.uint8]:
    """Draw one photograph of a kind of fruit: sRGB bytes of shape (height, width, 3)."""
    tilt = rng.uniform(0, 0.75)
    picture = draw_backdrop(height, width, tilt, rng)
    light = draw_light(picture.mean((0, 1)), rng)
    fruit = arrange(kind, height, width, rng)
    paint = kind.paints[int(rng.integers(len(kind.paints)))]
    shaded = 1 - np.float32(rng.uniform(0.45, 0.8)) * _shadow(picture, fruit, tilt, light, rng)
    picture = picture * (_spread(picture, light, rng) * shaded)[..., None] * (light.key * 0.8 + light.sky)
    for one in fruit:
        _stand(picture, one, paint, light, rng)
    return _expose(picture, rng)


def _spread(picture: Floats, light: Light, rng: Rng) -> Floats:
    """Evenness of the light over the ground, shape (H, W): brighter on the lamp's side."""
    height, width, _ = picture.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(1, -1, height, dtype=np.float32)[:, None]
    spread: Floats = 1 + np.float32(rng.uniform(0, 0.22)) * (x * light.towards[0] + y * light.towards[1])
    return spread


def _shadow(picture: Floats, fruit: list[Placed], tilt: float, light: Light, rng: Rng) -> Floats:
    """Shadow that the fruit casts on the ground, 0 to 1, shape (H, W).

    Each outline is moved away from the lamp, and pressed flat towards its foot the more obliquely the ground is seen.
    """
    height, width, _ = picture.shape
    cast = np.zeros((height, width), np.uint8)
    lx, ly, lz = light.towards.tolist()
    for one in fruit:
        rows, columns = one.surface.box
        foot, reach = one.pose.row + one.pose.radius * 0.7 * tilt, one.pose.radius * 0.5 / max(lz, 0.35)
        right, down = int(-lx * reach), ly * reach * 0.5 * (1 - tilt)
        target = ((np.arange(rows.start, rows.stop) - foot) * (1 - 0.75 * tilt) + foot + down).astype(int)
        seen = (target >= 0) & (target < height)
        start, stop = max(columns.start + right, 0), min(columns.stop + right, width)
        outline = one.surface.covered[seen, start - right - columns.start : stop - right - columns.start]
        np.maximum.at(cast, (target[seen][:, None], np.arange(start, stop)), outline * np.uint8(255))
    softness = max(one.pose.radius for one in fruit) * rng.uniform(0.06, 0.16)
    soft = Image.fromarray(cast).reduce(2).filter(ImageFilter.GaussianBlur(softness))
    shadow: Floats = np.asarray(soft.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    return shadow / np.float32(255)


def _stand(picture: Floats, one: Placed, paint: Painter, light: Light, rng: Rng) -> None:
    """Draw one fruit with what grows on it, and dim what it shuts the light from, in place."""
    surface = one.surface
    patch = picture[surface.box]
    below = np.linspace(0.35, 1, patch.shape[0], dtype=np.float32)[:, None]
    patch *= (1 - np.float32(0.6) * surface.halo * below)[..., None]
    colour = shade(paint(surface, rng), surface.normal, light)
    under = patch[surface.covered]
    patch[surface.covered] = under + (colour.T - under) * surface.alpha[:, None]
    if one.strips:
        depth = np.full(picture.shape[:2], -np.inf, np.float32)
        depth[surface.box][surface.covered] = surface.view[2]
        for strip in one.strips:
            draw_strip(picture, strip, one.pose, light, depth)


def _expose(picture: Floats, rng: Rng) -> NDArray[np.uint8]:
    """Vignette and the camera's tone curve."""
    height, width, _ = picture.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    picture = picture * (1 - np.float32(rng.uniform(0, 0.16)) * (x * x + y * y))[..., None]
    return develop(picture, int(rng.integers(-10, 35)))
