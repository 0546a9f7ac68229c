"""What these cores can do at most: one process a core that calls the interpreter on pixels ready in memory.

No reading, no decoding, no result kept. A bench runs it before and after what it measures, because a shared machine's
speed drifts, and the mean counts.
"""

import multiprocessing
import time
from itertools import islice
from multiprocessing.synchronize import Barrier

from scripts.session import say
from streaming.decode import decode
from streaming.model import Model, engine_of

LOOP_IMAGES = 400


def bare_loop(model: Model, files: list[tuple[str, bytes]], cores: int) -> float:
    """Images a second of `cores` processes that predict, each, the first 400 of `files` (name, bytes)."""
    sample = [data for _, data in islice(files, LOOP_IMAGES)]
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(cores + 1)
    workers = [context.Process(target=_loop, args=(model, sample, ready)) for _ in range(cores)]
    for worker in workers:
        worker.start()
    ready.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    speed = cores * len(sample) / (time.perf_counter() - begun)
    say(f"bare loop: {speed:.1f} images/s on {cores} cores")
    return speed


def _loop(model: Model, sample: list[bytes], ready: Barrier) -> None:
    pixels = [decode(data, model.recipe.side, 10**8).pixels[None] for data in sample]
    engine = engine_of(model.recipe, model.payload)
    engine.features(pixels[0])
    ready.wait()
    for picture in pixels:
        engine.features(picture)
