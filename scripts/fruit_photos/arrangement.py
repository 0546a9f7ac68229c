"""How the fruit lies in the picture: where, how large, which way up, one or several or in a bunch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.fruit_photos.bodies import Body
from scripts.fruit_photos.kinds import Kind
from scripts.fruit_photos.strips import Strip
from scripts.fruit_photos.textures import Floats, Rng
from scripts.fruit_photos.tracing import Pose, Surface, trace

_BUNCH_FRONT = -0.3
"""Berries deeper in the bunch than this are hidden, and not drawn."""


@dataclass(frozen=True)
class Placed:
    """One fruit of the picture, and what grows on it."""

    pose: Pose
    surface: Surface
    strips: list[Strip]


def arrange(kind: Kind, height: int, width: int, rng: Rng) -> list[Placed]:
    """Fruit of one picture, the farthest first."""
    return _bunch(kind, height, width, rng) if kind.bunch else _lay_out(kind, height, width, rng)


def _lay_out(kind: Kind, height: int, width: int, rng: Rng) -> list[Placed]:
    """One fruit, or several that touch or overlap."""
    several = rng.random() < kind.heap
    count = int(rng.integers(2, 6)) if several else 1
    radius = min(height, width) * (rng.uniform(0.2, 0.3) if several else rng.uniform(0.3, 0.44))
    reach = np.array([height, width]) * (0.26 if several else 0.06)
    standing = rng.random() < kind.standing
    placed = []
    for row, column in _spots(count, radius, reach, rng) + np.array([height * 0.52, width * 0.5]):
        body = kind.body(rng)
        size = radius * kind.size * rng.uniform(0.92, 1.06)
        pose = Pose(column, row, size, _turn(body, kind.spin, standing, rng))
        strips = kind.growth(rng) if body.cut is None else []
        placed.append(Placed(pose, trace(body, pose, height, width), strips))
    return placed


def _spots(count: int, radius: float, reach: NDArray[np.float64], rng: Rng) -> NDArray[np.float64]:
    """Up to `count` (row, column) offsets that leave each fruit room, from the back of the table to the front."""
    spots: list[NDArray[np.float64]] = []
    for offset in rng.uniform(-1, 1, (40, 2)) * reach:
        if len(spots) < count and all(np.hypot(*(offset - spot)) > 1.45 * radius for spot in spots):
            spots.append(offset)
    return np.array(sorted(spots, key=lambda spot: float(spot[0])))


def _bunch(kind: Kind, height: int, width: int, rng: Rng) -> list[Placed]:
    """A hanging or lying cone of berries round a stalk."""
    size, body, lean = min(height, width) * rng.uniform(0.4, 0.5), kind.body(rng), rng.normal(0, 0.7)
    count, berry = int(rng.integers(28, 42)), size * rng.uniform(0.2, 0.25)
    level = np.linspace(-0.8, 0.72, count)
    out = (0.45 + 0.25 * level) * np.sqrt(rng.uniform(0.3, 1, count))
    turn = np.arange(count) * 2.4 + rng.normal(0, 0.3, count)
    x, depth = out * np.cos(turn), out * np.sin(turn)
    columns = width / 2 + size * (x * np.cos(lean) - level * np.sin(lean))
    rows = height / 2 - size * (x * np.sin(lean) + level * np.cos(lean))
    placed: list[Placed] = []
    for index in np.flatnonzero(depth > _BUNCH_FRONT)[np.argsort(depth[depth > _BUNCH_FRONT])]:
        turned = _turn(body, np.pi, False, rng)
        pose = Pose(columns[index], rows[index], berry * rng.uniform(0.85, 1.1), turned)
        stalk = [] if placed else [_stalk_of_bunch(pose, height, width, size, lean)]
        placed.append(Placed(pose, trace(body, pose, height, width), stalk))
    return placed


def _stalk_of_bunch(pose: Pose, height: int, width: int, size: float, lean: float) -> Strip:
    """The stalk of the whole bunch, in the frame of the berry at `pose`."""
    low, high = (
        pose.locate((width / 2 - size * far * np.sin(lean), height / 2 - size * far * np.cos(lean), 0))
        for far in (0.3, 1.1)
    )
    return Strip(low, high, 0.09, "#7a7a3a", leaf=False)


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
    front = np.cross(side, up)
    spin = rng.uniform(-spun, spun)
    rows = side * np.cos(spin) + front * np.sin(spin), up, front * np.cos(spin) - side * np.sin(spin)
    skew = np.eye(3) + rng.normal(0, 0.035, (3, 3))
    turn: Floats = (skew @ np.stack(rows)).astype(np.float32)
    return turn
