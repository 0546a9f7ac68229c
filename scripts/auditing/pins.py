"""What an audit is held to: one version of each table, so that nothing which a live stream does meanwhile disturbs it.

The order is what makes that so. How far the stream was done is read first: what it had done then is in any version of
the tables that is opened later. `reduced` comes before the features and models that it was made of, and the manifests,
which `scripts.auditing.entries` reads, come after the rows that were made of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import duckdb
import obstore
import pyarrow as pa
from deltalake import DeltaTable
from obstore.store import ObjectStore

from conf.delta import data_files, dataset, open_tables
from conf.errors import StorageError
from conf.forgetting import Name, requests
from conf.s3 import check_bucket, store_answers
from conf.settings import Storage
from conf.tables import NAMES
from streaming import checkpoint
from streaming.ledger import rebuilt_as_of

# What an audit takes of memory for sorting; the rest goes through a temporary folder.
_MEMORY = "512MB"


@dataclass(frozen=True)
class Pins:
    """A store as of one moment."""

    storage: Storage
    store: ObjectStore
    done: int
    """The last manifest of which all rows have to be there."""
    rebuilt: int
    """The manifest up to which the state was made anew from the tables; what those before list was given up."""
    tables: dict[str, DeltaTable]
    """Those that exist, as they were then."""
    going: frozenset[Name]
    """Rows that were being forgotten by then."""

    @property
    def versions(self) -> dict[str, int]:
        """Of each table."""
        return {name: opened.version() for name, opened in self.tables.items()}


def pin(storage: Storage, store: ObjectStore) -> Pins:
    """A store as of now.

    Raises
    ------
    StorageError
        Where it does not answer.
    ContractError
        Where a table is of another contract, or the checkpoint is damaged.
    """
    going = _being_forgotten(storage, store)
    done = checkpoint.last_done(store, storage.state_key("checkpoint"))
    rebuilt = rebuilt_as_of(store, storage)
    found = dict(zip(["reduced"], open_tables(storage, "reduced"), strict=True))
    others = [name for name in NAMES if name != "reduced"]
    found |= zip(others, open_tables(storage, *others), strict=True)
    tables = {name: opened for name in NAMES if (opened := found[name]) is not None}
    return Pins(storage, store, done.manifest if done else 0, rebuilt, tables, going)


def pass_over(pins: Pins, connection: duckdb.DuckDBPyConnection) -> None:
    """Register as `going` the rows that are being forgotten: they may be met in one place and not in another.

    To be called when all else is read: what begins to be forgotten after that was met as it had been.
    """
    names = sorted(pins.going | _being_forgotten(pins.storage, pins.store))
    columns = {"key": [key for key, _ in names], "etag": [etag for _, etag in names]}
    connection.register("going", pa.table(columns, pa.schema(_NAME)))


def _being_forgotten(storage: Storage, store: ObjectStore) -> frozenset[Name]:
    plans = (request.plan for request in requests(store, storage))
    return frozenset(name for plan in plans if plan for name in plan.rows)


@contextmanager
def asking(pins: Pins) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over the pinned tables, in bounded memory; a table that does not exist has no rows.

    Raises
    ------
    StorageError
        Where something is asked within that it cannot read to its end.
    """
    with TemporaryDirectory(prefix="fruits-audit-") as folder, duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        connection.execute(f"SET temp_directory = '{folder}'")
        for name in NAMES:
            if name in pins.tables:
                connection.register(name, dataset(pins.tables[name], pins.storage))
            else:
                connection.register(name, pa.schema(_EMPTY[name]).empty_table())
        try:
            yield connection
        except duckdb.Error as error:
            # What is wrong with the bucket, if that is it, says itself better.
            check_bucket(pins.storage)
            _check_files(pins)
            says = " ".join(str(error).split())[:300]
            raise StorageError(f"The tables below {pins.storage.uri('tables/')} cannot be read: {says}") from None


def _check_files(pins: Pins) -> None:
    """Raise StorageError where a table names a data file that is gone."""
    for name, opened in pins.tables.items():
        root = pins.storage.table_key(name, "")
        with store_answers(root):
            there = {meta["path"] for page in obstore.list(pins.store, root) for meta in page}
        if lost := data_files(opened, pins.storage).keys() - there:
            which = f"one of {len(lost)} data files" if len(lost) > 1 else "a data file"
            raise StorageError(
                f"{min(lost)} is gone, {which} of {name} that its log names: nothing can read that table. Restore "
                "what is gone from a copy, or its older version where the bucket keeps those."
            )


_NAME = {"key": pa.string(), "etag": pa.string()}
_ROW = _NAME | {"manifest": pa.int64()}
_EMPTY = {
    "features": _ROW,
    "rejects": _ROW,
    "reduced": _NAME | {"pca_version": pa.int64()},
    "pca_models": {"pca_version": pa.int64()},
}
