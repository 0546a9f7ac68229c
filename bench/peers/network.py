"""What a worker of any engine holds: the pipeline's own decoder and network, and a log of what was done when."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conf.settings import Images
from streaming.decode import decode
from streaming.engines import LiteRTEngine
from streaming.model import Model

_MAX_PIXELS = Images().max_pixels


class Network:
    """Photographs in, features out. Each thread that calls has an interpreter of its own, which takes one thread.

    Parameters
    ----------
    model
        With LiteRT's payload.
    log
        A folder where each worker appends `<seconds since the epoch> <photographs>` after each call.
    """

    def __init__(self, model: Model, log: Path) -> None:
        self._model = model
        self._log = log
        self._held = threading.local()

    def features(self, bodies: Iterable[bytes]) -> NDArray[np.float32]:
        """Features of whole files, shape (n, 1280), n > 0; sixteen decoded, then predicted, as in the pipeline."""
        chunks, pixels = [], []
        for body in bodies:
            pixels.append(decode(body, self._model.recipe.side, _MAX_PIXELS).pixels)
            if len(pixels) == LiteRTEngine.batch:
                chunks.append(self._predict(pixels))
                pixels = []
        if pixels:
            chunks.append(self._predict(pixels))
        return np.concatenate(chunks)

    def _predict(self, pixels: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        if not hasattr(self._held, "engine"):
            # Not `engine_of`: that is the process's, and two threads must not share an interpreter.
            self._held.engine = LiteRTEngine(self._model.payload, self._model.recipe.model_id)
            self._held.log = (self._log / f"{os.getpid()}-{threading.get_ident()}").open("a", buffering=1)
        features: NDArray[np.float32] = self._held.engine.features(np.stack(pixels))
        self._held.log.write(f"{time.time():.4f} {len(pixels)}\n")
        return features


def moments(log: Path) -> list[tuple[float, int]]:
    """What all workers logged, in order of time."""
    lines = [line.split() for path in log.iterdir() for line in path.read_text(encoding="ascii").splitlines()]
    return sorted((float(when), int(count)) for when, count in lines)
