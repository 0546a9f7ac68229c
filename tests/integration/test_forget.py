"""Forgetting: nothing of a photograph is left in any file of a store, in any version, and nothing else is lost."""

import hashlib
import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import obstore
import pytest

import batch.forgetting
import streaming.forgetting
import streaming.stream
from batch.refresh import run as refresh
from conf import forgetting
from conf.delta import open_table, set_properties
from conf.errors import DataError, FruitsError, StorageError
from conf.forgetting import Asked, Request
from conf.s3 import control_client, object_store, read_object
from conf.settings import Settings
from conf.tables import MODEL
from scripts.accounting import account
from scripts.auditing.audit import audit
from scripts.erasure import carry_out
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.rules import judged
from scripts.session import override
from streaming import leaving
from streaming.checkpoint import query_id
from streaming.leaving import Left
from streaming.manifests import Landed, Manifests
from streaming.state import check_state
from streaming.stream import run
from tests.asking import ask_to_forget
from tests.integration.commands import forget as command
from tests.integration.tables import rows, versions
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(12, seed=21)}
BAD = {f"{bad.label}/{bad.name}": bad.data for bad in list(draw_bad_objects(seed=21))[:2]}
NEW = next(iter(draw_photos(1, seed=22))).data
FIRST, SECOND, *REST = sorted(GOOD)
(SPOILT, *_) = sorted(BAD)


@pytest.fixture
def filled(spark: "SparkSession", settings: Settings, drop_files: Drop) -> Settings:
    """A store with two versions of each table, and a PCA."""
    settings = override(settings, "pca", k=3)
    drop_files(GOOD | BAD)
    run(spark, override(settings, "stream", max_files=8), once=True)
    refresh(spark, settings)
    return settings


def keys(settings: Settings, *names: str) -> Asked:
    return Asked(keys=tuple(settings.storage.landing + name for name in names))


def committed(settings: Settings) -> int | None:
    """The last batch that features knows of."""
    query = query_id(object_store(settings.storage), settings.storage.state_key("checkpoint"))
    opened = open_table(settings.storage, "features")
    assert opened is not None
    assert query is not None
    return opened.transaction_version(query)


def landed(settings: Settings, name: str) -> Landed:
    data = GOOD[name]
    etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Landed(settings.storage.landing + name, etag, len(data), datetime.now(UTC))


def drop_in_parts(settings: Settings, name: str, data: bytes) -> None:
    """The etag of what is uploaded so is no digest of its bytes."""
    place = {"Bucket": settings.storage.bucket, "Key": settings.storage.landing + name}
    with closing(control_client(settings.storage)) as client:
        upload = client.create_multipart_upload(**place)["UploadId"]
        etag = client.upload_part(**place, UploadId=upload, PartNumber=1, Body=data)["ETag"]
        parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
        client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)  # type: ignore[arg-type]


def forget(spark: "SparkSession", settings: Settings, asked: Asked) -> dict[str, Any]:
    request = ask_to_forget(settings.storage, asked)
    return carry_out(settings, object_store(settings.storage), request, lambda: spark)


def files(settings: Settings) -> dict[str, bytes]:
    """Every object of a store."""
    with closing(control_client(settings.storage)) as client:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=settings.storage.bucket, Prefix=settings.storage.prefix
        )
        found = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key: client.get_object(Bucket=settings.storage.bucket, Key=key)["Body"].read() for key in sorted(found)}


