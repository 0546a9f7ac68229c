"""Solid shapes of fruit, and the tracing of one shape onto the pixels that it covers.

A body lives in its own frame: unit radius or so, stem towards +y. The view has x to the right, y up, z towards the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scripts.fruit_photos.textures import Floats

_TABLE = 8192
_SLOPE_STEP = 0.02
_ARRIVED, _PASSED_BY = 0.001, 0.2
_GRAZING_STEPS = 14
_HALO = 0.45
"""How far outside its outline, in radii, a body darkens what it stands on."""


class Body(Protocol):
    """A solid given by how far a point lies from its surface."""

    reach: float
    """Radius of a ball about the origin that holds the whole body."""
    cut: float | None
    """Height on the axis where a knife took the stem end away; None for a whole fruit."""
    steps: int
    """Steps of the march that bring nearly every ray to the surface."""

    def distance(self, point: Floats) -> Floats:
        """Signed distance, roughly, of points of shape (3, ...) to the surface; negative inside."""

    def chart(self, point: Floats) -> tuple[Floats, Floats]:
        """Where points lie on the skin: along the axis in [-1, 1] (stem at 1), and round it in radians."""


def curve(controls: Sequence[tuple[float, float]]) -> Floats:
    """1024 even samples over [0, 1] of a cubic Hermite curve through (position, value) pairs, flat at both ends."""
    at, value = np.array(controls).T
    slope = np.gradient(value, at)
    slope[[0, -1]] = 0
    sample = np.linspace(0, 1, 1024)
    left = np.clip(np.searchsorted(at, sample, side="right") - 1, 0, at.size - 2)
    width = at[left + 1] - at[left]
    t = (sample - at[left]) / width
    eased = t * t * (3 - 2 * t)
    bow = width * t * (1 - t) * (slope[left] * (1 - t) - slope[left + 1] * t)
    smooth: Floats = (value[left] + (value[left + 1] - value[left]) * eased + bow).astype(np.float32)
    return smooth


class Round:
    """A body whose radius depends on the angle from its stem: apple, pear, lemon, berry.

    Parameters
    ----------
    outline:
        (degrees from the stem, radius) pairs from 0 to 180.
    lobes:
        Depth of five ribs round the axis, as in a tomato; 0 for none.
    cut:
        Height on the axis where a knife took the stem end away; None for a whole fruit.
    """

    def __init__(self, outline: Sequence[tuple[float, float]], lobes: float = 0.0, cut: float | None = None) -> None:
        by_angle = curve([(degrees / 180, radius) for degrees, radius in outline])
        angle = np.arccos(np.linspace(-1, 1, _TABLE))
        self._radius = np.interp(angle, np.linspace(0, np.pi, by_angle.size), by_angle).astype(np.float32)
        self._lobes = np.float32(lobes)
        self.cut = cut
        self.reach = float(self._radius.max()) + abs(lobes)
        self.steps = 3 if np.ptp(self._radius) < 0.02 else 8

    def distance(self, point: Floats) -> Floats:
        x, y, z = point
        length = np.sqrt(x * x + y * y + z * z) + np.float32(1e-6)
        cosine = y / length
        entry = (cosine * np.float32(_TABLE / 2 - 0.51) + np.float32(_TABLE / 2)).astype(np.int32)
        away: Floats = length - self._radius.take(entry, mode="clip")
        if self._lobes:
            turned = ((x + 1j * z) / length) ** 5
            away -= self._lobes * turned.real
        return away if self.cut is None else np.maximum(away, y - np.float32(self.cut))

    def chart(self, point: Floats) -> tuple[Floats, Floats]:
        x, y, z = point
        return y / np.sqrt(x * x + y * y + z * z), np.arctan2(z, x)


class Bent:
    """A tapering tube bent along an arc: banana.

    Parameters
    ----------
    thickness:
        (position from tip 0 to stem 1, radius) pairs; the tube is about two units long.
    bend:
        Radius of the arc; small bends more.
    """

    reach = 1.25
    cut: float | None = None
    steps = 10

    def __init__(self, thickness: Sequence[tuple[float, float]], bend: float) -> None:
        self._thickness = curve(thickness)
        self._bend = np.float32(bend)
        self._sine = np.float32(np.sin(min(1.0 / bend, 1.45)))

    def distance(self, point: Floats) -> Floats:
        x, y, z = point
        from_centre = x + self._bend
        arm = np.hypot(from_centre, y)
        along = y / (arm * self._sine)
        beyond = np.maximum(np.abs(along) - 1, 0) * self._bend + np.maximum(-from_centre, 0)
        entry = (along * np.float32(511) + np.float32(512)).astype(np.int32)
        across = np.sqrt((arm - self._bend) ** 2 + z * z + beyond * beyond)
        return across - self._thickness.take(entry, mode="clip")

    def chart(self, point: Floats) -> tuple[Floats, Floats]:
        x, y, z = point
        arm = np.hypot(x + self._bend, y)
        return np.clip(y / (arm * self._sine), -1, 1), np.arctan2(z, arm - self._bend)


@dataclass(frozen=True)
class Pose:
    """Where a body stands in the picture: centre and radius in pixels, and the (3, 3) matrix from view to body frame."""

    column: float
    row: float
    radius: float
    turn: Floats

    @property
    def axis(self) -> Floats:
        """Direction of the stem in the view frame, shape (3,)."""
        up: Floats = self.turn[1] / np.linalg.norm(self.turn[1])
        return up

    def locate(self, point: Sequence[float]) -> tuple[float, float, float]:
        """Point of the body frame at a column, row and depth of the picture; `project` the other way round."""
        column, row, depth = point
        view = (column - self.column) / self.radius, (self.row - row) / self.radius, depth
        x, y, z = (self.turn @ np.array(view)).tolist()
        return x, y, z

    def project(self, point: Sequence[float]) -> tuple[float, float, float]:
        """Column, row and depth (towards the viewer, in radii) of a point of the body frame."""
        x, y, z = np.linalg.solve(self.turn, point)
        return self.column + self.radius * x, self.row - self.radius * y, float(z)


@dataclass(frozen=True)
class Surface:
    """What the viewer sees of one body: N covered pixels in a box of the picture."""

    box: tuple[slice, slice]
    covered: NDArray[np.bool_]
    """Pixels of the box that the body touches, shape (h, w)."""
    alpha: Floats
    """Share of each covered pixel that the body fills, shape (N,)."""
    halo: Floats
    """1 at the body falling to 0 some way outside, shape (h, w): how much it shuts out the light around it."""
    view: Floats
    """Points in the view frame, in radii from the centre, shape (3, N)."""
    normal: Floats
    """Unit normals in the view frame, shape (3, N)."""
    axis: Floats
    """Direction of the stem in the view frame, shape (3,)."""
    along: Floats
    """Where each point lies along the axis, shape (N,), as `Body.chart` says."""
    around: Floats
    """Angle of each point round the axis, shape (N,)."""
    cut: NDArray[np.bool_]
    """Points that lie on the face where a knife went through, shape (N,)."""


def trace(body: Body, pose: Pose, height: int, width: int) -> Surface | None:
    """Find the surface that a far viewer sees, by stepping along each ray as far as is free; None when out of frame."""
    extent = (body.reach + _HALO) * pose.radius
    top, bottom = max(int(pose.row - extent), 0), min(int(pose.row + extent) + 1, height)
    left, right = max(int(pose.column - extent), 0), min(int(pose.column + extent) + 1, width)
    if top >= bottom or left >= right:
        return None
    x, y = np.meshgrid(
        (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - pose.column)) / np.float32(pose.radius),
        (np.float32(pose.row - 0.5) - np.arange(top, bottom, dtype=np.float32)) / np.float32(pose.radius),
    )
    depth, nearest = _march(body, pose, x.ravel(), y.ravel())
    nearest = nearest.reshape(x.shape)
    coverage = np.clip(1.2 - nearest * np.float32(pose.radius), 0, 1)
    covered = coverage > 0
    view = np.stack([x[covered], y[covered], depth.reshape(x.shape)[covered]])
    place = pose.turn @ view
    along, around = body.chart(place)
    cut = np.zeros(along.shape, bool) if body.cut is None else place[1] > body.cut - 0.02
    halo = np.clip(1 - nearest / np.float32(_HALO), 0, 1) ** 2
    box = slice(top, bottom), slice(left, right)
    return Surface(box, covered, coverage[covered], halo, view, _normals(body, pose, place), pose.axis, along, around, cut)


def _march(body: Body, pose: Pose, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Depth where each ray comes nearest to the surface, and how near; rays that graze it are given more steps."""
    start = pose.turn[:, :2] @ np.stack([x, y])
    ahead = pose.turn[:, 2:]
    speed = float(ahead.ravel() @ ahead.ravel())
    middle = -(ahead.ravel() @ start) / speed
    inside = body.reach**2 - (start * start).sum(0) + speed * middle * middle
    depth: Floats = (middle + np.sqrt(np.maximum(inside, 0) / speed)).astype(np.float32)
    depth, nearest = _approach(body, start, ahead, depth, body.steps)
    grazing = np.flatnonzero((nearest > _ARRIVED) & (nearest < _PASSED_BY))
    depth[grazing], nearest[grazing] = _approach(body, start[:, grazing], ahead, depth[grazing], _GRAZING_STEPS)
    return depth, nearest


def _approach(body: Body, start: Floats, ahead: Floats, depth: Floats, steps: int) -> tuple[Floats, Floats]:
    """Depth at which each ray comes nearest to the surface within some steps, and how near."""
    nearest, nearest_depth = np.full_like(depth, np.inf), depth
    for _ in range(steps):
        away = body.distance(start + ahead * depth)
        closer = away < nearest
        nearest, nearest_depth = np.where(closer, away, nearest), np.where(closer, depth, nearest_depth)
        depth = depth - away * np.float32(0.95)
    return nearest_depth, nearest


def _normals(body: Body, pose: Pose, place: Floats) -> Floats:
    """Unit normals by finite differences along the axes of the view, which carries any skew of the pose with it."""
    here = body.distance(place)
    slope = np.stack([body.distance(place + pose.turn[:, axis : axis + 1] * np.float32(_SLOPE_STEP)) - here for axis in range(3)])
    return slope / (np.sqrt((slope * slope).sum(0)) + np.float32(1e-9))
