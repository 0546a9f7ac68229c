"""Tiling grey textures, made once a process, that skins and backdrops look up instead of computing noise a pixel."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator

SIDE = 512
"""Side of every texture in texels; a power of two, so that wrapping round is a bit mask."""


@dataclass(frozen=True)
class Relief:
    """A texture of shape (SIDE, SIDE) and its slopes, for bumps in a skin."""

    height: Floats
    slope_x: Floats
    slope_y: Floats


@cache
def noise(falloff: float) -> Relief:
    """Random texture of mean 0 and deviation 1 whose amplitude falls as frequency ** -falloff.

    2 gives soft clouds, 1 blotches with grain in them, 0.3 nearly sand.
    """
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]) * SIDE
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(np.random.default_rng(7).standard_normal((SIDE, SIDE))) * frequency**-falloff
    height = np.fft.irfft2(spectrum, (SIDE, SIDE))
    return _relief(height / height.std())


@dataclass(frozen=True)
class Cells:
    """Worley cells on a jittered grid: `pit` has the distance to the nearest point as its height (0 to about 1)."""

    pit: Relief
    border: Floats
    """Distance to the second nearest point less that to the nearest: 0 on the border between two cells."""
    shade: Floats
    """One uniform random number a cell."""


@cache
def cells(across: int) -> Cells:
    """Texture of `across` x `across` irregular cells, such as pores, freckles and pebbles.

    Source: S. Worley, A Cellular Texture Basis Function, SIGGRAPH 1996.
    """
    rng = np.random.default_rng(across)
    points = rng.random((2, across, across), dtype=np.float32)
    shades = rng.random((across, across), dtype=np.float32)
    texel = np.arange(SIDE, dtype=np.float32) * (across / SIDE)
    column, row = np.meshgrid(texel, texel)
    nearest, second = np.full((2, SIDE, SIDE), 9, np.float32)
    shade = np.zeros((SIDE, SIDE), np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            cell_row, cell_column = np.floor(row) + down, np.floor(column) + right
            cell = cell_row.astype(int) % across, cell_column.astype(int) % across
            away = np.hypot(cell_column + points[0][cell] - column, cell_row + points[1][cell] - row)
            closer = away < nearest
            second = np.where(closer, nearest, np.minimum(second, away))
            nearest = np.where(closer, away, nearest)
            shade = np.where(closer, shades[cell], shade)
    return Cells(_relief(nearest), second - nearest, shade)


def texel_of(x: Floats, y: Floats, scale: float, rng: Rng) -> NDArray[np.int32]:
    """Flat texture indices of points, `scale` texels to a unit, shifted at random and wrapped round."""
    shift_x, shift_y = rng.integers(0, SIDE, 2)
    column = (x * np.float32(scale) + np.float32(shift_x + 64 * SIDE)).astype(np.int32) & (SIDE - 1)
    row = (y * np.float32(scale) + np.float32(shift_y + 64 * SIDE)).astype(np.int32) & (SIDE - 1)
    return row * np.int32(SIDE) + column


def _relief(height: NDArray[np.floating]) -> Relief:
    slope_x = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    slope_y = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    return Relief(*(np.ascontiguousarray(layer, np.float32) for layer in (height, slope_x, slope_y)))
