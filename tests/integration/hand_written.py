"""A features table without Spark and without the stream, for tests of what comes after them."""

import io
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import Schema
from obstore.store import ObjectStore

from batch.statistics import Statistics
from conf.s3 import object_store
from conf.settings import Storage
from conf.tables import CONTRACT
from conf.tables import MODEL as TABLE_MODEL
from tests.integration.features import DAY, MODEL, Rows, draw_vectors

D = 6


class HandWritten:
    """A features table written by hand, file by file: quick, and each commit is what the test says.

    Attributes
    ----------
    history
        Of each version of the table the rows that count, by key.
    """

    def __init__(self, storage: Storage) -> None:
        self.history: list[dict[str, dict[str, Any]]] = []
        self.storage = storage
        self.store: ObjectStore = object_store(storage)
        self.folder = f"{storage.prefix}tables/features/"
        self.files: dict[str, pa.Table] = {}
        self._versions: list[dict[str, pa.Table]] = []
        self.manifest = 0
        metadata = {
            "id": str(uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": Schema.from_arrow(Rows([0], draw_vectors(1, D, 0)).table().schema).to_json(),
            "partitionColumns": [],
            "configuration": {"fruits.contract": CONTRACT, TABLE_MODEL: MODEL},
        }
        self.version = -1
        self._commit({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata})

    def append(self, numbers: Iterable[int], model: str = MODEL) -> None:
        """New versions of some photographs."""
        self.manifest += 1
        numbers = sorted(set(numbers))
        vectors = draw_vectors(len(numbers), D, seed=self.manifest)
        landed = DAY + timedelta(minutes=self.manifest)
        self.append_rows(Rows(numbers, vectors, self.manifest, f"{self.manifest:x}", landed, model).table())

    def append_rows(self, rows: pa.Table) -> None:
        """Rows as they are."""
        self._commit(self._add(rows))

    def delete(self, number: int, manifest: int | None = None) -> None:
        """A photograph's versions, or one of them: the files that have them are written anew without."""
        actions = []
        for name, rows in list(self.files.items()):
            going = pc.ends_with(rows["key"], f"/{number:04}.jpg")
            if manifest is not None:
                going = pc.and_(going, pc.equal(rows["manifest"], manifest))
            if pc.any(going).as_py():
                actions += [self._remove(name), self._add(rows.filter(pc.invert(going)))]
        if actions:
            self._commit(*actions)

    def compact(self, most: int | None = None) -> None:
        """The newest files, or all, into one."""
        chosen = list(self.files)[-most:] if most else list(self.files)
        rows = pa.concat_tables([self.files[name] for name in chosen])
        self._commit(*(self._remove(name, False) for name in chosen), self._add(rows, False))

    def rewrite(self, operation: str) -> None:
        """All rows into a new file, by a statement that changes them."""
        rows = pa.concat_tables(list(self.files.values()))
        gone = [self._remove(name) for name in list(self.files)]
        self._commit({"commitInfo": {"operation": operation}}, *gone, self._add(rows))

    def restore(self, version: int) -> None:
        """The files of an earlier version come back, and those of now go."""
        then = self._versions[version]
        gone = [self._remove(name) for name in list(self.files) if name not in then]
        back = [self._told(name, rows) for name, rows in then.items() if name not in self.files]
        if gone or back:
            self._commit(*gone, *back)

    def vacuum(self) -> None:
        """What no part of the table is any more is deleted."""
        for meta in obstore.list(self.store, self.folder).collect():
            name = meta["path"].removeprefix(self.folder)
            if name.endswith(".parquet") and name not in self.files:
                obstore.delete(self.store, meta["path"])

    def _add(self, rows: pa.Table, new: bool = True) -> dict[str, Any]:
        name, written = f"{uuid4()}.parquet", io.BytesIO()
        pq.write_table(rows, written)
        obstore.put(self.store, self.folder + name, written.getvalue())
        return self._told(name, rows, new)

    def _told(self, name: str, rows: pa.Table, new: bool = True) -> dict[str, Any]:
        written = io.BytesIO()
        pq.write_table(rows, written)
        self.files[name] = rows
        stats = json.dumps({"numRecords": rows.num_rows})
        told = {"path": name, "partitionValues": {}, "modificationTime": 0, "stats": stats}
        return {"add": told | {"size": written.tell(), "dataChange": new}}

    def _remove(self, name: str, gone: bool = True) -> dict[str, Any]:
        written = io.BytesIO()
        pq.write_table(self.files.pop(name), written)
        return {"remove": {"path": name, "deletionTimestamp": 0, "dataChange": gone, "size": written.tell()}}

    def _commit(self, *actions: dict[str, Any]) -> None:
        self.version += 1
        path = f"{self.folder}_delta_log/{self.version:020}.json"
        obstore.put(self.store, path, "\n".join(map(json.dumps, actions)).encode())
        self.history.append(self.counting())
        self._versions.append(dict(self.files))

    def counting(self) -> dict[str, dict[str, Any]]:
        """The newest version of each photograph, if the model made it; told without any of the code that is tested."""
        newest: dict[str, dict[str, Any]] = {}
        for row in (row for rows in self.files.values() for row in rows.to_pylist()):
            if row["key"] not in newest or row["manifest"] > newest[row["key"]]["manifest"]:
                newest[row["key"]] = row
        return {key: row for key, row in newest.items() if row["model_id"] == MODEL}

    def statistics(self) -> Statistics:
        """Of these."""
        vectors = [row["features"] for row in self.counting().values()]
        return Statistics.of(np.array(vectors, np.float32).reshape(-1, D))
