"""Rows of rejects that are too old leave their table, and nothing takes them for lost."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import streaming.expiry
import streaming.stream
from conf.s3 import object_store
from conf.settings import Settings
from scripts.accounting import account
from scripts.auditing.audit import audit
from scripts.fruit_photos import draw_photos
from scripts.session import override
from streaming import leaving
from streaming.expiry import expired
from streaming.reprocess import rejected
from streaming.stream import run
from tests.integration.tables import rows, versions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(4, seed=51)}
OLD = {"x/old-1.jpg": b"no image", "x/old-2.jpg": b"no image either"}
NEW = {"x/new.jpg": b"no image of today"}


class Later(datetime):
    """A clock that is a hundred days ahead."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime.now(UTC) + timedelta(days=100)


@pytest.fixture
def filled(spark: "SparkSession", settings: Settings, drop_files: Drop) -> Settings:
    """Two rows that were refused, and a micro-batch after them."""
    drop_files(OLD | GOOD)
    run(spark, settings, once=True)
    drop_files(NEW)
    run(spark, settings, once=True)
    return settings


def assert_all_is_well(settings: Settings) -> None:
    counted = account(settings.storage)
    assert (counted.under_way, counted.waiting, counted.unlisted, counted.refusal) == (0, 0, 0, None)
    assert audit(settings.storage, 100).findings == ()


def test_what_is_too_old_goes_and_the_stream_goes_on(
    spark: "SparkSession", filled: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = override(filled, "privacy", rejects_days=90)
    run(spark, kept, once=True)
    assert len(rows(filled, "rejects")) == 3
    monkeypatch.setattr(streaming.expiry, "datetime", Later)
    run(spark, filled, once=True)
    assert len(rows(filled, "rejects")) == 3
    assert run(spark, kept, once=True).objects == 0
    # Of the newest manifest that any table knows, all stay.
    assert [name for name, _ in versions(filled, "rejects")] == ["x/new.jpg"]
    assert len(rows(filled, "features")) == len(GOOD)
    assert_all_is_well(filled)
    # They are known all the same: neither a start nor `fruits reprocess --rejects` takes them up again.
    drop_files(OLD)
    assert run(spark, kept, once=True).objects == 0
    chosen = rejected()(filled.storage, object_store(filled.storage))
    assert [version.key for version in chosen] == [f"{filled.storage.landing}x/new.jpg"]


@pytest.mark.parametrize("dies", ["before the rows go", "after"])
def test_one_that_dies_in_the_middle_is_taken_up(
    spark: "SparkSession", filled: Settings, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    class Dying(RuntimeError):
        """Stands for the end of the driver."""

    def die(*_: object) -> None:
        raise Dying

    kept = override(filled, "privacy", rejects_days=90)
    monkeypatch.setattr(streaming.expiry, "datetime", Later)
    with monkeypatch.context() as patch:
        if dies == "after":
            patch.setattr(leaving, "end", die)
        else:
            patch.setattr(streaming.expiry, "_leave", die)
        run(spark, kept, once=True)
    store = object_store(filled.storage)
    assert leaving.read(store, filled.storage).total == 2
    assert len(rows(filled, "rejects")) == (1 if dies == "after" else 3)
    assert account(filled.storage).refusal is None
    # Whatever the settings say by then.
    run(spark, filled, once=True)
    assert leaving.read(store, filled.storage) == leaving.Left(2)
    assert [name for name, _ in versions(filled, "rejects")] == ["x/new.jpg"]
    assert_all_is_well(filled)


@pytest.mark.parametrize("clean", ["delete", "archive"])
def test_cleaning_goes_past_what_is_in_no_table_any_more(
    spark: "SparkSession", filled: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch, clean: str
) -> None:
    monkeypatch.setattr(streaming.expiry, "datetime", Later)
    run(spark, override(filled, "privacy", rejects_days=90), once=True)
    assert expired(object_store(filled.storage), filled.storage) == 1
    run(spark, override(filled, "discovery", clean=clean, retention_days=0.0), once=True)
    counted = account(filled.storage)
    # What no table has is never touched.
    assert counted.landed == len(OLD) + (clean == "delete")
    assert_all_is_well(filled)


def test_a_loss_is_found_although_some_have_left(
    spark: "SparkSession", filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming.expiry, "datetime", Later)
    run(spark, override(filled, "privacy", rejects_days=90), once=True)
    label = sorted(GOOD)[0].split("/")[0]
    spark.sql(f"DELETE FROM delta.`{filled.storage.table_uri('features')}` WHERE label = '{label}'")  # noqa: S608
    assert "missing" in {finding.code for finding in audit(filled.storage, 0).findings}
