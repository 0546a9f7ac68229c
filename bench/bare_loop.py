"""What these cores can do at most: one process a core that calls the interpreter on pixels ready in memory.

No reading, no decoding unless asked for, no result kept. A bench runs it before and after what it measures, because a
shared machine's speed drifts, and the mean counts.
"""

import multiprocessing
import time
from itertools import islice
from multiprocessing.synchronize import Barrier

import numpy as np
from numpy.typing import NDArray

from conf.settings import Images
from scripts.session import say
from streaming.decode import decode
from streaming.engines import LiteRTEngine
from streaming.model import Model, engine_of

_IMAGES = 400
_BATCH = LiteRTEngine.batch
_MAX_PIXELS = Images().max_pixels


def bare_loop(model: Model, files: list[tuple[str, bytes]], cores: int, *, decoding: bool = False) -> float:
    """Images a second of `cores` processes that predict, each, the first 400 of `files` (name, bytes).

    With `decoding`, each decodes them first, sixteen at a time: all of the work on them, and none of getting them.
    """
    sample = [data for _, data in islice(files, _IMAGES)]
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(cores + 1)
    workers = [
        context.Process(target=_decode_and_predict if decoding else _predict, args=(model, sample, ready))
        for _ in range(cores)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    speed = cores * len(sample) / (time.perf_counter() - begun)
    say(f"{'bare loop that decodes' if decoding else 'bare loop'}: {speed:.1f} images/s on {cores} cores")
    return speed


def _predict(model: Model, sample: list[bytes], ready: Barrier) -> None:
    pixels = [_pixels(model, data) for data in sample]
    engine = engine_of(model.recipe, lambda: model.payload)
    engine.features(pixels[0][np.newaxis])
    ready.wait()
    for picture in pixels:
        engine.features(picture[np.newaxis])


def _decode_and_predict(model: Model, sample: list[bytes], ready: Barrier) -> None:
    engine = engine_of(model.recipe, lambda: model.payload)
    engine.features(_pixels(model, sample[0])[np.newaxis])
    ready.wait()
    for first in range(0, len(sample), _BATCH):
        engine.features(np.stack([_pixels(model, data) for data in sample[first : first + _BATCH]]))


def _pixels(model: Model, data: bytes) -> NDArray[np.uint8]:
    return decode(data, model.recipe.side, _MAX_PIXELS).pixels
