"""Where every object is, and how the stream is doing. From storage alone, whether a stream runs or not."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import obstore
import pyarrow.compute as pc
from obstore.store import ObjectStore

from conf import forgetting, lease
from conf.delta import open_table, open_tables, read_columns, reading
from conf.errors import ContractError
from conf.s3 import control_client, object_store, store_answers
from conf.settings import Storage
from conf.table_log import TableLog
from conf.tables import MODEL
from scripts.figures import Accounting, MicroBatch
from scripts.liveness import State, liveness
from streaming import leaving
from streaming.ledger import Ledger
from streaming.listing import list_landing
from streaming.manifests import Landed
from streaming.reports import last_batch
from streaming.state import check_state

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from mypy_boto3_s3 import S3Client

__all__ = ["Accounting", "account"]

# Data files are read, for keys and for times, in up to this much, which takes a second or so.
_FILES_READ = 100
_ROWS_READ = 1_000_000
_ARRIVALS = timedelta(minutes=10)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# Of what Spark calls the commits to `reduced`, those that bring vectors.
_PUBLISHES = ("WRITE", "MERGE")
_COMMITS_READ = 10


def account(storage: Storage) -> Accounting:
    """Count, and judge nothing: `scripts.rules` finds what is wrong.

    Costs a listing of the landing zone, and reads of the tables' logs and of the newer manifests.

    Raises
    ------
    StorageError
        Where the bucket is not there or does not answer.
    """
    store = object_store(storage)
    # In this order: beside a running stream, what comes later can only have grown by what came before it.
    with closing(control_client(storage)) as client, ThreadPoolExecutor(2, "account") as pool:
        held, refresh = lease.read(client, storage), lease.read(client, storage, "refresh")
        refusal = pool.submit(_refusal, client, storage, store, held)
        landed = list(list_landing(client, storage))
        batch = cast(MicroBatch | None, last_batch(store, storage))
        now = held.now if held and held.now else datetime.now(UTC)
        tables = _tables(storage, now)
        ledger = Ledger(store, storage)
        left, requests = leaving.read(store, storage), forgetting.requests(store, storage)
        refused = refusal.result()
    waiting = [version.last_modified for version in landed if version not in ledger]
    discovered = ledger.listed - left.total
    ahead = discovered - tables["features"] - sum(tables["rejects"].values())
    newest = ledger.manifests.written_at(ledger.last) if ahead > 0 else None
    backlog = len(waiting) + max(0, ahead)
    rate = batch.get("images_per_second") if batch else None
    at_work = liveness(refresh)
    return Accounting(
        stream=liveness(held, worked=ledger.listed > 0),
        last_batch=batch,
        landed=len(landed),
        waiting=len(waiting),
        lag_seconds=_seconds(min(waiting), now) if waiting else None,
        discovered=discovered,
        under_way=max(0, ahead),
        backlog=backlog,
        under_way_seconds=_seconds(newest, now) if newest else None,
        # Rows that are about to leave are counted as gone already.
        unlisted=0 if left.under_way else max(0, -ahead),
        forgetting=len(requests),
        forgetting_failed=next((each.failed.why for each in requests if each.failed), None),
        dropped_again=sum(version in ledger.forgotten for version in landed),
        set_aside=_below(store, storage.state_key("set-aside/")),
        store=storage.uri("", "s3"),
        at=now,
        landed_per_second=_rate(landed, now),
        images_per_second=rate,
        backlog_seconds=backlog / rate if backlog and rate else None,
        refusal=refused,
        refreshing=at_work.holder if at_work.state is State.RUNNING else None,
        **tables,
    )


def _refusal(client: "S3Client", storage: Storage, store: ObjectStore, held: lease.Held | None) -> str | None:
    """What a start would say if it were refused. Beside a running stream, nothing could be told from what changes."""
    if liveness(held).state is State.RUNNING:
        return None
    try:
        check_state(storage, store)
    except ContractError as error:
        now = lease.read(client, storage)
        return str(error) if (now and now.etag) == (held and held.etag) else None
    return None


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())


def _rate(landed: Sequence[Landed], now: datetime) -> float:
    return sum(version.last_modified > now - _ARRIVALS for version in landed) / _ARRIVALS.total_seconds()


def _tables(storage: Storage, now: datetime) -> dict[str, Any]:
    opened = open_tables(storage, "features", "rejects", "reduced", "pca_models")
    features, rejects, reduced = (TableLog(table, storage) if table else None for table in opened[:3])
    return {
        **(_rejects(rejects, now) if rejects else {"rejects": {}, "rejects_last_hour": {}, "rejects_last_day": {}}),
        **(_features(features) if features else {"features": 0}),
        **_reduced(storage, features, reduced, *opened[2:]),
    }


def _rejects(log: TableLog, now: datetime) -> dict[str, Any]:
    return {
        "rejects": log.counts("reason"),
        "rejects_last_hour": _rejects_since(log, now - _HOUR),
        "rejects_last_day": _rejects_since(log, now - _DAY),
    }


def _rejects_since(log: TableLog, moment: datetime) -> dict[str, int] | None:
    since = "rejected_at", moment
    return log.counts("reason", since) if _few(*log.to_count("reason", since)) else None


def _features(log: TableLog) -> dict[str, Any]:
    return {
        "features": log.rows,
        "model_id": log.properties.get(MODEL),
        "last_ingested": log.largest("ingested_at"),
        "features_files": log.files,
        "features_bytes": log.bytes,
        "current": pc.count_distinct(log.read("key")).as_py() if _few(log.files, log.rows) else None,
    }


def _few(files: int, rows: int) -> bool:
    return files <= _FILES_READ and rows <= _ROWS_READ


def _reduced(
    storage: Storage,
    features: TableLog | None,
    log: TableLog | None,
    reduced: "DeltaTable | None",
    models: "DeltaTable | None",
) -> dict[str, Any]:
    if log is None or reduced is None or models is None or not log.rows:
        return {}
    version = log.largest("pca_version")
    model = _model(storage, models, version)
    # Rows from before there was that column do not tell.
    seen = log.largest("features_version") or model.get("features_version")
    # The log of an old version is cleaned away in time.
    opened = open_table(storage, "features", seen) if features and seen is not None else None
    return {
        "reduced": log.rows,
        "pca_version": version,
        "features_since_pca": max(0, features.rows - TableLog(opened, storage).rows) if features and opened else None,
        "fitted_at": model.get("fitted_at"),
        "published_at": _published_at(reduced, storage),
        "pca_model_id": model.get("model_id"),
    }


def _model(storage: Storage, models: "DeltaTable", version: int) -> dict[str, Any]:
    columns = ["features_version", "fitted_at", "model_id"]
    found = read_columns(models, storage, columns, pc.field("pca_version") == version).to_pylist()
    return found[0] if found else {}


def _published_at(reduced: "DeltaTable", storage: Storage) -> datetime | None:
    with reading(storage):
        commits = reduced.history(_COMMITS_READ)
    times = (commit["timestamp"] for commit in commits if commit.get("operation") in _PUBLISHES)
    newest = next(times, None)
    return None if newest is None else datetime.fromtimestamp(newest / 1000, UTC)


def _below(store: ObjectStore, prefix: str) -> int:
    with store_answers(prefix):
        return sum(len(page) for page in obstore.list(store, prefix))
