"""Colours: written as sRGB, mixed and lit as linear light."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from scripts.fruit_photos.textures import Floats

_LEVELS = 4096


@cache
def linear(colour: str) -> Floats:
    """Linear light, shape (3,), of an sRGB colour written "#rrggbb"."""
    encoded = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def ramp(amount: Floats, colours: Sequence[Floats]) -> Floats:
    """Colours of shape (3, ...) for amounts in [0, 1] along an even scale of linear colours."""
    scale = np.stack(colours, 1)
    steps = np.stack([np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(colours)), band) for band in scale])
    entry = (amount * np.float32(255)).astype(np.int32)
    return steps.astype(np.float32).take(entry, axis=1, mode="clip")


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    """0 below `low`, 1 above `high`, and a smooth rise between (or fall, where high < low)."""
    t: Floats = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


@cache
def _tones(contrast: int) -> NDArray[np.uint8]:
    """Camera curve from linear light (0 to 2, in _LEVELS steps) to sRGB bytes; highlights roll off, not clip."""
    light = np.linspace(0, 2, _LEVELS)
    rolled = np.where(light < 0.7, light, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)))
    encoded = np.where(rolled <= 0.0031308, rolled * 12.92, 1.055 * rolled ** (1 / 2.4) - 0.055)
    bent = encoded + contrast / 100 * (encoded - 0.45) * encoded * (1 - encoded) * 4
    tones: NDArray[np.uint8] = (np.clip(bent, 0, 1) * 255 + 0.5).astype(np.uint8)
    return tones


def develop(light: Floats, contrast: int) -> NDArray[np.uint8]:
    """sRGB bytes of an array of linear light; `contrast` in percent."""
    entry = (light * np.float32(_LEVELS / 2)).astype(np.int32)
    developed: NDArray[np.uint8] = _tones(contrast).take(entry, mode="clip")
    return developed
