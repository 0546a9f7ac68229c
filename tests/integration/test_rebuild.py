"""A state that was lost is made anew from the tables: nothing in them is taken in twice, nothing else passed over."""

import logging
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import obstore
import pytest

from conf.errors import ContractError
from conf.lease import Lease
from conf.s3 import object_store
from conf.settings import Settings
from scripts.accounting import account
from scripts.fruit_photos import draw_bad_objects, draw_photos
from streaming.rebuild import rebuild
from streaming.reprocess import matching, rejected, relist
from streaming.sink import Sink
from streaming.stream import run
from tests.integration.tables import rows, versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Drop = Callable[[dict[str, bytes]], None]
PHOTOS = [(f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(9, seed=11)]
FIRST, SECOND, THIRD = (dict(PHOTOS[start : start + 3]) for start in (0, 3, 6))
BAD = {f"{bad.label}/{bad.name}": bad.data for bad in islice(draw_bad_objects(seed=2), 2)}


def state_files(settings: Settings) -> dict[str, bytes]:
    """Everything below state/ but the lease."""
    store = object_store(settings.storage)
    found = [meta for meta in obstore.list(store, settings.storage.state_key("")).collect() if meta["size"]]
    return {
        meta["path"]: bytes(obstore.get(store, meta["path"]).bytes())
        for meta in found
        if not meta["path"].endswith("lease.json")
    }


def restore(settings: Settings, files: dict[str, bytes]) -> None:
    """Put state/ back to what it was."""
    store = object_store(settings.storage)
    obstore.delete(store, [path for path in state_files(settings) if path not in files])
    for path, data in files.items():
        obstore.put(store, path, data)


def lose(settings: Settings, *names: str) -> None:
    obstore.delete(object_store(settings.storage), [settings.storage.state_key(name) for name in names])


def lose_checkpoint(settings: Settings) -> None:
    lose(settings, *(path.partition("state/")[2] for path in state_files(settings) if "/checkpoint/" in path))


def stop_before_the_query(settings: Settings) -> None:
    lose(settings, "manifests/000000000001.jsonl")
    with Lease(settings.storage, 30) as lease:
        assert rebuild(settings.storage, object_store(settings.storage), lease) == len(FIRST | SECOND | BAD)


def assert_exact(settings: Settings, photographs: dict[str, bytes]) -> None:
    """Each photograph and each bad object is in its table once, and all that manifests list is accounted for."""
    assert [name for name, _ in versions(settings, "features")] == sorted(photographs)
    assert [name for name, _ in versions(settings, "rejects")] == sorted(BAD)
    counted = account(settings.storage)
    assert (counted.discovered, counted.under_way, counted.waiting) == (len(photographs | BAD), 0, 0)


LOSSES: dict[str, tuple[Callable[[Settings, dict[str, bytes]], None], str]] = {
    "all of it": (lambda settings, older: restore(settings, {}), "it was lost"),
    "replaced by an older copy": (lambda settings, older: restore(settings, older), "it is older"),
    "a manifest": (lambda settings, older: lose(settings, "manifests/000000000002.jsonl"), "Manifest 2 of 2 is miss"),
    "the query's identity": (lambda settings, older: lose(settings, "checkpoint/metadata"), "identity is lost"),
    "killed behind the checkpoint": (lambda settings, older: lose_checkpoint(settings), "it was lost"),
}


def test_whatever_was_lost_is_noticed_and_a_state_in_order_left_as_it_is(
    spark: "SparkSession", settings: Settings, drop_files: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    drop_files(FIRST)
    run(spark, settings, once=True)
    older = state_files(settings)
    drop_files(SECOND | BAD)
    run(spark, settings, once=True)
    whole = state_files(settings)
    for what, (loss, says) in LOSSES.items():
        loss(settings, older)
        with pytest.raises(ContractError, match=rf"{says}.*--rebuild-state"):
            run(spark, settings, once=True)
        restore(settings, whole)
        assert state_files(settings) == whole, what
    with caplog.at_level(logging.INFO, "streaming"):
        run(spark, settings, once=True, rebuild_state=True)
    assert "Nothing to rebuild" in caplog.text
    assert state_files(settings) == whole


def commit_older(spark: "SparkSession", settings: Settings, table: str) -> None:
    """The table's commits since it was made are lost."""
    log = f"{settings.storage.prefix}tables/{table}/_delta_log/"
    store = object_store(settings.storage)
    obstore.delete(
        store, [m["path"] for m in obstore.list(store, log).collect() if not m["path"].endswith(f"{0:020}.json")]
    )


def deleted_from(spark: "SparkSession", settings: Settings, table: str) -> None:
    spark.sql(f"DELETE FROM delta.`{settings.storage.table_uri(table)}` WHERE batch_id = 1")  # noqa: S608


def restored(spark: "SparkSession", settings: Settings, table: str) -> None:
    spark.sql(f"RESTORE TABLE delta.`{settings.storage.table_uri(table)}` TO VERSION AS OF 0")


@pytest.mark.parametrize(
    ("loss", "table"),
    [(commit_older, "features"), (commit_older, "rejects"), (deleted_from, "features"), (restored, "features")],
)
def test_tables_that_lack_rows_are_noticed_and_what_they_lack_is_taken_in_again(
    spark: "SparkSession",
    settings: Settings,
    drop_files: Drop,
    loss: Callable[["SparkSession", Settings, str], None],
    table: str,
) -> None:
    drop_files(FIRST)
    run(spark, settings, once=True)
    drop_files(SECOND | BAD)
    run(spark, settings, once=True)
    loss(spark, settings, table)
    with pytest.raises(ContractError, match=r"lack \d of the 8 rows .* up to batch 1: one is older.*--rebuild-state"):
        run(spark, settings, once=True)
    run(spark, settings, once=True, rebuild_state=True)
    assert_exact(settings, FIRST | SECOND)


@pytest.mark.parametrize("what", ["all of it", "replaced by an older copy"])
def test_what_was_lost_is_rebuilt(spark: "SparkSession", settings: Settings, drop_files: Drop, what: str) -> None:
    loss, _ = LOSSES[what]
    drop_files(FIRST)
    run(spark, settings, once=True)
    older = state_files(settings)
    drop_files(SECOND | BAD)
    run(spark, settings, once=True)
    loss(settings, older)
    drop_files(THIRD)
    assert run(spark, settings, once=True, rebuild_state=True).objects == len(THIRD)
    assert_exact(settings, FIRST | SECOND | THIRD)
    # A batch 0 that is run again begins where it did, and takes no row of the query before, which had one too, for its.
    lose(settings, "checkpoint/commits/0")
    assert run(spark, settings, once=True).objects == 0
    assert_exact(settings, FIRST | SECOND | THIRD)


def test_a_rebuilding_that_ended_before_its_first_batch_is_not_needed_again(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(FIRST | SECOND | BAD)
    run(spark, settings, once=True)
    stop_before_the_query(settings)
    drop_files(THIRD)
    assert run(spark, settings, once=True).objects == len(THIRD)
    assert_exact(settings, FIRST | SECOND | THIRD)
    lose_checkpoint(settings)
    with pytest.raises(ContractError, match=r"it was lost.*--rebuild-state"):
        run(spark, settings, once=True)


def test_a_rebuilt_stream_goes_on_after_a_batch_of_nothing(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(FIRST | BAD)
    run(spark, settings, once=True)
    restore(settings, {})
    assert run(spark, settings, once=True, rebuild_state=True).objects == 0
    drop_files(SECOND)
    lose(settings, "checkpoint/commits/0")
    assert run(spark, settings, once=True).features == len(SECOND)
    assert_exact(settings, FIRST | SECOND)
    # Manifests are numbered on from those that were lost, and what these listed is found in the landing zone.
    store = object_store(settings.storage)
    assert relist(settings.storage, store, rejected()(settings.storage, store)) == [4]
    assert relist(settings.storage, store, matching([min(FIRST)])(settings.storage, store)) == [5]
    assert run(spark, settings, once=True).objects == len(BAD) + 1


def test_reprocessing_right_after_a_rebuild_is_taken_up(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(FIRST)
    run(spark, settings, once=True)
    restore(settings, {})
    run(spark, settings, once=True, rebuild_state=True)
    store = object_store(settings.storage)
    relist(settings.storage, store, matching(["*"])(settings.storage, store))
    assert run(spark, settings, once=True).features == len(FIRST)


class Killed(Exception):
    """Stands for the end of the driver."""


def test_what_only_one_table_has_of_a_batch_is_made_up_for(
    spark: "SparkSession", settings: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Sink._append

    def dying(self: Sink, table_rows: "DataFrame", table: str, batch_id: int, *, again: bool) -> None:
        if table == "rejects":
            raise Killed
        append(self, table_rows, table, batch_id, again=again)

    drop_files(FIRST | BAD)
    with monkeypatch.context() as patched, pytest.raises(Exception, match="Killed"):
        patched.setattr(Sink, "_append", dying)
        run(spark, settings, once=True)
    restore(settings, {})
    assert run(spark, settings, once=True, rebuild_state=True).rejects.total() == len(BAD)
    assert_exact(settings, FIRST)


def test_a_copy_from_before_a_rebuild_is_refused(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(FIRST | BAD)
    run(spark, settings, once=True)
    of_the_query_before = state_files(settings)
    restore(settings, {})
    drop_files(SECOND)
    run(spark, settings, once=True, rebuild_state=True)
    restore(settings, of_the_query_before)
    with pytest.raises(ContractError, match="it is older"):
        run(spark, settings, once=True)
    run(spark, settings, once=True, rebuild_state=True)
    assert_exact(settings, FIRST | SECOND)


def test_a_rebuilt_ledger_cannot_be_made_up_for(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(FIRST | BAD)
    run(spark, settings, once=True)
    restore(settings, {})
    run(spark, settings, once=True, rebuild_state=True)
    obstore.put(object_store(settings.storage), settings.storage.state_key("seen/000000000002"), b"damaged")
    with pytest.raises(ContractError, match=r"damaged.*--rebuild-state"):
        run(spark, settings, once=True)
    run(spark, settings, once=True, rebuild_state=True)
    assert_exact(settings, FIRST)


def test_tables_that_are_gone_cannot_be_rebuilt(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    drop_files(FIRST | BAD)
    run(spark, settings, once=True)
    store = object_store(settings.storage)
    gone = obstore.list(store, f"{settings.storage.prefix}tables/rejects/").collect()
    obstore.delete(store, [meta["path"] for meta in gone if meta["size"]])
    for lost in (lambda: None, lambda: restore(settings, {})):
        lost()
        with pytest.raises(
            ContractError, match=r"rejects is gone, .*Restore both as of one moment, or set another stor"
        ):
            run(spark, settings, once=True, rebuild_state=True)
        assert len(rows(settings, "features")) == len(FIRST)
