"""Where every object is: waiting, featurized or refused. From storage alone, whether a stream runs or not."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb

from conf.delta import dataset, open_table
from conf.s3 import check_bucket, control_client, object_store
from conf.settings import Storage
from streaming.discovery import list_landing
from streaming.ledger import Ledger


@dataclass(frozen=True)
class Accounting:
    """Object versions by where they are."""

    landed: int
    """Photographs in the landing zone now."""
    waiting: int
    """Of these, those that no manifest lists yet."""
    discovered: int
    """Object versions that manifests list."""
    features: int
    under_way: int
    """Listed by a manifest, and in no table yet."""
    rejects: dict[str, int] = field(default_factory=dict)
    model_id: str | None = None
    last_ingested: datetime | None = None
    reduced: int = 0
    pca_version: int | None = None
    features_since_pca: int | None = None
    """Rows of features that the published PCA has not seen; None where that is not known any more."""


def account(storage: Storage) -> Accounting:
    """Count. Costs a listing of the landing zone, and reads of the manifests and of a few short columns.

    Raises
    ------
    StorageError
        Where the bucket is not there or does not answer.
    """
    check_bucket(storage)
    # In this order: beside a running stream, what comes later can only have grown by what came before it.
    with closing(control_client(storage)) as client:
        landed = list(list_landing(client, storage))
    features, rejects, reduced = _features(storage), _rejects(storage), _reduced(storage)
    ledger = Ledger(object_store(storage), storage)
    return Accounting(
        landed=len(landed),
        waiting=sum(version not in ledger for version in landed),
        discovered=ledger.listed,
        under_way=ledger.listed - features["features"] - sum(rejects.values()),
        rejects=rejects,
        **features,
        **reduced,
    )


def _features(storage: Storage) -> dict[str, Any]:
    rows = _ask(storage, "features", "SELECT count(*), max(ingested_at), any_value(model_id) FROM features")
    count, last, model_id = rows[0] if rows else (0, None, None)
    return {"features": count, "last_ingested": last, "model_id": model_id}


def _rejects(storage: Storage) -> dict[str, int]:
    return dict(_ask(storage, "rejects", "SELECT reason, count(*) FROM rejects GROUP BY reason ORDER BY reason"))


def _reduced(storage: Storage) -> dict[str, Any]:
    published = _ask(storage, "reduced", "SELECT count(*), max(pca_version) FROM reduced")
    if not published or not published[0][0]:
        return {}
    count, version = published[0]
    seen = _ask(storage, "pca_models", f"SELECT features_version FROM pca_models WHERE pca_version = {int(version)}")  # noqa: S608
    fitted, now = open_table(storage, "features", version=seen[0][0]), open_table(storage, "features")
    # The log of an old version is cleaned away in time.
    since = now.count() - fitted.count() if fitted and now else None
    return {"reduced": count, "pca_version": version, "features_since_pca": since}


def _ask(storage: Storage, table: str, sql: str) -> list[tuple[Any, ...]]:
    opened = open_table(storage, table)
    if opened is None:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(table, dataset(opened, storage))
        rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return rows