def test_nothing_of_it_is_left_in_any_version_and_nothing_else_is_lost(
    spark: "SparkSession", filled: Settings, drop_files: Drop
) -> None:
    settings, landing = filled, filled.storage.landing
    vectors = {row["key"]: row["features"] for row in rows(settings, "features")}
    last_batch = committed(settings)
    receipt = forget(spark, settings, keys(settings, FIRST, SPOILT))
    assert [name for name, _ in versions(settings, "features")] == [SECOND, *REST]
    assert [name for name, _ in versions(settings, "rejects")] == sorted(set(BAD) - {SPOILT})
    assert [name for name, _ in versions(settings, "reduced")] == [SECOND, *REST]
    once = dict.fromkeys(("features", "rejects", "reduced", "models"), 1)
    assert receipt["removed"] == once | {"landing": 2, "manifests": 2, "archive": 0, "set_aside": 0}
    # Looked for by another hand: in the bytes of every object there is.
    left = files(settings)
    names = [name.encode() for name in (FIRST, SPOILT)]
    assert [key for key, body in left.items() for name in names if name in body or name in key.encode()] == []
    assert not any(receipt["proof"][name] == 0 for name in ("objects", "files_read", "bytes_read"))
    # Old versions are gone from the log, too.
    features = open_table(settings.storage, "features")
    assert features is not None
    assert open_table(settings.storage, "features", features.version() - 2) is None
    assert committed(settings) == last_batch, "or a batch that is run again would be committed twice"
    assert all(row["features"] == vectors[row["key"]] for row in rows(settings, "features"))
    # The store goes on. Dropped again with the same bytes it is not taken in, anything else is; all is accounted for.
    drop_files({FIRST: GOOD[FIRST], "kiwi/new.jpg": GOOD[SECOND]})
    assert run(spark, settings, once=True).objects == 1
    assert landing + FIRST not in {row["key"] for row in rows(settings, "features")}
    found = account(settings.storage)
    assert (found.waiting, found.under_way, found.unlisted, found.refusal) == (0, 0, 0, None)
    assert (found.dropped_again, found.forgetting) == (1, 0)
    assert found.discovered == found.features + sum(found.rejects.values())
    assert refresh(spark, settings).rows == len(GOOD)
    audited = audit(settings.storage, 1000)
    assert (audited.findings, audited.entries.forgotten) == ((), 2)
    assert all(commit.by for commit in audited.commits)


def test_a_stream_that_runs_takes_it_up_and_goes_on(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming.stream, "LOOK_SECONDS", 0.5)
    store, stop, up, ended = object_store(settings.storage), Event(), Event(), Event()
    drop_files(GOOD)
    run(spark, settings, once=True)

    def refuse(*_: object) -> None:
        raise StorageError("The bucket refuses.")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, spark, settings, stop=stop, on_start=up.set, on_batch=lambda _: ended.set())
        try:
            wait_until(up.is_set)
            # Of two that are asked at once, neither waits for the other's command.
            other = ask_to_forget(settings.storage, keys(settings, SECOND))
            with monkeypatch.context() as patch:
                patch.setattr(streaming.forgetting, "purge", refuse)
                # It waits for no stream that has tried in vain.
                with pytest.raises(FruitsError, match=r"do its part: The bucket refuses\. .* --resume"):
                    forget(spark, settings, keys(settings, FIRST))
            (found,) = [each for each in judged(settings).findings if each.code == "forgetting"]
            assert "2 requests" in found.says
            assert found.says.endswith("could not do its part: The bucket refuses.")
            # Nor does the stream wait with its next attempt, once somebody asks again.
            (request,) = [each for each in forgetting.requests(store, settings.storage) if each.id != other.id]
            receipt = carry_out(settings, store, request, lambda: spark)
            assert carry_out(settings, store, other, lambda: spark)["removed"]["features"] == 1
            drop_files({"kiwi/new.jpg": GOOD[SECOND], FIRST: GOOD[FIRST]})
            wait_until(ended.is_set)
        finally:
            stop.set()
        summary = running.result()
    assert receipt["removed"]["features"] == 1
    # One and the same run, whose second query goes on where the first was.
    assert (summary.features, summary.rejects.total()) == (1, 0)
    assert [name for name, _ in versions(settings, "features")] == sorted([*REST, "kiwi/new.jpg"])
    assert (account(settings.storage).unlisted, forgetting.requests(store, settings.storage)) == (0, [])


