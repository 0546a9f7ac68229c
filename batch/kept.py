"""What a refit leaves for the next one, so that it reads only what has changed: `state/statistics`.

The statistics of all rows that counted at one version of features, and which rows did not. It is a cache: where it is
gone or damaged, the next refit reads all rows.

Layout, little-endian: magic, layout version and crc32 of what follows (8 bytes); length of a JSON object (4), the
object; length of the packed statistics (8), these; the rows that do not count, as an Arrow stream.
"""

import json
import struct
import zlib
from dataclasses import dataclass

import obstore
import pyarrow as pa
from obstore.store import ObjectStore

from batch.statistics import Statistics
from conf.errors import ContractError, DataError
from conf.s3 import read_object, store_answers
from conf.settings import Storage
from conf.tables import ROW_ID, RowId

_MAGIC, _VERSION = b"FKS", 2
_HEAD = struct.Struct("<3sBI")
_LENGTHS = struct.Struct("<IQ")
_SCHEMA = pa.schema([("key", pa.string()), ("etag", pa.string()), ("manifest", pa.int64())])


@dataclass(frozen=True)
class Kept:
    """What was known of features at one version."""

    table_id: str
    """Of the Delta table: another, at the same place, has another history."""
    features_version: int
    commit: str
    """The digest of that version's commit: a copy of the table that was put back may have another."""
    model_id: str
    superseded: frozenset[RowId]
    """Rows of the model that do not count."""
    statistics: Statistics
    """Of all that do."""
    refits: int
    """How many times rows were added to the statistics or taken away since all were read."""
    reduced: str
    """What tells the state of `reduced` that was published with them from any other."""

    def to_bytes(self) -> bytes:
        """Serialize."""
        told = json.dumps(
            [self.table_id, self.features_version, self.commit, self.model_id, self.refits, self.reduced]
        ).encode()
        packed = self.statistics.to_bytes()
        columns = zip(*self.superseded, strict=True) if self.superseded else ((), (), ())
        rows = pa.table(dict(zip(ROW_ID, map(list, columns), strict=True)), schema=_SCHEMA)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _SCHEMA) as writer:
            writer.write_table(rows)
        body = b"".join([_LENGTHS.pack(len(told), len(packed)), told, packed, sink.getvalue()])
        return _HEAD.pack(_MAGIC, _VERSION, zlib.crc32(body)) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "Kept":
        """Restore what `to_bytes` wrote.

        Raises DataError where the bytes are damaged, ContractError where another layout wrote them.
        """
        view = memoryview(data)
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise DataError(f"{len(data)} bytes that are no statistics of a refit")
        _, version, checksum = _HEAD.unpack_from(view)
        if version != _VERSION:
            raise ContractError(f"statistics of layout {version}, expected {_VERSION}")
        body = view[_HEAD.size :]
        if zlib.crc32(body) != checksum:
            raise DataError(f"{len(data)} bytes of statistics that are damaged: their checksum is another")
        told, packed = _LENGTHS.unpack_from(body)
        at = _LENGTHS.size
        table_id, features_version, commit, model_id, refits, reduced = json.loads(bytes(body[at : at + told]))
        at += told
        with pa.ipc.open_stream(body[at + packed :]) as reader:
            rows = reader.read_all()
        superseded = frozenset(zip(*(rows[name].to_pylist() for name in ROW_ID), strict=True))
        statistics = Statistics.from_bytes(body[at : at + packed])
        return cls(table_id, features_version, commit, model_id, superseded, statistics, refits, reduced)


def save(store: ObjectStore, storage: Storage, kept: Kept) -> None:
    """Keep it, in place of what was kept before. StorageError where the store fails."""
    with store_answers(_key(storage)):
        obstore.put(store, _key(storage), kept.to_bytes())


def restore(store: ObjectStore, storage: Storage) -> Kept | None:
    """What was kept last; None where nothing is.

    Raises DataError or ContractError where it cannot be understood, StorageError where the store fails.
    """
    data = read_object(store, _key(storage))
    return None if data is None else Kept.from_bytes(data)


def discard(store: ObjectStore, storage: Storage) -> None:
    """Keep it no longer, so that the next refit reads all rows. StorageError where the store fails."""
    with store_answers(_key(storage)):
        obstore.delete(store, [_key(storage)])


def _key(storage: Storage) -> str:
    return storage.state_key("statistics")
