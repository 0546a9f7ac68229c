"""Rows of features and rejects committed by hand, without Spark: the columns that account for object versions."""

import io
import json
from collections.abc import Sequence

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

from conf.settings import Storage
from conf.tables import CONTRACT
from streaming.manifests import Landed

_TYPES = {pa.string(): "string", pa.int64(): "long"}
_ROWS = pa.schema({"key": pa.string(), "etag": pa.string(), "manifest": pa.int64()})


def commit(
    store: ObjectStore,
    storage: Storage,
    table: str,
    manifest: int,
    versions: Sequence[Landed],
    info: dict[str, object] | None = None,
) -> None:
    """Append a row for each version, creating the table where there is none; `info` as for `append`."""
    columns = {
        "key": [v.key for v in versions],
        "etag": [v.etag for v in versions],
        "manifest": [manifest] * len(versions),
    }
    append(store, storage, table, pa.table(columns, _ROWS), {"manifest": manifest}, info)


def append(
    store: ObjectStore,
    storage: Storage,
    table: str,
    rows: pa.Table,
    bounds: dict[str, int] | None = None,
    info: dict[str, object] | None = None,
) -> None:
    """Append rows, creating the table where there is none.

    Parameters
    ----------
    bounds
        Statistics: what each of all values in some columns is.
    info
        What the commit says of itself, if anything.
    """
    root = f"{storage.prefix}tables/{table}"
    number = len(obstore.list(store, f"{root}/_delta_log/").collect())
    body = io.BytesIO()
    pq.write_table(rows, body)
    obstore.put(store, f"{root}/{number}.parquet", body.getvalue())
    bounds = bounds or {}
    stats = {
        "numRecords": rows.num_rows,
        "minValues": bounds,
        "maxValues": bounds,
        "nullCount": dict.fromkeys(bounds, 0),
    }
    add = {
        "path": f"{number}.parquet",
        "partitionValues": {},
        "size": body.tell(),
        "modificationTime": 0,
        "dataChange": True,
        "stats": json.dumps(stats),
    }
    told = [{"commitInfo": info}] if info is not None else []
    actions = [*told, *(_created(rows.schema) if number == 0 else ()), {"add": add}]
    log = "\n".join(map(json.dumps, actions)).encode()
    obstore.put(store, f"{root}/_delta_log/{number:020d}.json", log, mode="create")


def _created(schema: pa.Schema) -> list[dict[str, object]]:
    fields = [{"name": f.name, "type": _TYPES[f.type], "nullable": True, "metadata": {}} for f in schema]
    metadata = {
        "id": "by-hand",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {"fruits.contract": CONTRACT},
        "createdTime": 0,
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]
