"""Which rows of features count: of each key the newest version, if the model in use made it.

Of a key whose newest version another model made, none counts: an older row is of what was overwritten.
"""

from collections.abc import Callable, Iterable

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.arrow import mask_of
from conf.tables import ROW_ID, VERSION_RANK, RowId

COLUMNS = (*ROW_ID, "last_modified", "model_id")
"""What tells which rows count."""

_RANKED = f"SELECT key, etag, manifest, model_id, {VERSION_RANK} = 1 AS newest FROM rows"  # noqa: S608 (our own words)
_COUNTING = f"SELECT key, etag, manifest FROM ({_RANKED}) WHERE newest AND model_id = ?"  # noqa: S608 (our own words)
_SUPERSEDED = f"SELECT key, etag, manifest FROM ({_RANKED}) WHERE NOT newest AND model_id = ?"  # noqa: S608 (our own words)

Scan = Callable[[tuple[str, ...]], Iterable[pa.RecordBatch]]
"""Reads columns of all rows, again at each call."""


def counting(rows: pa.Table, model_id: str) -> frozenset[RowId]:
    """Those of some keys' rows that count. The rows have `COLUMNS`, and are all there are of their keys."""
    return _chosen(_COUNTING, rows, model_id)


def superseded(rows: pa.Table, model_id: str) -> frozenset[RowId]:
    """Those of some keys' rows that the model made and that do not count; the rows are as for `counting`."""
    return _chosen(_SUPERSEDED, rows, model_id)


def superseded_of(scan: Scan, model_id: str) -> frozenset[RowId]:
    """The same of a whole table, in 8 bytes a row and what the superseded ones take."""
    hashes = np.concatenate([np.empty(0, np.int64), *(_hashes(batch) for batch in scan(("key",)))])
    hashes.sort()
    twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(twice):
        return frozenset()
    # Two keys of one hash do no harm: each is looked at as what it is.
    found = [batch.filter(mask_of(np.isin(_hashes(batch), twice))) for batch in scan(COLUMNS)]
    return superseded(pa.Table.from_batches(found), model_id)


def _chosen(query: str, rows: pa.Table, model_id: str) -> frozenset[RowId]:
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        return frozenset(connection.execute(query, [model_id]).fetchall())


def _hashes(batch: pa.RecordBatch) -> NDArray[np.int64]:
    # Python's own, which differ from run to run: nobody can choose keys that collide.
    return np.fromiter(map(hash, batch.column("key").to_pylist()), np.int64, batch.num_rows)