def test_what_no_batch_has_taken_in_yet_never_is(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files({FIRST: GOOD[FIRST], SECOND: GOOD[SECOND]})
    store = object_store(settings.storage)
    forget(spark, settings, keys(settings, FIRST))
    drop_files({FIRST: GOOD[FIRST]})
    summary = run(spark, settings, once=True)
    assert (summary.objects, versions(settings, "features")[0][0]) == (1, SECOND)
    # Listed by a manifest that no batch has read: that one becomes a batch of nothing.
    Manifests(store, settings.storage.state_key("manifests")).create(2, [landed(settings, REST[0])])
    forget(spark, settings, keys(settings, REST[0]))
    drop_files({REST[1]: GOOD[REST[1]]})
    assert run(spark, settings, once=True).features == 1
    found = account(settings.storage)
    assert (found.discovered, found.features, found.under_way, found.refusal) == (2, 2, 0, None)


def test_photographs_of_some_bytes_go_under_each_name_they_have(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    # One whose key begins with another's, and of which only the tables tell any more.
    drop_files(
        {"pear/a.jpg": GOOD[FIRST], "plum/b.jpg": GOOD[FIRST], SECOND: GOOD[SECOND], "plum/b.jpg2": GOOD[REST[1]]}
    )
    run(spark, settings, once=True)
    obstore.delete(object_store(settings.storage), settings.storage.landing + "plum/b.jpg2")
    drop_files({"pear/a.jpg": GOOD[REST[0]]})
    run(spark, settings, once=True)
    by_key = forget(spark, settings, keys(settings, "plum/b.jpg"))
    assert by_key["proof"]["rows_of_the_same_bytes"] == 1
    forget(spark, settings, Asked(digests=(hashlib.sha256(GOOD[FIRST]).hexdigest(),)))
    # The same key with other bytes is another photograph.
    assert [name for name, _ in versions(settings, "features")] == sorted(["pear/a.jpg", "plum/b.jpg2", SECOND])
    assert landed(settings, FIRST).etag not in {etag for _, etag in versions(settings, "features")}
    # Dropped again with the same bytes under another etag, as a store with SSE-KMS gives; these under another name.
    drop_in_parts(settings, "plum/b.jpg", GOOD[FIRST])
    drop_in_parts(settings, SECOND, GOOD[SECOND])
    drop_files({"kiwi/c.jpg": GOOD[FIRST]})
    summary = run(spark, settings, once=True)
    assert (summary.features, dict(summary.rejects)) == (1, {"forgotten": 2})
    assert [name for name, _ in versions(settings, "rejects")] == ["kiwi/c.jpg", "plum/b.jpg"]
    assert [name for name, _ in versions(settings, "features")] == sorted(["pear/a.jpg", "plum/b.jpg2", SECOND, SECOND])
    found = account(settings.storage)
    assert (found.refusal, found.unlisted, found.under_way) == (None, 0, 0)
    # Known by their new etags from then on, they are told of.
    assert found.dropped_again == 2
    # Whoever erases them finds them there, by their bytes as well as by their keys, also what nobody has read yet.
    drop_files({"quince/d.jpg": GOOD[FIRST]})
    receipt = forget(spark, settings, Asked(digests=(hashlib.sha256(GOOD[FIRST]).hexdigest(),)))
    assert receipt["removed"]["landing"] == 3
    store = object_store(settings.storage)
    left = [meta["path"] for page in obstore.list(store, settings.storage.landing) for meta in page]
    assert not [key for key in left if key.endswith(("kiwi/c.jpg", "plum/b.jpg", "quince/d.jpg"))]
    found = account(settings.storage)
    assert (found.dropped_again, found.rejects, found.unlisted) == (0, {}, 0)


def test_every_model_before_the_refit_goes_and_reduced_is_emptied_only_where_none_can_be_had(
    spark: "SparkSession", filled: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, *most, last = filled, FIRST, SECOND, *REST
    drop_files({"kiwi/new.jpg": NEW})
    run(spark, settings, once=True)
    assert refresh(spark, settings).pca_version == 2

    def and_another(*args: Any, **options: Any) -> Any:
        did = refresh(*args, **options)
        refresh(spark, override(settings, "pca", k=1), full=True)
        return did

    # A refresh on a schedule begins as soon as the lease is free. Of the first model a clock would say that it stays.
    with monkeypatch.context() as patch:
        patch.setattr(batch.forgetting, "run", and_another)
        receipt = forget(spark, settings, keys(settings, "kiwi/new.jpg", *most[1:]))
    assert (receipt["removed"]["models"], receipt["pca_version"]) == (2, 3)
    # Two rows span one component, where three were asked for; of one row there is no variance.
    assert {(row["pca_version"], row["k"]) for row in rows(settings, "pca_models")} == {(3, 1), (4, 1)}
    assert {row["pca_version"] for row in rows(settings, "reduced")} == {4}
    assert [name for name, _ in versions(settings, "reduced")] == sorted([most[0], last])
    receipt = forget(spark, settings, keys(settings, last))
    assert (receipt["pca_version"], rows(settings, "pca_models"), rows(settings, "reduced")) == (None, [], [])
    assert [name for name, _ in versions(settings, "features")] == [most[0]]


def test_where_no_refit_can_be_made_for_now_it_stays_asked_for_and_nobody_else_loses_a_vector(
    spark: "SparkSession", filled: Settings
) -> None:
    settings, storage, store = filled, filled.storage, object_store(filled.storage)
    features = f"delta.`{storage.table_uri('features')}`"
    model, standing = rows(settings, "features")[0]["model_id"], rows(settings, "pca_models")
    vectors = {row["key"]: row["reduced"] for row in rows(settings, "reduced")}
    del vectors[storage.landing + FIRST]

    def is_as_it_was() -> bool:
        reduced = {row["key"]: row["reduced"] for row in rows(settings, "reduced")}
        return (reduced, rows(settings, "pca_models"), account(storage).forgetting) == (vectors, standing, 1)

    # A stream with the settings of another network has begun, and no micro-batch of it has ended.
    set_properties(spark, storage, "features", {MODEL: "another/model/id"})
    with pytest.raises(DataError, match="a change to another/model/id is under way"):
        forget(spark, settings, keys(settings, FIRST))
    assert is_as_it_was()
    (request,) = forgetting.requests(store, storage)
    set_properties(spark, storage, "features", {MODEL: model})
    spoilt = f"key = '{storage.landing}{REST[0]}'"
    spark.sql(f"UPDATE {features} SET features = transform(features, x -> float('nan')) WHERE {spoilt}")  # noqa: S608
    with pytest.raises(DataError, match=rf"without what is forgotten: The features of .*{REST[0]} hold NaN"):
        carry_out(settings, store, request, lambda: spark)
    assert is_as_it_was()
    spark.sql(f"DELETE FROM {features} WHERE {spoilt}")  # noqa: S608
    assert carry_out(settings, store, request, lambda: spark)["removed"]["models"] == 1
    assert [name for name, _ in versions(settings, "reduced")] == [SECOND, *REST[1:]]


def test_the_scan_finds_what_an_old_log_still_tells(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = object_store(settings.storage)
    drop_files({FIRST: GOOD[FIRST], SECOND: GOOD[SECOND]})
    run(spark, settings, once=True)
    with monkeypatch.context() as patch:
        patch.setattr(streaming.forgetting, "purge", lambda *_: None)
        with pytest.raises(DataError, match="still give away what was to be forgotten") as failed:
            forget(spark, settings, keys(settings, FIRST))
    assert "tables/features/" in str(failed.value)
    assert account(settings.storage).forgetting == 1
    (request,) = forgetting.requests(store, settings.storage)
    receipt = carry_out(settings, store, request, lambda: spark)
    assert (receipt["proof"]["left"], receipt["removed"]["features"]) == (0, 1)
    assert account(settings.storage).forgetting == 0
    assert leaving.read(store, settings.storage) == Left(rows=1), "done twice, and counted once"


class DiedError(Exception):
    """Something ended in the middle of its work."""


def test_wherever_it_dies_a_stream_can_start_and_the_next_one_goes_on(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_files({FIRST: GOOD[FIRST], SECOND: GOOD[SECOND]} | BAD)
    run(spark, settings, once=True)
    storage, store = settings.storage, object_store(settings.storage)
    # One more, that a manifest lists and no batch has read.
    Manifests(store, storage.state_key("manifests")).create(2, [landed(settings, REST[0])])
    request = ask_to_forget(storage, keys(settings, FIRST, SPOILT, REST[0]))
    deaths = 0

    def die(*_: object) -> None:
        raise DiedError

    def now() -> Request:
        found = forgetting.read(store, storage, request.id)
        assert found is not None
        return found

    while now().tables is None:
        steps = iter(range(deaths))

        def check() -> None:
            if next(steps, None) is None:  # noqa: B023
                raise DiedError

        with monkeypatch.context() as patch, suppress(DiedError):
            # The last of all deaths: done, and not counted as that.
            patch.setattr(leaving, "end", die)
            streaming.forgetting.carry_out(spark, storage, store, request, check)
        deaths += 1
        check_state(storage, store)
        assert account(storage).unlisted == 0
    assert deaths > 10
    assert leaving.read(store, storage) == Left(0, {request.id: 3})
    summary = run(spark, settings, once=True)
    assert (summary.objects, [name for name, _ in versions(settings, "features")]) == (0, [SECOND])
    assert leaving.read(store, storage) == Left(3)
    found = account(storage)
    assert (found.discovered, found.features, sum(found.rejects.values()), found.under_way) == (2, 1, 1, 0)
    carry_out(settings, store, request, lambda: spark)
    assert forgetting.requests(store, storage) == []
    assert json.loads(store_receipt(settings, request))["proof"]["left"] == 0


def store_receipt(settings: Settings, request: Request) -> bytes:
    body = read_object(object_store(settings.storage), settings.storage.state_key(f"forgotten/{request.id}.json"))
    assert body is not None
    return body


def test_the_command_counts_first_and_erases_when_told(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The session is the tests' own.
    monkeypatch.setattr("conf.spark.stop", lambda _: None)
    handlers = {end: signal.getsignal(end) for end in (signal.SIGINT, signal.SIGTERM)}
    drop_files({"pear/a.jpg": GOOD[FIRST], "pear/b.jpg": GOOD[SECOND], "apple/a.jpg": GOOD[REST[0]]})
    run(spark, settings, once=True)
    nowhere = command(settings, "pear/c.jpg", "--yes")
    assert (nowhere.exit_code, "There is nothing of that in" in nowhere.stderr) == (1, True), nowhere
    counted = command(settings, "--prefix", "pear/", "--dry-run")
    assert counted.exit_code == 0
    assert [line.split() for line in counted.stdout.splitlines()] == [
        ["2", "in", "the", "landing", "zone"],
        ["2", "listed", "by", "manifests"],
        ["2", "rows", "of", "features"],
    ]
    assert command(settings, "--prefix", "pear/").exit_code == 2, "nobody can be asked"
    everything = command(settings, "--prefix", settings.storage.landing, "--yes")
    assert (everything.exit_code, "everything that ever landed" in everything.stderr) == (2, True), everything
    unwritable = command(settings, "--prefix", "pear/", "--yes", "--receipt", str(tmp_path / "none" / "receipt.json"))
    assert (unwritable.exit_code, "cannot be written" in unwritable.stderr) == (2, True), unwritable
    mistyped = command(settings, "pear/a.jpg", "pear/c.jpg", "--dry-run")
    assert f"There is nothing of {settings.storage.landing}pear/c.jpg" in mistyped.stderr
    assert len(rows(settings, "features")) == 3
    receipt = tmp_path / "receipt.json"
    try:
        erased = command(settings, "--prefix", "pear/", "--yes", "--receipt", str(receipt))
    finally:
        for end, handler in handlers.items():
            signal.signal(end, handler)
    assert (erased.exit_code, erased.stdout) == (0, counted.stdout), erased
    assert json.loads(receipt.read_text())["removed"]["features"] == 2
    assert "pear" not in receipt.read_text()
    assert [name for name, _ in versions(settings, "features")] == ["apple/a.jpg"]
    once_more = tmp_path / "again.json"
    again = command(settings, "--prefix", "pear/", "--yes", "--receipt", str(once_more))
    assert (again.exit_code, "forgotten already" in again.stderr) == (0, True), again
    assert once_more.read_text() == receipt.read_text()
    assert "Nothing waits" in command(settings, "--resume").stderr
