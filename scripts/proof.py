"""The proof that something is forgotten: every file of a store is looked through, and none has a key or a vector of it.

Parquet is decoded; anything else is searched as bytes, in each spelling that a key may have. Photographs in the landing
zone and the archive are told by their names and etags: their bytes are what people dropped, and nothing of ours.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from obstore.exceptions import NotFoundError
from obstore.store import ObjectStore

from conf.delta import open_tables, read_columns, reading
from conf.erasing import CONNECTIONS, Eraser, Version
from conf.forgetting import Name, Plan
from conf.s3 import arrow_filesystem, control_client, store_answers
from conf.settings import Storage
from conf.spellings import Needles, spellings
from conf.vectors import digest
from streaming.archive import original

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

_FILES_AT_ONCE = 8
_PIECE_BYTES = 8 * 2**20
_ROWS_AT_ONCE = 1024


@dataclass
class Proof:
    """What a scan read, and what it found."""

    names: int = 0
    """Objects whose names were looked at."""
    files: int = 0
    """Of these, those that were read."""
    bytes: int = 0
    """Of all that were read."""
    found: dict[str, str] = field(default_factory=dict)
    """What still holds something, and what: a file's key by the kind of what it holds."""
    twins: int = 0
    """Rows of other keys that have a vector of what was forgotten, as their photographs have the same bytes."""


def prove(
    storage: Storage, store: ObjectStore, plan: Plan, advance: Callable[[int], None] = lambda count: None
) -> Proof:
    """Look for what a plan says was there. A photograph that has come since under the same key is another one.

    Parameters
    ----------
    advance
        Called with how many more files were read.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    with closing(control_client(storage, CONNECTIONS)) as client:
        versions = Eraser(client, storage).versions(storage.prefix)
        # Requests that wait name what they ask for, until they are carried out.
        listed = [found for found in versions if not found.key.startswith(storage.state_key("forgetting/"))]
    sought = _Sought.of(storage, plan, listed)
    proof = Proof(names=len(listed))
    to_read = []
    for version in listed:
        if sought.is_named_by(version):
            proof.found[version.key] = "the photograph, or its name"
        elif version.size and version.is_newest and not version.key.startswith((storage.landing, storage.archive)):
            to_read.append(version)
    files = arrow_filesystem(storage)
    with ThreadPoolExecutor(_FILES_AT_ONCE, "proof") as pool:
        looks = pool.map(lambda version: _look(storage, store, files, sought, version.key), to_read)
        for version, (told, twins) in zip(to_read, looks, strict=True):
            advance(1)
            proof.files += 1
            proof.bytes += version.size
            proof.twins += twins
            if told:
                proof.found[version.key] = told
    return proof


@dataclass(frozen=True)
class _Sought:
    """What to look for."""

    storage: Storage
    versions: frozenset[Name]
    rows: frozenset[Name]
    keys: frozenset[str]
    """Of both, those of which nothing else is there."""
    vectors: frozenset[str]
    needles: Needles

    @classmethod
    def of(cls, storage: Storage, plan: Plan, listed: Sequence[Version]) -> Self:
        versions, rows = frozenset(plan.versions), frozenset(plan.rows)
        keys, there = {key for key, _ in versions | rows}, _there(storage, listed)
        others = {key for key, etag in there if key in keys and (key, etag) not in versions | rows}
        gone = keys - others
        # A key may begin another one, of a photograph that stays.
        lengths = {len(key) for key in gone}
        longer = {key for key, _ in there if key not in gone and any(key[:length] in gone for length in lengths)}
        strings = {string for key in gone for string in spellings(key)}
        # Of a key that is there again, or still, only its versions are to be gone: as manifests list them.
        strings |= {_line(key, etag) for key, etag in versions if key in others}
        strings |= {bytes.fromhex(head) for head in plan.heads}
        needles = Needles(
            (string for string in strings if len(string) >= Needles.SHORTEST),
            (string for key in longer for string in spellings(key)),
        )
        return cls(storage, versions, rows, frozenset(gone), frozenset(plan.vectors), needles)

    def is_named_by(self, version: Version) -> bool:
        """Whether an object is one that was to go, or is named after one."""
        if version.key.startswith(self.storage.landing):
            return (version.key, version.etag) in self.versions or (not version.etag and version.key in self.keys)
        if version.key.startswith(self.storage.archive):
            return original(self.storage, version.key) in self.versions
        return self.needles.first_in(version.key.encode()) is not None

    def in_batch(self, batch: pa.RecordBatch) -> tuple[str | None, int]:
        """What rows of a Parquet file give away, and how many have the vector of one and are another's."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        twins = 0
        if {"key", "etag"} <= columns.keys():
            names = zip(columns["key"].to_pylist(), columns["etag"].to_pylist(), strict=True)
            if not self.rows.isdisjoint(names):
                return "a row", 0
        for column in columns.values():
            if any(self.needles.first_in(text) for text in _texts(column)):
                return "a key", 0
            if same := sum(digest(vector) in self.vectors for vector in _vectors(column)):
                if "key" not in columns:
                    return "a vector", 0
                twins += same
        return None, twins


