"""The newest commits of a Delta table: what each did, when, and who signed it.

Read from the log's own files. delta-rs's history passes over a commit that says nothing of itself, and gives its number
to the one before; and the time is the store's, where a commit has its writer's word for it.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import obstore
from obstore.store import ObjectStore

from conf.holders import Signature
from conf.s3 import read_object, store_answers
from conf.settings import Storage

_READS = 32
_DIGITS = 20


@dataclass(frozen=True)
class Commit:
    """One commit."""

    table: str
    version: int
    at: datetime
    """When it was written, by the store's clock."""
    operation: str | None
    """What Delta calls what it did; None where it does not say."""
    rows: int
    """Rows of the data files that it added, other than by writing the same rows anew."""
    files_removed: int
    """Data files that it took out, other than for having their rows written anew."""
    by: Signature | None
    """Who signed it; None where nobody did."""
    engine: str | None
    """The program that made it, by its own account."""


def newest_commits(store: ObjectStore, storage: Storage, table: str, version: int, count: int) -> list[Commit]:
    """Up to `count` commits that led to a version of a table, oldest first, as far as its log reaches back.

    Costs a listing of the newest part of the log, and a read for each.

    Raises
    ------
    StorageError
        Where the store does not answer.
    """
    log = storage.table_key(table, "_delta_log/")
    before = f"{log}{max(0, version - count + 1):0{_DIGITS}}"
    with store_answers(log):
        found = {
            meta["path"]: meta["last_modified"] for page in obstore.list(store, log, offset=before) for meta in page
        }
    numbered = {path: int(name) for path in found if (name := _stem(path)).isdecimal() and int(name) <= version}
    with ThreadPoolExecutor(_READS, "log") as pool:
        bodies = pool.map(lambda path: read_object(store, path), numbered)
        read = zip(numbered.items(), bodies, strict=True)
        # Cleaned away since the listing, where there is none.
        commits = [_commit(table, number, found[path], body) for (path, number), body in read if body is not None]
    return sorted(commits, key=lambda commit: commit.version)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".json")


def _commit(table: str, version: int, at: datetime, body: bytes) -> Commit:
    info: dict[str, Any] = {}
    rows = removed = 0
    for action in _actions(body):
        info |= action.get("commitInfo") or {}
        add, remove = action.get("add"), action.get("remove")
        if add and add.get("dataChange"):
            rows += json.loads(add.get("stats") or "{}").get("numRecords", 0)
        removed += bool(remove and remove.get("dataChange"))
    by = Signature.read(info.get("userMetadata"))
    return Commit(table, version, at, info.get("operation"), rows, removed, by, info.get("engineInfo"))


def _actions(body: bytes) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in body.splitlines() if line.strip())
