"""The stream: everything that lands is accounted for, once, whatever stops it."""

import hashlib
import io
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from PIL import ExifTags, Image

from conf.errors import ContractError, LeaseError, SettingsError, SetupError, StorageError
from conf.lease import Holder, Lease, read
from conf.s3 import control_client, object_store, read_object
from conf.settings import Settings
from conf.tables import column_names
from scripts import sql
from scripts.accounting import account
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.session import override
from streaming.sink import BatchReport, Sink
from streaming.stream import run
from tests.integration.tables import rows, versions
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(12, seed=1)}
BAD = {f"{bad.label}/{bad.name}": bad.data for bad in draw_bad_objects(seed=1)}


def etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_every_object_is_in_features_or_in_rejects_once(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | BAD)
    summary = run(spark, settings, once=True)
    assert versions(settings, "features") == sorted((name, etag(data)) for name, data in GOOD.items())
    assert versions(settings, "rejects") == sorted((name, etag(data)) for name, data in BAD.items())
    assert (summary.features, summary.rejects.total()) == (len(GOOD), len(BAD))
    # The counter of the workers: each object was decoded once, whatever became of it. An empty one is not even read.
    empty = sum(not data for data in BAD.values())
    assert summary.decodes == len(GOOD) + len(BAD) - empty
    assert summary.bytes == sum(map(len, (GOOD | BAD).values()))


