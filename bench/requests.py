"""How many requests the stream and the refresh make to S3, which asks money for each.

    python -m bench.requests            500 drawn photographs: 100, about two micro-batches, then 400; then a refresh
    python -m bench.requests --json

What comes back is counted by a proxy before the embedded S3, by what S3 bills: `puts` (PUT, POST and LIST), `gets` (GET
and HEAD) and, for nothing, deletions. Those for a photograph itself are told apart from those of a micro-batch and of a
start, which the difference between the two runs tells.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from batch import refresh
from conf.settings import Settings, load
from conf.spark import session, stop
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.fruit_photos import draw_photos
from scripts.session import connect, override
from streaming import stream
from tests.chaos.faults import Faults, Phase, Request, proxy

_BATCH = 50
_FEW, _MANY = 2, 8
"""Micro-batches; a slow machine makes more, and smaller ones."""
_KINDS = ("puts", "gets")


class Run(NamedTuple):
    """What one run of the stream did and asked."""

    batches: int
    seen: Counter[str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.requests", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    figures = measure()
    if parser.parse_args().json:
        print(json.dumps(figures, indent=2))
    else:
        for what, counts in figures.items():
            print(f"{what:<14} {', '.join(f'{count:8.2f} {kind}' for kind, count in counts.items())}")


def measure() -> dict[str, dict[str, float]]:
    """Requests a photograph, a micro-batch, a start and a refresh, by kind."""
    settings = load("local", [f"stream.max_files={_BATCH}", "stream.trigger_seconds=0"])
    photographs = [
        (f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(_BATCH * (_FEW + _MANY), seed=5)
    ]
    with (
        tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder,
        serve(Path(folder)) as server,
        counted(connect(settings, server)) as (settings, faults, seen),
    ):
        spark = session(settings, Path(folder) / "spark.log")
        try:
            runs = list[Run]()
            for size in (_FEW, _MANY):
                with faults.calm():
                    drop(settings.storage, iter(photographs[: _BATCH * size]))
                    del photographs[: _BATCH * size]
                seen.clear()
                runs.append(Run(stream.run(spark, settings, once=True).batches, Counter(seen)))
            seen.clear()
            refresh.run(spark, settings)
            refreshed = Counter(seen)
        finally:
            stop(spark)
    few, many = runs
    if many.batches <= few.batches:
        raise SystemExit(f"{few.batches} and {many.batches} micro-batches: these figures would not tell")
    batch = {kind: (many.seen[kind] - few.seen[kind]) / (many.batches - few.batches) for kind in _KINDS}
    return {
        "photograph": {"gets": many.seen["photographs"] / (_BATCH * _MANY), "puts": 0.0},
        "micro-batch": batch,
        "start": {kind: few.seen[kind] - few.batches * batch[kind] for kind in _KINDS},
        "refresh": {kind: float(refreshed[kind]) for kind in _KINDS},
    }


@contextmanager
def counted(settings: Settings) -> Iterator[tuple[Settings, Faults, Counter[str]]]:
    """Settings by way of a proxy that counts what S3 would bill; GETs of photographs by themselves."""
    seen = Counter[str]()
    landing = settings.storage.landing

    def hook(request: Request, phase: Phase) -> bool:
        if phase == "before":
            seen[_kind(request, landing)] += 1
        return True

    with proxy(str(settings.storage.endpoint)) as faults:
        faults.hook = hook
        yield override(settings, "storage", endpoint=faults.endpoint), faults, seen


def _kind(request: Request, landing: str) -> str:
    if request.method == "DELETE" or request.key.startswith("?delete"):
        return "deletions"
    if request.method in ("PUT", "POST") or request.key.startswith("?"):
        return "puts"
    return "photographs" if request.key.startswith(landing) else "gets"


if __name__ == "__main__":
    main()
