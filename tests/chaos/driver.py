"""A stream in a process of its own, which may be killed: opens a session, runs once, prints what came of it as JSON.

    python tests/chaos/driver.py '{"settings": {...}, "log": "spark.log", ...}'

It is the product as it is. What is laid around it is said in the argument, and comes from outside.
"""

import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

from conf.errors import FruitsError
from conf.settings import Settings


@dataclass(frozen=True)
class Order:
    """What the process is told."""

    settings: dict[str, Any]
    log: str
    """File for the JVM's own words."""
    manifests_between: int = 1
    """The ledger is saved each so many manifests."""
    clock_seconds: float = 0.0
    """How far this process's clock is ahead."""
    stream: bool = True
    refresh: bool = False
    """Fit the PCA after the stream."""
    refresh_options: dict[str, Any] = field(default_factory=dict)
    """Of `batch.refresh.run`."""
    forget: bool = False
    """Carry out what `fruits forget` was asked and is not done."""
    file_bytes: int | None = None
    """No file that this process or a child of it writes may be larger: what they meet on a full disk."""


@dataclass(frozen=True)
class Answer:
    """What the process says at its end."""

    features: int = 0
    rejects: int = 0
    batches: int = 0
    error: str | None = None
    """Class of what it ended with; None where it did what it should."""
    message: str = ""
    explained: bool = True
    """Whether that was an error of ours, which is one message, and no defect."""


def main() -> None:
    order = Order(**json.loads(sys.argv[1]))
    answer = _run(order)
    sys.stdout.write(json.dumps(asdict(answer)) + "\n")
    sys.stdout.flush()


def _run(order: Order) -> Answer:
    settings = Settings.model_validate(order.settings)
    if order.file_bytes is not None:
        _limit_files(order.file_bytes)
    try:
        with _session(settings, Path(order.log)) as spark:
            _shift_clock(order.clock_seconds)
            _save_often(order.manifests_between)
            answer = _stream(spark, settings) if order.stream else Answer()
            if order.refresh:
                from batch.refresh import run as refresh

                refresh(spark, settings, **order.refresh_options)
            if order.forget:
                _forget(spark, settings)
    except FruitsError as error:
        return Answer(error=type(error).__name__, message=str(error))
    except Exception as error:
        message = "".join(traceback.format_exception(error))
        return Answer(error=type(error).__name__, message=message, explained=False)
    return answer


def _stream(spark: Any, settings: Settings) -> Answer:
    import streaming.stream

    summary = streaming.stream.run(spark, settings, once=True)
    return Answer(summary.features, summary.rejects.total(), summary.batches)


def _forget(spark: Any, settings: Settings) -> None:
    from conf.forgetting import requests
    from conf.s3 import object_store
    from scripts.erasure import carry_out

    store = object_store(settings.storage)
    for request in requests(store, settings.storage):
        carry_out(settings, store, request, lambda: spark)


@contextmanager
def _session(settings: Settings, log: Path) -> Iterator[Any]:
    from conf.spark import session, stop

    spark = session(settings, log)
    try:
        yield spark
    finally:
        stop(spark)


def _save_often(manifests: int) -> None:
    """Lower, in the process where Spark runs the source, the number of manifests after which the ledger is saved.

    A class of this script travels there by value, as Spark's pickler knows no module `__main__` on the other side.
    """
    import streaming.stream
    from streaming.source import KeyReader, KeySource

    class Saving(KeySource):
        def streamReader(self, schema: Any) -> KeyReader:
            import streaming.ledger

            streaming.ledger._MANIFESTS_BETWEEN = manifests
            return KeySource.streamReader(self, schema)

    setattr(streaming.stream, "KeySource", Saving)  # noqa: B010 (not a name that it exports)


def _shift_clock(seconds: float) -> None:
    """Set this process's clock ahead, as far as our own code can tell.

    Not that of the SDKs: a store refuses signatures that are a quarter of an hour off, whoever makes them.
    """
    if not seconds:
        return
    import conf.lease
    import streaming.sink

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=seconds)

    for module in (conf.lease, streaming.sink):
        module.datetime = Ahead  # type: ignore[attr-defined]
    true = time.time
    time.time = lambda: true() + seconds


def _limit_files(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


if __name__ == "__main__":
    main()
