"""What a stream loses to PCA refreshes that run beside it on the same cores.

    python -m bench.beside
    python -m bench.beside --images 8000 --every 10 --json

The same photographs are streamed twice, each time into a store of its own: alone, and while another process refreshes
as `fruits refresh --every 20s` would. Both have the same cores, and each its own JVM, as on a laptop; on a cluster, a
refresh has cores of its own.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.refresh import run as refresh
from bench.ingest import ingest
from bench.photographs import photographs
from conf.errors import DataError
from conf.settings import Settings, load
from conf.spark import session
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import connect, override

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3888, help="photographs to ingest (default 3888)")
    parser.add_argument("--every", type=float, default=20.0, help="seconds from one refresh to the next (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = measure(asked.images, asked.every)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        print(
            f"alone {figures['alone']:.1f} images/s, beside {figures['refreshes']} refreshes "
            f"{figures['beside']:.1f} images/s: {figures['beside_of_alone']:.2f}"
        )


def measure(images: int, every: float) -> dict[str, Any]:
    """Stream twice; images a second after the first micro-batch."""
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as place, serve(Path(place) / "s3") as server:
        folder, settings = Path(place), connect(load("local"), server)
        alone = _stream(override(settings, "storage", prefix="alone/"), folder / "alone.log", images)
        beside = override(settings, "storage", prefix="beside/")
        with _refreshing(beside, folder / "refresh.log", every) as done:
            along = _stream(beside, folder / "beside.log", images)
            refreshes = done()
    if not refreshes:
        raise SystemExit("no refresh came to its end beside the stream: take more --images")
    return {"alone": alone, "beside": along, "refreshes": refreshes, "beside_of_alone": along / alone}


def _stream(settings: Settings, log: Path, images: int) -> float:
    drop(settings.storage, iter(photographs(images)))
    _, clock, *_ = ingest(settings, log)
    return clock.steady


@contextmanager
def _refreshing(settings: Settings, log: Path, every: float) -> Iterator[Callable[[], int]]:
    """Refreshes in a process of their own, until the end of the block; asks it how many came to their end."""
    context = multiprocessing.get_context("spawn")
    done = context.Value("i", 0)
    process = context.Process(target=_refresh, args=(settings, log, every, done))
    process.start()

    def count() -> int:
        if not process.is_alive():
            raise SystemExit(f"the refreshes ended before the stream did: see what they said, and {log}")
        return int(done.value)

    try:
        yield count
    finally:
        process.terminate()
        process.join()


def _refresh(settings: Settings, log: Path, every: float, done: "Synchronized[int]") -> None:
    spark = session(settings, log)
    while True:
        begun = time.monotonic()
        try:
            if refresh(spark, settings, if_changed=True):
                done.value += 1
        except DataError:
            pass  # nothing has been featurized yet
        time.sleep(max(1.0, begun + every - time.monotonic()))


if __name__ == "__main__":
    main()
