"""Tracing of a body onto the pixels that it covers, as a far viewer sees it.

The view has x to the right, y up and z towards the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.fruit_photos.bodies import Body
from scripts.fruit_photos.textures import Floats

_SLOPE_STEP = 0.02
_ARRIVED, _PASSED_BY = 0.001, 0.1
_GRAZING_STEPS = 14
_HALO = 0.45
"""How far outside its outline, in radii, a body darkens what it stands on."""


@dataclass(frozen=True)
class Pose:
    """Where a body is in the picture, in pixels, and the (3, 3) matrix that turns the view into its frame."""

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


def trace(body: Body, pose: Pose, height: int, width: int) -> Surface:
    """Find the surface that a far viewer sees, by stepping along each ray as far as is free."""
    extent = (body.reach + _HALO) * pose.radius
    top, bottom = max(int(pose.row - extent), 0), min(int(pose.row + extent) + 1, height)
    left, right = max(int(pose.column - extent), 0), min(int(pose.column + extent) + 1, width)
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
    return Surface(
        box, covered, coverage[covered], halo, view, _normals(body, pose, place), pose.axis, along, around, cut
    )


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
    slope = np.stack(
        [body.distance(place + pose.turn[:, axis : axis + 1] * np.float32(_SLOPE_STEP)) - here for axis in range(3)]
    )
    normal: Floats = slope / (np.sqrt((slope * slope).sum(0)) + np.float32(1e-9))
    return normal
