"""Rows of rejects that are older than `privacy.rejects_days` leave the table, while no micro-batch runs.

So many days are counted to the midnight before (UTC), so that one deletion a day does. Which rows go is written down
with their number before any does (`streaming.leaving`): wherever this dies, the same rows go at the next start.
`state/expired.json` says up to which manifest what was refused may be in no table any more.
"""

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import obstore
import pyarrow.compute as pc
from obstore.store import ObjectStore

from conf.delta import open_table, read_columns
from conf.errors import StateError
from conf.s3 import read_object, store_answers
from conf.settings import Settings, Storage
from streaming import checkpoint, cleaned, leaving
from streaming.state import TABLES, last_manifest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.lease import Lease

CONTRACT = 1
EVERY_SECONDS = 86_400.0
"""A stream that runs pauses so often to look whether any rows are that old."""
# What rows leave under: the midnight before which they were refused, and the last manifest that they are of.
_NAME = "rejects before {before} up to manifest {manifest}"
_NAMED = re.compile(r"rejects before (\S+) up to manifest (\d+)")
_log = logging.getLogger(__name__)


def expire(spark: "SparkSession", settings: Settings, store: ObjectStore, lease: "Lease") -> int:
    """Delete what is too old, and what an earlier start began to delete; tells how many rows that were.

    Raises
    ------
    LeaseError
        Where the lease is lost: nothing may be changed any more.
    FruitsError
        Where the store refuses, or state or tables are damaged.
    """
    storage = settings.storage
    begun = [name for name in leaving.read(store, storage).under_way if _NAMED.fullmatch(name)]
    gone = sum(_leave(spark, storage, store, lease, name) for name in begun)
    if settings.privacy.rejects_days is None:
        return gone
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before, manifest = midnight - timedelta(days=settings.privacy.rejects_days), _newest(settings, store)
    rejects = open_table(storage, "rejects")
    old = (pc.field("rejected_at") < before) & (pc.field("manifest") <= manifest)
    rows = read_columns(rejects, storage, ["manifest"], old).num_rows if rejects else 0
    if not rows:
        return gone
    name = _NAME.format(before=before.isoformat(), manifest=manifest)
    lease.check()
    leaving.begin(store, storage, name, rows)
    gone += _leave(spark, storage, store, lease, name)
    _log.info("%d rows of rejects were older than %d days, and are deleted.", gone, settings.privacy.rejects_days)
    return gone


def expired(store: ObjectStore, storage: Storage) -> int:
    """The last manifest of which rows of rejects may have been deleted for their age; 0 where none were.

    Raises
    ------
    StateError
        Where that cannot be understood.
    """
    body = read_object(store, _path(storage))
    if body is None:
        return 0
    try:
        found = json.loads(body)
        if found["contract"] == CONTRACT:
            return int(found["manifest"])
    except (ValueError, KeyError, TypeError):
        pass
    raise StateError(f"{storage.uri('state/expired.json')} is damaged. Restore it from a copy.")


def _leave(spark: "SparkSession", storage: Storage, store: ObjectStore, lease: "Lease", name: str) -> int:
    """Delete the rows that a name names; done again it does no harm."""
    named = _NAMED.fullmatch(name)
    assert named  # noqa: S101 (narrows for the type checker; we chose it)
    before, manifest = named[1], int(named[2])
    path, up_to = _path(storage), max(manifest, expired(store, storage))
    with store_answers(path):
        obstore.put(store, path, json.dumps({"contract": CONTRACT, "manifest": up_to}).encode())
    lease.check()
    rejects = f"delta.`{storage.table_uri('rejects')}`"
    old = f"rejected_at < TIMESTAMP '{before}' AND manifest <= {manifest}"
    spark.sql(f"DELETE FROM {rejects} WHERE {old}")  # noqa: S608 (a time and a number)
    rows = leaving.read(store, storage).under_way[name]
    leaving.end(store, storage, name)
    return rows


def _newest(settings: Settings, store: ObjectStore) -> int:
    """The last manifest whose rows may go: one that is done, and not the last of which the tables know."""
    storage = settings.storage
    done = checkpoint.last_done(store, storage.state_key("checkpoint"))
    tables = [opened for table in TABLES if (opened := open_table(storage, table))]
    newest = min(done.manifest if done else 0, max(map(last_manifest, tables), default=0) - 1)
    # What is to be archived is not yet, and is told by its row.
    return min(newest, cleaned.read(store, storage)) if settings.discovery.clean == "archive" else newest


def _path(storage: Storage) -> str:
    return storage.state_key("expired.json")
