"""Rows that leave a table on purpose: how many, so that no start takes them for lost.

Each start holds the rows of the tables against what the manifests of finished batches list (`streaming.state`). What is
to leave is counted in `state/left.json` before any row goes, under the name of what takes it away, and again under that
name is no more: wherever that dies, no row seems to lack, and once it was done again the sum is exact.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import obstore
from obstore.store import ObjectStore

from conf.errors import REBUILD, StateError
from conf.s3 import read_object, store_answers
from conf.settings import Storage

CONTRACT = 1


@dataclass(frozen=True)
class Left:
    """Rows that manifests list and the tables lack, as they should."""

    rows: int = 0
    """Of all that is finished."""
    under_way: Mapping[str, int] = field(default_factory=dict)
    """Of each that is not: some of these may still be there."""

    @property
    def total(self) -> int:
        """Of both."""
        return self.rows + sum(self.under_way.values())


def read(store: ObjectStore, storage: Storage) -> Left:
    """What has left so far.

    Raises
    ------
    StateError
        Where it cannot be understood.
    """
    path = _path(storage)
    body = read_object(store, path)
    if body is None:
        return Left()
    try:
        found = json.loads(body)
        if found["contract"] == CONTRACT:
            return Left(int(found["rows"]), {name: int(rows) for name, rows in found["under_way"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise StateError(f"{storage.uri('state/left.json')} is damaged. Restore it from a copy, or {REBUILD}.")


def begin(store: ObjectStore, storage: Storage, name: str, rows: int) -> None:
    """So many rows are going to leave; asked again under the same name, as it was said first. Needs the lease."""
    left = read(store, storage)
    if name not in left.under_way:
        _write(store, storage, Left(left.rows, {**left.under_way, name: rows}))


def end(store: ObjectStore, storage: Storage, name: str) -> None:
    """They have all left. Needs the lease."""
    left = read(store, storage)
    if name in left.under_way:
        others = {other: rows for other, rows in left.under_way.items() if other != name}
        _write(store, storage, Left(left.rows + left.under_way[name], others))


def reset(store: ObjectStore, storage: Storage) -> None:
    """Forget it all: what is listed is counted anew, by the rows that are there."""
    path = _path(storage)
    with store_answers(path):
        obstore.delete(store, [path])


def _write(store: ObjectStore, storage: Storage, left: Left) -> None:
    path = _path(storage)
    body = {"contract": CONTRACT, "rows": left.rows, "under_way": dict(left.under_way)}
    with store_answers(path):
        obstore.put(store, path, json.dumps(body).encode())


def _path(storage: Storage) -> str:
    return storage.state_key("left.json")
