"""What `fruits audit` costs as a store grows: seconds, and the memory that it takes.

    python -m bench.audit                             10,000 to 1,000,000 object versions
    python -m bench.audit --objects 1000000 --json

The store is written without Spark: manifests of a thousand object versions each; of a hundred, one is a row of rejects
and the others are rows of features and of `reduced`. Of their columns there are those that an audit reads. The command
runs in a process of its own; memory is the peak of its RSS, interpreter and libraries included.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

from conf.holders import Hold, log_key
from conf.s3 import object_store
from conf.settings import Storage, load
from conf.tables import CONTRACT
from scripts.embedded_s3 import serve
from scripts.session import connect, say
from streaming.manifests import Landed, Manifests

_SIZES = [10_000, 100_000, 1_000_000]
_MANIFEST, _FILE = 1000, 100_000
_REFUSED = 100
_TYPES = {pa.string(): "string", pa.int64(): "long"}
_LANDED = datetime(2026, 5, 4, tzinfo=UTC)
_STREAM, _REFRESH = Hold(_LANDED, "stream", "1", 1, "a-host"), Hold(_LANDED, "refresh", "2", 1, "a-host")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=_SIZES, help="object versions in the store")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = []
    for objects in asked.objects:
        with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder)) as server:
            storage = connect(load("local"), server).storage
            write_store(storage, objects)
            figures.append(measure(storage, objects))
            say(json.dumps(figures[-1]))
    if asked.json:
        print(json.dumps(figures, indent=2))
        return
    for told in figures:
        print(f"{told['objects']:>12,} object versions  {told['seconds']:6.1f} s  {told['peak_mb']:5.0f} MB")


def write_store(storage: Storage, objects: int) -> None:
    """Manifests, tables and a checkpoint in which all micro-batches are done."""
    store = object_store(storage)
    manifests = Manifests(store, storage.state_key("manifests"))
    numbers = range(-(-objects // _MANIFEST))

    def write(number: int) -> None:
        these = range(number * _MANIFEST, min((number + 1) * _MANIFEST, objects))
        manifests.create(number + 1, [Landed(_key(one), _etag(one), 1, _LANDED) for one in these])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, numbers))
    pieces = [range(start, min(start + _FILE, objects)) for start in range(0, objects, _FILE)]
    good = [[one for one in piece if one % _REFUSED] for piece in pieces]
    bad = [[one for one in piece if not one % _REFUSED] for piece in pieces]
    for hold in (_STREAM, _REFRESH):
        obstore.put(store, log_key(storage, hold), b"")
    _commit(store, storage, "features", [_rows(numbers) for numbers in good], _STREAM)
    _commit(store, storage, "rejects", [_rows(numbers) for numbers in bad], _STREAM)
    _commit(store, storage, "reduced", [_reduced(numbers) for numbers in good], _REFRESH)
    _commit(store, storage, "pca_models", [pa.table({"pca_version": pa.array([1], pa.int64())})], _REFRESH)
    offset = b"v1\n{}\n" + json.dumps({"manifest": len(numbers)}).encode()
    obstore.put(store, storage.state_key("checkpoint/offsets/0"), offset)
    obstore.put(store, storage.state_key("checkpoint/commits/0"), b"v1\n{}")


def measure(storage: Storage, objects: int) -> dict[str, Any]:
    """Audit it, as a user would."""
    words = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("endpoint", "bucket", "prefix")]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        running = subprocess.Popen([Path(sys.executable).parent / "fruits", "audit", "--json", *words], stdout=out)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0)
        found = json.load(out)
    if found["entries"]["listed"] != objects or found["findings"]:
        raise SystemExit(f"{found['entries']}, {found['findings']}: not what was to be measured")
    peak = used.ru_maxrss / 1024
    return {"objects": objects, "seconds": seconds, "peak_mb": peak}


def _commit(store: ObjectStore, storage: Storage, table: str, files: list[pa.Table], by: Hold) -> None:
    """A table of these files, in one commit: delta-rs would not let a table have our contract."""
    fields = [
        {"name": field.name, "type": _TYPES[field.type], "nullable": True, "metadata": {}} for field in files[0].schema
    ]
    metadata = {
        "id": table,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {"fruits.contract": CONTRACT},
    }
    actions: list[dict[str, Any]] = [
        {"commitInfo": {"userMetadata": by.signature()}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": metadata},
    ]
    for number, rows in enumerate(files):
        body, name = io.BytesIO(), f"{number}.parquet"
        pq.write_table(rows, body)
        obstore.put(store, storage.table_key(table, name), body.getvalue())
        stats = json.dumps({"numRecords": rows.num_rows})
        told = {"path": name, "partitionValues": {}, "modificationTime": 0, "dataChange": True, "stats": stats}
        actions.append({"add": told | {"size": body.tell()}})
    log = "\n".join(map(json.dumps, actions)).encode()
    obstore.put(store, storage.table_key(table, f"_delta_log/{0:020}.json"), log)


def _rows(numbers: list[int]) -> pa.Table:
    manifest = pa.array([number // _MANIFEST + 1 for number in numbers], pa.int64())
    return pa.table({**_names(numbers), "manifest": manifest})


def _reduced(numbers: list[int]) -> pa.Table:
    version = pa.array([1] * len(numbers), pa.int64())
    return pa.table({**_names(numbers), "pca_version": version})


def _names(numbers: list[int]) -> dict[str, list[str]]:
    return {"key": list(map(_key, numbers)), "etag": list(map(_etag, numbers))}


def _key(number: int) -> str:
    return f"landing/kind-{number % 40}/{number:08}.jpg"


def _etag(number: int) -> str:
    return f"{number:032x}"


if __name__ == "__main__":
    main()
