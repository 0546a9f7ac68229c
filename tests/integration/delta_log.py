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

_ROWS = pa.schema({"key": pa.string(), "etag": pa.string(), "manifest": pa.int64()})
_FIELDS = [
    {"name": n, "type": t, "nullable": True, "metadata": {}}
    for n, t in zip(_ROWS.names, ("string", "string", "long"), strict=True)
]
_TABLE = [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {
        "metaData": {
            "id": "by-hand",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": _FIELDS}),
            "partitionColumns": [],
            "configuration": {"fruits.contract": CONTRACT},
            "createdTime": 0,
        }
    },
]


def commit(store: ObjectStore, storage: Storage, table: str, manifest: int, versions: Sequence[Landed]) -> None:
    """Append a row for each version, creating the table where there is none."""
    root = f"{storage.prefix}tables/{table}"
    number = len(obstore.list(store, f"{root}/_delta_log/").collect())
    body = io.BytesIO()
    columns = {
        "key": [v.key for v in versions],
        "etag": [v.etag for v in versions],
        "manifest": [manifest] * len(versions),
    }
    pq.write_table(pa.table(columns, _ROWS), body)
    obstore.put(store, f"{root}/{number}.parquet", body.getvalue())
    bounds = {"manifest": manifest}
    stats = {"numRecords": len(versions), "minValues": bounds, "maxValues": bounds, "nullCount": {"manifest": 0}}
    add = {
        "path": f"{number}.parquet",
        "partitionValues": {},
        "size": body.tell(),
        "modificationTime": 0,
        "dataChange": True,
        "stats": json.dumps(stats),
    }
    actions = [*(_TABLE if number == 0 else ()), {"add": add}]
    log = "\n".join(map(json.dumps, actions)).encode()
    obstore.put(store, f"{root}/_delta_log/{number:020d}.json", log, mode="create")