def _there(storage: Storage, listed: Sequence[Version]) -> set[Name]:
    """Every version that there is: in the landing zone, in the archive, or as a row."""
    found = {(version.key, version.etag) for version in listed if version.etag}
    archived = (version.key for version in listed if version.key.startswith(storage.archive))
    found |= {name for key in archived if (name := original(storage, key)) is not None}
    for opened in open_tables(storage, "features", "rejects"):
        if opened is not None:
            rows = read_columns(opened, storage, ["key", "etag"])
            found |= set(zip(rows["key"].to_pylist(), rows["etag"].to_pylist(), strict=True))
    return found


def _look(
    storage: Storage, store: ObjectStore, files: "S3FileSystem", sought: _Sought, key: str
) -> tuple[str | None, int]:
    """What a file gives away. One that went meanwhile gives nothing away."""
    try:
        if key.endswith(".parquet"):
            twins = 0
            with reading(storage), files.open_input_file(f"{storage.bucket}/{key}") as file:
                for batch in pq.ParquetFile(file).iter_batches(_ROWS_AT_ONCE):
                    told, same = sought.in_batch(batch)
                    twins += same
                    if told:
                        return told, twins
            return None, twins
        hit = sought.needles.first_in_all(_pieces(store, key))
    except FileNotFoundError:
        return None, 0
    return (None if hit is None else "a key, or the beginning of a vector"), 0


def _pieces(store: ObjectStore, key: str) -> Iterator[bytes]:
    with store_answers(key):
        try:
            yield from map(bytes, obstore.get(store, key).stream(min_chunk_size=_PIECE_BYTES))
        except (NotFoundError, FileNotFoundError):
            return


def _line(key: str, etag: str) -> bytes:
    """How a manifest lists a version."""
    return f'"key":{json.dumps(key)},"etag":{json.dumps(etag)}'.encode()


def _texts(column: pa.Array) -> Iterator[bytes]:
    """The texts of a column, however deep, many at a time."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        yield b"\0".join(text.encode() if isinstance(text, str) else text for text in column.to_pylist() if text)
    elif pa.types.is_struct(kind):
        for child in column.flatten():
            yield from _texts(child)
    elif pa.types.is_list(kind) or pa.types.is_map(kind):
        for child in (column.keys, column.items) if pa.types.is_map(kind) else (column.flatten(),):
            yield from _texts(child)


def _vectors(column: pa.Array) -> Iterator[NDArray[Any]]:
    if pa.types.is_list(column.type) and pa.types.is_floating(column.type.value_type):
        for vector in column:
            if vector.is_valid:
                yield vector.values.to_numpy(zero_copy_only=False)
