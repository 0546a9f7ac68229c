"""The process of `scripts.checks.trial`: it is given settings, and each stage's seconds go to stdout as JSON."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from conf.errors import FruitsError
from conf.settings import Settings
from scripts.checks.trial import BAD, PHOTOGRAPHS

_SEED = 7


def main(settings: Settings) -> None:
    """Drop photographs and a bad object, stream, refresh, count."""
    from batch.refresh import run as refresh
    from conf.delta import open_tables
    from conf.table_log import TableLog
    from scripts.drop import drop
    from scripts.fruit_photos import draw_bad_objects, draw_photos
    from scripts.session import spark_session
    from streaming.stream import run as stream

    storage = settings.storage
    with _stage("drop"):
        objects = [*draw_photos(PHOTOGRAPHS, _SEED), *list(draw_bad_objects(_SEED))[:BAD]]
        drop(storage, ((f"{one.label}/{one.name}", one.data) for one in objects))
    with ExitStack() as stack:
        with _stage("start Spark"):
            spark = stack.enter_context(spark_session(settings))
        with _stage("stream"):
            stream(spark, settings, once=True)
        with _stage("refresh"):
            refresh(spark, settings)
    with _stage("count"):
        names = ("features", "rejects", "reduced")
        opened = zip(names, open_tables(storage, *names), strict=True)
        counts = {name: TableLog(table, storage).rows if table else 0 for name, table in opened}
    _tell({"counts": counts})


@contextmanager
def _stage(name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    _tell({name: time.perf_counter() - begun})


def _tell(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    try:
        main(Settings.model_validate_json(sys.argv[1]))
    except FruitsError as error:
        _tell({"error": str(error)})
        sys.exit(1)
