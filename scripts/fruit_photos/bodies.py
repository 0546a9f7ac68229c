"""Solid shapes of fruit, each in its own frame: unit radius or so, stem towards +y."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from scripts.fruit_photos.textures import Floats

_TABLE = 8192


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
        along = y / (arm * self._sine + np.float32(1e-6))
        beyond = np.maximum(np.abs(along) - 1, 0) * self._bend + np.clip(-from_centre, 0, 2)
        entry = (along * np.float32(511) + np.float32(512)).astype(np.int32)
        across = np.sqrt((arm - self._bend) ** 2 + z * z + beyond * beyond)
        away: Floats = across - self._thickness.take(entry, mode="clip")
        return away

    def chart(self, point: Floats) -> tuple[Floats, Floats]:
        x, y, z = point
        arm = np.hypot(x + self._bend, y)
        return np.clip(y / (arm * self._sine), -1, 1), np.arctan2(z, arm - self._bend)
