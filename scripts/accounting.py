"""Where every object is, and how the stream is doing. From storage alone, whether a stream runs or not."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import obstore
import pyarrow.compute as pc
from obstore.store import ObjectStore

from conf import lease
from conf.delta import open_table, read_columns
from conf.s3 import control_client, object_store, store_answers
from conf.settings import Storage
from conf.table_log import TableLog
from conf.tables import MODEL
from scripts.liveness import Liveness, liveness
from streaming.ledger import Ledger
from streaming.listing import list_landing
from streaming.reports import last_batch

# Keys are counted by reading them: in up to this much, which takes a second or so.
_FILES_READ = 100
_ROWS_READ = 1_000_000


@dataclass(frozen=True)
class Accounting:
    """Object versions by where they are, and the stream that moves them."""

    stream: Liveness
    last_batch: dict[str, Any] | None
    """What the stream told of its last micro-batch; None before the first."""
    landed: int
    """Photographs in the landing zone now."""
    waiting: int
    """Of these, those that no manifest lists yet."""
    lag_seconds: float | None
    """For how long the oldest of those has waited; None where none waits."""
    discovered: int
    """Object versions that manifests list."""
    features: int
    under_way: int
    """Listed by a manifest, and in no table yet."""
    backlog: int
    """Waiting or under way."""
    rejects: dict[str, int] = field(default_factory=dict)
    unlisted: int = 0
    """Rows beyond what manifests list: more than none where the state was lost, or is older than the tables."""
    set_aside: int = 0
    """Messages of a queue that could not be understood."""
    model_id: str | None = None
    last_ingested: datetime | None = None
    features_files: int = 0
    features_bytes: int = 0
    """Of these files, in all."""
    current: int | None = None
    """Distinct keys in features; None where it would take too long to count them."""
    reduced: int = 0
    pca_version: int | None = None
    features_since_pca: int | None = None
    """Rows of features that the published PCA has not seen; None where that is not known any more."""


def account(storage: Storage) -> Accounting:
    """Count. Costs a listing of the landing zone, and reads of the tables' logs and of the newer manifests.

    Raises
    ------
    StorageError
        Where the bucket is not there or does not answer.
    """
    store = object_store(storage)
    # In this order: beside a running stream, what comes later can only have grown by what came before it.
    with closing(control_client(storage)) as client:
        held = lease.read(client, storage)
        landed = list(list_landing(client, storage))
    batch = last_batch(store, storage)
    tables = _tables(storage)
    ledger = Ledger(store, storage)
    waiting = [version.last_modified for version in landed if version not in ledger]
    ahead = ledger.listed - tables["features"] - sum(tables["rejects"].values())
    return Accounting(
        stream=liveness(held, worked=ledger.listed > 0),
        last_batch=batch,
        landed=len(landed),
        waiting=len(waiting),
        lag_seconds=max(0.0, (datetime.now(UTC) - min(waiting)).total_seconds()) if waiting else None,
        discovered=ledger.listed,
        under_way=max(0, ahead),
        backlog=len(waiting) + max(0, ahead),
        unlisted=max(0, -ahead),
        set_aside=_below(store, storage.state_key("set-aside/")),
        **tables,
    )


def _tables(storage: Storage) -> dict[str, Any]:
    features, rejects = _log(storage, "features"), _log(storage, "rejects")
    return {
        "rejects": rejects.counts("reason") if rejects else {},
        **(_features(storage, features) if features else {"features": 0}),
        **_reduced(storage, features),
    }


def _features(storage: Storage, log: TableLog) -> dict[str, Any]:
    countable = log.files <= _FILES_READ and log.rows <= _ROWS_READ
    return {
        "features": log.rows,
        "model_id": log.properties.get(MODEL),
        "last_ingested": log.largest("ingested_at"),
        "features_files": log.files,
        "features_bytes": log.bytes,
        "current": pc.count_distinct(log.read("key")).as_py() if countable else None,
    }


def _reduced(storage: Storage, features: TableLog | None) -> dict[str, Any]:
    reduced, models = _log(storage, "reduced"), open_table(storage, "pca_models")
    if reduced is None or models is None or not reduced.rows:
        return {}
    version = reduced.largest("pca_version")
    seen = reduced.largest("features_version")
    if seen is None:
        # Written before there was that column.
        published = pc.field("pca_version") == version
        (seen,) = read_columns(models, storage, ["features_version"], published)["features_version"].to_pylist()
    # The log of an old version is cleaned away in time.
    fitted = _log(storage, "features", seen)
    since = max(0, features.rows - fitted.rows) if features and fitted else None
    return {"reduced": reduced.rows, "pca_version": version, "features_since_pca": since}


def _below(store: ObjectStore, prefix: str) -> int:
    with store_answers(prefix):
        return sum(len(page) for page in obstore.list(store, prefix))


def _log(storage: Storage, table: str, version: int | None = None) -> TableLog | None:
    opened = open_table(storage, table, version)
    return TableLog(opened, storage) if opened else None
