"""A photograph that kills the process it is decoded in: it is found and refused, and the stream goes on."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

import streaming.stream
from conf.errors import SetupError
from conf.settings import Settings
from scripts.accounting import account
from scripts.fruit_photos import draw_photos
from streaming.decode import Photograph, decode
from streaming.featurize import Featurizer
from streaming.isolation import Decode
from streaming.sink import BatchReport
from streaming.stream import run
from tests.integration.tables import rows, versions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(8, seed=13)}
DEADLY = {"plum/deadly.jpg": b"\xff\xd8\xff segfault"}


def dying() -> Decode:
    """A decoder with a bug in its native code; made here, it travels to workers by value."""

    def die(data: bytes, side: int, max_pixels: int) -> Photograph:
        if data.endswith(b"segfault"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if data.endswith(b"hunger"):
            # The worker, wherever this runs: a kernel short of memory takes the larger process.
            os.kill(os.getpid() if "pyspark.worker" in sys.modules else os.getppid(), signal.SIGKILL)
        return decode(data, side, max_pixels)

    return die


@pytest.fixture(autouse=True)
def deadly_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming.stream, "Featurizer", partial(Featurizer, decoder=dying()))


def test_an_object_that_kills_the_worker_is_a_reject_and_the_stream_goes_on(
    spark: "SparkSession", settings: Settings, drop_files: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    drop_files(GOOD | DEADLY)
    batches: list[BatchReport] = []
    run(spark, settings, once=True, on_batch=batches.append)
    assert "A Python worker died over micro-batch 0" in caplog.text
    assert [name for name, _ in versions(settings, "features")] == sorted(GOOD)
    (row,) = rows(settings, "rejects")
    assert row["key"].endswith("deadly.jpg")
    assert (row["reason"], row["detail"]) == ("crashed", "12 bytes: the decoder was killed by SIGSEGV")
    # What the first attempt decoded counts as far as its tasks lived to tell; nothing was decoded a third time.
    (batch,) = batches
    assert len(GOOD | DEADLY) <= batch.decodes < 2 * len(GOOD | DEADLY)
    drop_files({f"later/{name.rpartition('/')[2]}": data + b" " for name, data in GOOD.items()})
    caplog.clear()
    assert run(spark, settings, once=True).decodes == len(GOOD)
    assert "died" not in caplog.text
    counted = account(settings.storage)
    assert (counted.features, counted.rejects, counted.under_way) == (2 * len(GOOD), {"crashed": 1}, 0)


def test_a_worker_that_dies_of_something_else_ends_the_stream_with_one_message(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | {"plum/hungry.jpg": b"\xff\xd8\xff hunger"})
    with pytest.raises(SetupError, match="died twice over micro-batch 0, the second time not of decoding"):
        run(spark, settings, once=True)
    assert rows(settings, "features") == rows(settings, "rejects") == []