def test_a_features_row_says_what_the_photograph_was(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files({"apple green/one photo+%.jpg": (data := next(iter(GOOD.values())))})
    run(spark, settings, once=True)
    (row,) = rows(settings, "features")
    assert row["key"] == settings.storage.landing + "apple green/one photo+%.jpg"
    assert row["label"] == "apple green"
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert (row["size"], row["etag"]) == (len(data), etag(data))
    assert (row["manifest"], row["batch_id"]) == (1, 0)
    assert row["model_id"].startswith("efficientnet_lite0/")
    assert len(row["features"]) == 1280
    assert row["width"] > 0 < row["height"]


def test_nothing_that_a_camera_writes_beside_the_pixels_is_kept(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    photo = Image.open(io.BytesIO(next(iter(GOOD.values())))).convert("RGB")
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Anna Meier"
    exif[ExifTags.Base.Model] = "Orchardcam 7"
    exif[ExifTags.Base.DateTime] = "2026:05:04 03:02:01"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "48.137N 11.575E"
    told, bare = io.BytesIO(), io.BytesIO()
    photo.save(told, "JPEG", exif=exif, comment=b"at the home of Anna Meier")
    photo.save(bare, "JPEG")
    assert all(word in told.getvalue() for word in (b"Anna", b"Orchardcam", b"48.137N"))
    drop_files(
        {"pear/told.jpg": told.getvalue(), "pear/bare.jpg": bare.getvalue(), "pear/cut.jpg": told.getvalue()[:900]}
    )
    run(spark, settings, once=True)
    found, without = sorted(rows(settings, "features"), key=lambda row: row["key"], reverse=True)
    (refused,) = rows(settings, "rejects")
    # All there is room for is what the contract names, and none of that is of the camera's.
    assert (found.keys(), refused.keys()) == (set(column_names("features")), set(column_names("rejects")))
    assert found["features"] == without["features"]
    kept = repr({**found, "features": None}) + repr(refused) + repr(everything_below(settings, "state/"))
    assert not [word for word in ("Anna", "Orchardcam", "48.137", "2026:05:04") if word in kept]


def everything_below(settings: Settings, place: str) -> list[bytes]:
    store = object_store(settings.storage)
    found = obstore.list(store, settings.storage.prefix + place).collect()
    return [bytes(obstore.get(store, meta["path"]).bytes()) for meta in found if meta["size"]]


def test_bad_objects_have_their_reason(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    settings = override(settings, "images", max_bytes=100_000, max_pixels=500_000)
    drop_files({"x/empty.jpg": b"", "x/text.jpg": b"not a picture", "x/big.jpg": bytes(100_001)})
    run(spark, settings, once=True)
    found = {row["key"].rpartition("/")[2]: (row["reason"], row["detail"]) for row in rows(settings, "rejects")}
    assert {name: reason for name, (reason, _) in found.items()} == {
        "empty.jpg": "empty",
        "text.jpg": "not_an_image",
        "big.jpg": "too_large",
    }
    assert "100001 bytes" in found["big.jpg"][1]
    assert rows(settings, "features") == []


def test_a_second_run_finds_nothing_new(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(GOOD | BAD)
    run(spark, settings, once=True)
    before = {table: rows(settings, table) for table in ("features", "rejects")}
    drop_files(GOOD)
    assert run(spark, settings, once=True).objects == 0
    assert {table: rows(settings, table) for table in ("features", "rejects")} == before


def test_a_backlog_is_taken_in_by_bounded_batches(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(GOOD)
    batches: list[BatchReport] = []
    summary = run(spark, override(settings, "stream", max_files=5), once=True, on_batch=batches.append)
    assert [batch.features for batch in batches] == [5, 5, 2]
    assert summary.batches == 3


def test_an_overwritten_object_is_a_new_version(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    first, second = list(GOOD.values())[:2]
    drop_files({"apple/1.jpg": first})
    run(spark, settings, once=True)
    drop_files({"apple/1.jpg": second})
    run(spark, settings, once=True)
    assert versions(settings, "features") == sorted([("apple/1.jpg", etag(first)), ("apple/1.jpg", etag(second))])
    with sql.tables(settings.storage) as asked:
        assert asked.ask("SELECT etag FROM current").read_all().to_pylist() == [{"etag": etag(second)}]


class Killed(Exception):
    """Stands for the end of the driver."""


@pytest.mark.parametrize("dies_before", ["features", "rejects"])
def test_a_driver_that_dies_between_commits_loses_and_doubles_nothing(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch, dies_before: str
) -> None:
    drop_files(GOOD | BAD)
    append = Sink._append

    def dying(self: Sink, table_rows: "DataFrame", table: str, batch_id: int, *, again: bool) -> None:
        if table == dies_before:
            raise Killed
        append(self, table_rows, table, batch_id, again=again)

    monkeypatch.setattr(Sink, "_append", dying)
    with pytest.raises(Exception, match="Killed"):
        run(spark, settings, once=True)
    monkeypatch.undo()
    run(spark, settings, once=True)
    assert versions(settings, "features") == sorted((name, etag(data)) for name, data in GOOD.items())
    assert versions(settings, "rejects") == sorted((name, etag(data)) for name, data in BAD.items())


def test_a_batch_whose_end_was_not_noted_is_not_written_twice(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | BAD)
    run(spark, settings, once=True)
    # As after a kill -9 behind the tables' commits and before Spark's own note of them.
    obstore.delete(object_store(settings.storage), settings.storage.state_key("checkpoint/commits/0"))
    run(spark, settings, once=True)
    assert Counter(versions(settings, "features")).most_common(1)[0][1] == 1
    assert Counter(versions(settings, "rejects")).most_common(1)[0][1] == 1
    assert account(settings.storage).under_way == 0


def test_a_manifest_written_before_a_crash_is_taken_up(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    from streaming.listing import list_landing
    from streaming.manifests import Manifests

    drop_files(GOOD)
    storage = settings.storage
    listed = list(list_landing(control_client(storage), storage))
    Manifests(object_store(storage), storage.state_key("manifests")).create(1, listed[:4])
    batches: list[BatchReport] = []
    run(spark, settings, once=True, on_batch=batches.append)
    assert [batch.features for batch in batches] == [4, len(GOOD) - 4]
    assert len(versions(settings, "features")) == len(GOOD)


def test_an_object_gone_or_replaced_after_discovery_is_rejected(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    from streaming.listing import list_landing
    from streaming.manifests import Manifests

    names = list(GOOD)[:3]
    drop_files({name: GOOD[name] for name in names})
    storage = settings.storage
    store = object_store(storage)
    Manifests(store, storage.state_key("manifests")).create(1, list(list_landing(control_client(storage), storage)))
    obstore.delete(store, storage.landing + names[0])
    drop_files({names[1]: GOOD[list(GOOD)[5]]})
    run(spark, settings, once=True)
    reasons = {row["key"].removeprefix(storage.landing): row["reason"] for row in rows(settings, "rejects")}
    assert reasons == {names[0]: "gone", names[1]: "replaced"}
    assert versions(settings, "features") == sorted(
        [(names[1], etag(GOOD[list(GOOD)[5]])), (names[2], etag(GOOD[names[2]]))]
    )


def test_hidden_files_and_folder_markers_are_left_alone(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    control_client(settings.storage).put_object(Bucket=settings.storage.bucket, Key=f"{settings.storage.landing}apple/")
    drop_files({"apple/.hidden": b"x", "_work/1.jpg": b"x"})
    assert run(spark, settings, once=True).objects == 0


def nothing_written(settings: Settings) -> bool:
    found = obstore.list(object_store(settings.storage), settings.storage.prefix).collect()
    return not [meta for meta in found if "landing/" not in meta["path"]]


def test_a_missing_bucket_stops_before_anything(spark: "SparkSession", settings: Settings) -> None:
    elsewhere = override(settings, "storage", bucket="not-there")
    with pytest.raises(StorageError, match="no bucket 'not-there'"):
        run(spark, elsewhere, once=True)


def test_a_dead_endpoint_stops_before_anything(spark: "SparkSession", settings: Settings) -> None:
    dead = override(settings, "storage", endpoint="http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"No answer from bucket .* at http://127\.0\.0\.1:9"):
        run(spark, dead, once=True)


def test_missing_weights_stop_before_anything(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(GOOD)
    wrong = override(settings, "model", architecture="mobilenet_v2", weights="/nowhere/w.h5")
    with pytest.raises((SetupError, SettingsError), match=r"/nowhere/w\.h5"):
        run(spark, wrong, once=True)
    assert nothing_written(settings)


def test_features_of_another_model_are_not_mixed(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    import streaming.stream

    drop_files(dict(list(GOOD.items())[:2]))
    run(spark, settings, once=True)
    before = rows(settings, "features")
    load = streaming.stream.load_model

    def other(*args: str) -> object:
        model = load(*args)
        return replace(model, recipe=replace(model.recipe, model_id="another/model/id"))

    drop_files(dict(list(GOOD.items())[2:4]))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ContractError, match="another/model/id"):
        patch.setattr(streaming.stream, "load_model", other)
        run(spark, settings, once=True)
    assert rows(settings, "features") == before


def test_a_replay_beside_a_changed_landing_zone_loses_and_doubles_nothing(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_files(GOOD | BAD)
    append = Sink._append

    def dying(self: Sink, table_rows: "DataFrame", table: str, batch_id: int, *, again: bool) -> None:
        if table == "rejects":
            raise Killed
        append(self, table_rows, table, batch_id, again=again)

    monkeypatch.setattr(Sink, "_append", dying)
    with pytest.raises(Exception, match="Killed"):
        run(spark, settings, once=True)
    monkeypatch.undo()
    # One that is in features is deleted: done is done. One that was not written yet is overwritten: it is rejected.
    store, landing = object_store(settings.storage), settings.storage.landing
    bad = next(name for name, data in BAD.items() if data)
    obstore.delete(store, landing + next(iter(GOOD)))
    drop_files({bad: BAD[bad] + b"more"})
    run(spark, settings, once=True)
    assert versions(settings, "features") == sorted((name, etag(data)) for name, data in GOOD.items())
    assert versions(settings, "rejects") == sorted(
        [(name, etag(data)) for name, data in BAD.items()] + [(bad, etag(BAD[bad] + b"more"))]
    )
    assert account(settings.storage).under_way == 0


def test_a_state_older_than_its_tables_is_refused(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    names = list(GOOD)
    store, state = object_store(settings.storage), settings.storage.state_key("")
    drop_files({names[0]: GOOD[names[0]]})
    run(spark, settings, once=True)
    kept = {meta["path"] for meta in obstore.list(store, state).collect()}
    drop_files({names[1]: GOOD[names[1]]})
    run(spark, settings, once=True)
    obstore.delete(store, [m["path"] for m in obstore.list(store, state).collect() if m["path"] not in kept])
    with pytest.raises(ContractError, match="it is older"):
        run(spark, settings, once=True)
    assert len(rows(settings, "features")) == 2


def test_a_missing_manifest_is_refused(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files({name: GOOD[name] for name in list(GOOD)[:2]})
    run(spark, settings, once=True)
    obstore.delete(object_store(settings.storage), settings.storage.state_key("manifests/000000000001.jsonl"))
    with pytest.raises(ContractError, match="Manifest 1 of 1 is missing"):
        run(spark, settings, once=True)


def test_tables_without_their_state_are_refused(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(dict(list(GOOD.items())[:2]))
    run(spark, settings, once=True)
    store = object_store(settings.storage)
    state = [meta["path"] for meta in obstore.list(store, f"{settings.storage.prefix}state/").collect()]
    obstore.delete(store, state)
    with pytest.raises(ContractError, match="it was lost"):
        run(spark, settings, once=True)
    assert len(rows(settings, "features")) == 2


def test_a_table_whose_making_was_cut_off_is_made_whole(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    with closing(control_client(settings.storage)) as client:
        for table in ("features", "rejects"):
            # The folder that comes before the first commit is an object of its own.
            key = f"{settings.storage.prefix}tables/{table}/_delta_log/_staged_commits/"
            client.put_object(Bucket=settings.storage.bucket, Key=key)
    drop_files(GOOD | BAD)
    run(spark, settings, once=True)
    assert account(settings.storage).model_id
    assert run(spark, settings, once=True).objects == 0


def test_files_of_a_table_without_its_log_are_left_and_refused(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    store, path = object_store(settings.storage), f"{settings.storage.prefix}tables/rejects/part-0.parquet"
    obstore.put(store, path, b"rows")
    with pytest.raises(ContractError, match=r"no table at .*tables/rejects, but files as of one, '.*part-0\.parquet'"):
        run(spark, settings, once=True)
    assert read_object(store, path) == b"rows"


def test_a_second_stream_is_refused(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(GOOD)
    with Lease(settings.storage, 30), pytest.raises(LeaseError, match="Another stream works on"):
        run(spark, settings, once=True)
    assert rows(settings, "features") == []
    assert run(spark, settings, once=True).features == len(GOOD)


@pytest.mark.parametrize("lost_at", ["features", "rejects"])
def test_what_a_lost_executor_did_and_another_does_again_is_in_one_table(
    spark: "SparkSession",
    settings: Settings,
    drop_files: Drop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lost_at: str,
) -> None:
    drop_files(GOOD | BAD)
    append, gone = Sink._append, min(GOOD)
    losses = iter([lost_at])

    def losing(self: Sink, table_rows: "DataFrame", table: str, batch_id: int, *, again: bool) -> None:
        if table == lost_at and next(losses, None):
            # With an executor goes what it cached; meanwhile, what it had read is there no more.
            spark.catalog.clearCache()
            obstore.delete(object_store(settings.storage), settings.storage.landing + gone)
        append(self, table_rows, table, batch_id, again=again)

    monkeypatch.setattr(Sink, "_append", losing)
    run(spark, settings, once=True)
    kept = GOOD if lost_at == "rejects" else {name: data for name, data in GOOD.items() if name != gone}
    assert [name for name, _ in versions(settings, "features")] == sorted(kept)
    assert [name for name, _ in versions(settings, "rejects")] == sorted((GOOD | BAD).keys() - kept.keys())
    assert ("did it again in the middle of its commits" in caplog.text) == (lost_at == "features")


def test_a_python_process_that_comes_too_late_is_asked_for_once_more(
    spark: "SparkSession",
    settings: Settings,
    drop_files: Drop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow, been = tmp_path / "python", tmp_path / "been"
    # Spark waits for ten seconds, whatever it is told.
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *streaming_source*) mkdir "{been}" && sleep 11;; esac\nexec "{sys.executable}" "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setattr(spark.sparkContext, "pythonExec", str(slow))
    drop_files(GOOD)
    assert run(spark, settings, once=True).features == len(GOOD)
    assert been.exists()
    assert "Trying once more" in caplog.text
    assert len(versions(settings, "features")) == len(GOOD)


def test_an_idle_stream_that_lost_its_lease_stops(spark: "SparkSession", settings: Settings) -> None:
    lease = settings.storage.state_key("lease.json")

    def take_lease_away() -> None:
        wait_until(lambda: read_object(object_store(settings.storage), lease) is not None)
        obstore.delete(object_store(settings.storage), lease)

    with ThreadPoolExecutor(1) as pool, pytest.raises(LeaseError, match="was lost to another stream"):
        taking = pool.submit(take_lease_away)
        run(spark, override(settings, "stream", lease_seconds=5))
    taking.result()


def test_a_stream_that_lost_its_lease_commits_nothing(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_files(GOOD)
    append = Sink._append

    def paused(self: Sink, *args: "DataFrame | str | int", **kwargs: bool) -> None:
        # Meanwhile its lease ran out, and another stream came.
        successor = Lease(settings.storage, 30)
        held = read(successor._client, settings.storage)
        assert held is not None
        assert successor._write({"IfMatch": held.etag}, Holder("successor", "another-host", 1, None))
        append(self, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(LeaseError, match="was lost to another stream"):
        patched.setattr(Sink, "_append", paused)
        run(spark, settings, once=True)
    assert rows(settings, "features") == []
    with pytest.raises(LeaseError, match="process 1 on another-host"):
        run(spark, settings, once=True)
    obstore.delete(object_store(settings.storage), settings.storage.state_key("lease.json"))
    assert run(spark, settings, once=True).features == len(GOOD)
    assert versions(settings, "features") == sorted((name, etag(data)) for name, data in GOOD.items())
