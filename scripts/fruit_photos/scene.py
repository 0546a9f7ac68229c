"""Puts fruit, ground and light together into one picture."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from scripts.fruit_photos.backdrops import draw_backdrop
from scripts.fruit_photos.bodies import Body, Pose, Surface, trace
from scripts.fruit_photos.colours import develop
from scripts.fruit_photos.kinds import Kind
from scripts.fruit_photos.light import Light, draw_light, shade
from scripts.fruit_photos.skins import Painter
from scripts.fruit_photos.textures import Floats
from scripts.fruit_photos.strips import Strip, draw_strip

Rng = np.random.Generator


@dataclass(frozen=True)
class Placed:
    """One fruit of the scene."""

    pose: Pose
    surface: Surface
    strips: list[Strip]


def draw_scene(kind: Kind, height: int, width: int, rng: Rng) -> NDArray[np.uint8]:
    """Draw one photograph of a kind of fruit: sRGB bytes of shape (height, width, 3)."""
    light, tilt = draw_light(rng), float(rng.uniform(0, 0.75))
    picture = draw_backdrop(height, width, tilt, rng)
    bounce = picture.mean((0, 1)) * light.sky
    light = replace(light, bounce=bounce)
    fruit = _bunch(kind, height, width, rng) if kind.bunch else _lay_out(kind, height, width, rng)
    paint = kind.paints[int(rng.integers(len(kind.paints)))]
    picture = picture * _ground_light(fruit, height, width, tilt, light, rng)[..., None] * (light.key * 0.8 + light.sky)
    for one in fruit:
        _stand(picture, one, paint, light, rng)
    return _expose(picture, rng)


def _lay_out(kind: Kind, height: int, width: int, rng: Rng) -> list[Placed]:
    """One fruit, or several that overlap, from back to front."""
    several = rng.random() < kind.heap
    count = int(rng.integers(2, 6)) if several else 1
    side = min(height, width)
    radius = side * (rng.uniform(0.2, 0.3) if several else rng.uniform(0.26, 0.42))
    spots: list[tuple[float, float]] = []
    for _ in range(40):
        spread = np.array([height, width]) * (0.26 if several else 0.06)
        row, column = np.array([height * 0.52, width * 0.5]) + rng.uniform(-1, 1, 2) * spread
        if all(np.hypot(row - r, column - c) > 1.45 * radius for r, c in spots):
            spots.append((row, column))
        if len(spots) == count:
            break
    placed = []
    standing = rng.random() < kind.standing
    for row, column in sorted(spots):
        body = kind.body(rng)
        pose = Pose(column, row, kind.size * radius * rng.uniform(0.92, 1.06), _turn(body, kind.spin, standing, rng))
        placed += _place(body, pose, [] if body.cut is not None else kind.growth(rng), height, width)
    return placed


def _bunch(kind: Kind, height: int, width: int, rng: Rng) -> list[Placed]:
    """A hanging or lying cone of berries round a stalk, the farthest first."""
    size, body = min(height, width) * rng.uniform(0.4, 0.5), kind.body(rng)
    lean, count = rng.normal(0, 0.7), int(rng.integers(28, 42))
    berry = size * rng.uniform(0.2, 0.25)
    level = np.linspace(-0.8, 0.72, count)
    out = (0.25 + 0.38 * (level + 0.8) / 1.5) * np.sqrt(rng.uniform(0.3, 1, count))
    turn = np.arange(count) * 2.4 + rng.normal(0, 0.3, count)
    x, y, z = out * np.cos(turn), level, out * np.sin(turn)
    x, y = x * np.cos(lean) - y * np.sin(lean), x * np.sin(lean) + y * np.cos(lean)
    placed: list[Placed] = []
    for index in np.argsort(z):
        column, row = width / 2 + size * x[index], height / 2 - size * y[index]
        pose = Pose(column, row, berry * rng.uniform(0.85, 1.1), _turn(body, np.pi, False, rng))
        stalk = []
        if not placed:
            ends = [(width / 2 - size * np.sin(lean) * far, height / 2 - size * np.cos(lean) * far, 0) for far in (0.3, 1.1)]
            stalk = [Strip(pose.locate(ends[0]), pose.locate(ends[1]), 0.09, "#7a7a3a", False, rng.normal(0, 0.08))]
        placed += _place(body, pose, stalk, height, width) if z[index] > -0.3 or not placed else []
    return placed


def _place(body: Body, pose: Pose, strips: list[Strip], height: int, width: int) -> list[Placed]:
    surface = trace(body, pose, height, width)
    return [] if surface is None else [Placed(pose, surface, strips)]


def _turn(body: Body, spun: float, standing: bool, rng: Rng) -> Floats:
    """Matrix (3, 3) from view to body frame: a rotation, and a little skew, since no fruit is quite round."""
    if body.cut is not None:
        roll, towards = rng.normal(0, 0.7), rng.uniform(0.5, 1.4)
    elif standing:
        roll, towards = rng.normal(0, 0.2), rng.uniform(0.1, 1.1)
    else:
        roll, towards = rng.uniform(-np.pi, np.pi), rng.uniform(-0.3, 0.7)
    up = np.array([np.sin(roll) * np.cos(towards), np.cos(roll) * np.cos(towards), np.sin(towards)])
    side = np.cross(up, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    spin = rng.uniform(-spun, spun)
    front = np.cross(side, up)
    rows = side * np.cos(spin) + front * np.sin(spin), up, front * np.cos(spin) - side * np.sin(spin)
    skew = np.eye(3) + rng.normal(0, 0.035, (3, 3))
    return (skew @ np.stack(rows)).astype(np.float32)


def _ground_light(fruit: list[Placed], height: int, width: int, tilt: float, light: Light, rng: Rng) -> Floats:
    """Share of light, shape (H, W), that reaches the ground past the fruit, brighter on the lamp's side."""
    cast = np.zeros((height, width), np.uint8)
    squash = 1 - 0.75 * tilt
    lx, ly, lz = light.towards
    for one in fruit:
        rows, columns = one.surface.box
        base = one.pose.row + one.pose.radius * 0.7 * tilt
        reach = one.pose.radius * 0.5 / max(float(lz), 0.35)
        slide, drop = int(-lx * reach), int(ly * reach * 0.5 * (1 - tilt))
        source = np.arange(rows.start, rows.stop)
        target = ((source - base) * squash + base + drop).astype(int)
        inside = (target >= 0) & (target < height)
        left, right = max(columns.start + slide, 0), min(columns.stop + slide, width)
        mask = one.surface.covered[inside, left - slide - columns.start : right - slide - columns.start]
        np.maximum.at(cast, (target[inside][:, None], np.arange(left, right)), mask * np.uint8(255)) 
    size = max(one.pose.radius for one in fruit) if fruit else 10
    soft = Image.fromarray(cast).reduce(2).filter(ImageFilter.GaussianBlur(size * rng.uniform(0.06, 0.16)))
    shadow = np.asarray(soft.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(1, -1, height, dtype=np.float32)[:, None]
    falloff = 1 + np.float32(rng.uniform(0, 0.22)) * (x * lx + y * ly)
    return falloff * (1 - np.float32(rng.uniform(0.45, 0.8)) * shadow)


def _stand(picture: Floats, one: Placed, paint: Painter, light: Light, rng: Rng) -> None:
    """Draw one fruit with what grows on it, and dim what it shuts the light from."""
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
    picture *= (1 - np.float32(rng.uniform(0, 0.16)) * (x * x + y * y))[..., None]
    return develop(picture, int(rng.integers(-10, 35)))
