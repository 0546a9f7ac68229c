"""Cleaning beside a stream: what the people who run it see."""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING

import obstore
import pytest

from conf.s3 import control_client, object_store
from conf.settings import Settings
from scripts.accounting import account
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.session import override
from streaming import janitor
from streaming.listing import list_below
from streaming.reprocess import listed_by, matching, rejected, relist
from streaming.stream import run
from tests.integration.tables import rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(8, seed=9)}
BAD = {f"{bad.label}/{bad.name}": bad.data for bad in draw_bad_objects(seed=9)}


def cleaned_at_once(settings: Settings, how: str) -> Settings:
    return override(settings, "discovery", clean=how, retention_days=0.0)


def below(settings: Settings, prefix: str) -> list[str]:
    client = control_client(settings.storage)
    found = [entry["Key"].removeprefix(prefix) for entry in list_below(client, settings.storage, prefix)]
    client.close()
    return found


def test_once_archives_all_that_it_took_in_and_nothing_counts_as_lost(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    settings = cleaned_at_once(settings, "archive")
    drop_files(GOOD | BAD)
    assert run(spark, settings, once=True).objects == len(GOOD) + len(BAD)
    assert below(settings, settings.storage.landing) == []
    assert len(below(settings, settings.storage.archive)) == len(GOOD) + len(BAD)
    counted = account(settings.storage)
    assert (counted.landed, counted.waiting, counted.under_way, counted.backlog) == (0, 0, 0, 0)
    assert (counted.discovered, counted.features) == (len(GOOD) + len(BAD), len(GOOD))
    assert run(spark, settings, once=True).objects == 0


def test_delete_keeps_what_was_refused_until_it_is_featurized(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    settings = cleaned_at_once(settings, "delete")
    smallest = min(GOOD, key=lambda name: len(GOOD[name]))
    drop_files(GOOD | {"x/no image.jpg": b"no image"})
    run(spark, override(settings, "images", max_bytes=len(GOOD[smallest])), once=True)
    assert sorted(below(settings, settings.storage.landing)) == sorted({*GOOD, "x/no image.jpg"} - {smallest})
    store = object_store(settings.storage)
    relist(settings.storage, store, rejected()(settings.storage, store))
    run(spark, settings, once=True)
    assert below(settings, settings.storage.landing) == ["x/no image.jpg"]


def test_what_was_archived_can_be_featurized_again(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    settings = cleaned_at_once(settings, "archive")
    storage, store = settings.storage, object_store(settings.storage)
    names = sorted(GOOD)
    drop_files(GOOD)
    run(spark, settings, once=True)
    # One is overwritten, one is dropped anew and seen by no stream yet.
    drop_files({names[0]: GOOD[names[1]]})
    run(spark, settings, once=True)
    drop_files({names[2]: GOOD[names[3]]})
    chosen = matching(["*"], archived=True)(storage, store)
    assert sorted(v.key.removeprefix(storage.landing) for v in chosen) == sorted({*names} - {names[2]})
    before = {(row["key"], row["etag"]): row for row in rows(settings, "features")}
    assert all(before[v.key, v.etag]["last_modified"] == v.last_modified for v in chosen)
    newest = next(v for v in chosen if v.key == storage.landing + names[0])
    assert before[newest.key, newest.etag]["manifest"] == 2
    first = relist(storage, store, listed_by(1, 1)(storage, store))
    assert len(chosen) == len(GOOD) - 1
    summary = run(spark, settings, once=True)
    assert (summary.features, summary.rejects.total()) == (len(GOOD) + 1, 0)
    again = [row for row in rows(settings, "features") if row["manifest"] == first[0]]
    assert len(again) == len(GOOD)
    for row in again:
        was = before[row["key"], row["etag"]]
        assert (row["sha256"], row["features"]) == (was["sha256"], was["features"])
    # Without the archive they are gone, and it is said so.
    relist(storage, store, chosen)
    assert run(spark, override(settings, "discovery", clean="off"), once=True).rejects == {"gone": len(GOOD) - 1}


def test_what_was_archived_can_be_featurized_again_after_all_state_was_lost(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    settings = cleaned_at_once(settings, "archive")
    storage, store = settings.storage, object_store(settings.storage)
    drop_files(GOOD)
    run(spark, settings, once=True)
    obstore.delete(store, [meta["path"] for meta in obstore.list(store, storage.state_key("")).collect()])
    run(spark, settings, once=True, rebuild_state=True)
    relist(storage, store, matching(["*"], archived=True)(storage, store))
    summary = run(spark, settings, once=True)
    assert (summary.features, summary.rejects.total()) == (len(GOOD), 0)
    assert len(rows(settings, "features")) == 2 * len(GOOD)


def test_what_was_refused_and_archived_is_found_without_its_manifest(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    settings = cleaned_at_once(settings, "archive")
    storage, store = settings.storage, object_store(settings.storage)
    first, second = sorted(GOOD)[:2]
    refusing = override(settings, "images", max_bytes=10)
    drop_files({first: GOOD[first]})
    run(spark, refusing, once=True)
    obstore.delete(store, [meta["path"] for meta in obstore.list(store, storage.state_key("")).collect()])
    drop_files({second: GOOD[second]})
    run(spark, refusing, once=True, rebuild_state=True)
    assert below(settings, storage.landing) == []
    assert [v.key for v in rejected()(storage, store)] == [storage.landing + second]
    relist(storage, store, rejected(archived=True)(storage, store))
    assert run(spark, settings, once=True).features == 2


def test_the_stream_goes_on_where_cleaning_fails(
    spark: "SparkSession",
    settings: Settings,
    drop_files: Drop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(janitor, "PASS_SECONDS", 0.1)
    settings = override(cleaned_at_once(settings, "archive"), "stream", max_files=2)
    store, pointer = object_store(settings.storage), settings.storage.state_key("cleaned.json")
    obstore.put(store, pointer, b'{"contract":99,"manifest":0}')
    drop_files(GOOD)
    with caplog.at_level(logging.INFO, janitor.__name__):
        summary = run(spark, settings, once=True)
    assert (summary.features, summary.batches) == (len(GOOD), 4)
    (said,) = [record.message for record in caplog.records if record.name == janitor.__name__]
    assert "not cleaned" in said
    assert "contract 99" in said
    assert sorted(below(settings, settings.storage.landing)) == sorted(GOOD)
    # Mended, it is made up for.
    obstore.delete(store, pointer)
    run(spark, settings, once=True)
    assert below(settings, settings.storage.landing) == []


def test_a_stream_that_watches_cleans_beside_its_work_and_ends_at_once(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "PASS_SECONDS", 0.2)
    settings, stop = cleaned_at_once(settings, "delete"), Event()
    drop_files(GOOD)
    watching = Thread(target=run, args=(spark, settings), kwargs={"stop": stop})
    watching.start()
    try:
        wait_until(lambda: not below(settings, settings.storage.landing))
        assert len(rows(settings, "features")) == len(GOOD)
    finally:
        stopped = time.monotonic()
        stop.set()
        watching.join()
    assert time.monotonic() - stopped < 10


def test_nothing_is_cleaned_unless_asked_for_nor_before_its_time(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD)
    run(spark, settings, once=True)
    run(spark, override(settings, "discovery", clean="archive"), once=True)
    assert sorted(below(settings, settings.storage.landing)) == sorted(GOOD)
