"""Where photographs that are to be forgotten have left traces: everything that there is of them. Changes nothing."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from obstore.store import ObjectStore

from conf.delta import dataset, open_tables, reading
from conf.erasing import CONNECTIONS, GONE, Eraser, Version
from conf.forgetting import Asked, Name, Plan
from conf.naming import naming_of
from conf.s3 import control_client, error_code, explain, read_object, store_answers
from conf.settings import Storage
from conf.spellings import Needles, spellings
from conf.vectors import digests, heads
from streaming import checkpoint
from streaming.archive import archive_key, original
from streaming.listing import list_landing
from streaming.manifests import Landed, Listed, Manifests
from streaming.state import TABLES

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from mypy_boto3_s3 import S3Client

_READS_IN_FLIGHT = 16
_ANY_TIME = datetime.fromtimestamp(0, UTC)


def find(storage: Storage, store: ObjectStore, asked: Asked, meant: Collection[Name] | None = None) -> Plan:
    """Everything that the stream, the landing zone and the archive have of what is asked.

    Costs a read of all manifests, of the short columns of features and rejects, and of the vectors that are found; a
    listing of what begins like the keys, in the landing zone and the archive. For bytes, a listing of all of the
    landing zone, and a read of each photograph there that has no row of features.

    Parameters
    ----------
    meant
        Of what keys and prefixes pick, only these, by the keys that the tables have; None for all that there is. Bytes
        that are asked for are meant whenever they came.

    Raises
    ------
    StateError, ContractError, StorageError
        Where state or tables are damaged, or the store fails.
    """
    naming = naming_of(store, storage)
    row_key = naming.row_key
    # Where keys are hashed, one may be asked for as the tables call it.
    by_name = {key.removeprefix(storage.landing) for key in asked.keys} if naming.secret else set()
    tables = (*TABLES, "reduced")
    opened = dict(zip(tables, open_tables(storage, *tables), strict=True))
    by_content, versions = _of_content(opened["features"], storage, asked.digests), set[Name]()
    if asked.digests:
        with closing(control_client(storage, CONNECTIONS)) as client:
            versions = set(_of_bytes(client, storage, opened["features"], row_key, asked.digests))
        by_content |= {(row_key(key), etag) for key, etag in versions}
    only = None if meant is None else by_content.union(meant)

    def is_meant(key: str, etag: str) -> bool:
        return only is None or (row_key(key), etag) in only

    entries = [
        entry
        for entry in _listed(store, storage)
        if (
            asked.picks(entry.key)
            or (by_name and row_key(entry.key) in by_name)
            or (by_content and (row_key(entry.key), entry.etag) in by_content)
        )
        and is_meant(*entry.name)
    ]
    versions |= {entry.name for entry in entries}
    with closing(control_client(storage, CONNECTIONS)) as client:
        eraser = Eraser(client, storage)
        landed, archived = [*_landed(eraser, asked)], [*_archived(eraser, storage, asked)]
        landing = {(version.key, version.etag) for version in landed if version.etag}
        landing |= {name for version in archived if (name := original(storage, version.key)) is not None}
        versions |= {name for name in landing if is_meant(*name)}
        there = [*objects(eraser, storage, asked, versions)]
    names = {row_key(key) for key, _ in versions if asked.picks(key)} | {row_key(key) for key in asked.keys} | by_name
    rows = {table: _rows(opened[table], storage, asked, names, by_content, only) for table in TABLES}
    found = {name for table in rows.values() for name in _names(table)}
    # Where the tables say keys as they are, they may know of versions that nothing else does any more.
    versions |= {name for name in found if name[0].startswith(storage.landing)}
    named = found | {(row_key(key), etag) for key, etag in versions}
    features = _vectors(opened["features"], storage, "features", named)
    reduced = _vectors(opened["reduced"], storage, "reduced", named)
    done = checkpoint.last_done(store, storage.state_key("checkpoint"))
    ids = {row for table in rows.values() for row in _ids(table)}
    awaited = [
        entry
        for entry in entries
        if (done is None or entry.manifest > done.manifest)
        and (row_key(entry.key), entry.etag, entry.manifest) not in ids
    ]
    return Plan(
        versions=tuple(sorted(versions)),
        rows=tuple(sorted(named)),
        found={
            "landing": sum(version.key.startswith(storage.landing) for version in there),
            "archive": sum(version.key.startswith(storage.archive) for version in there),
            "manifests": len(entries),
            "features": rows["features"].num_rows,
            "rejects": rows["rejects"].num_rows,
            "reduced": len(reduced),
            "set_aside": len(set_aside(store, storage, asked, versions)),
        },
        manifests=tuple(sorted({entry.manifest for entry in entries})),
        leaving=sum(table.num_rows for table in rows.values()) + len(awaited),
        vectors=tuple(sorted(digests(features + reduced))),
        heads=tuple(sorted(heads(features + reduced))),
        contents=tuple(sorted(_contents(rows["features"], asked))),
    )


def objects(eraser: Eraser, storage: Storage, asked: Asked, versions: Collection[Name]) -> Iterator[Version]:
    """What the landing zone and the archive have of these versions. A newer one of the same key is not meant."""
    known = frozenset(versions)
    landed = [*_landed(eraser, asked)]
    stay = {version.key for version in landed if version.etag and (version.key, version.etag) not in known}
    # The mark of a deletion tells of a key, as long as nothing else does.
    yield from (v for v in landed if ((v.key, v.etag) in known if v.etag else v.key not in stay))
    yield from (version for version in _archived(eraser, storage, asked) if original(storage, version.key) in known)
    for key, etag in known:
        if not asked.picks(key):
            archived = archive_key(storage, Landed(key, etag, 0, _ANY_TIME))
            yield from (found for found in eraser.versions(key) if (found.key, found.etag) == (key, etag))
            yield from (found for found in eraser.versions(archived) if found.key == archived)


def set_aside(store: ObjectStore, storage: Storage, asked: Asked, versions: Collection[Name]) -> list[str]:
    """Messages of the queue, not understood, that have one of these keys in them."""
    texts = {*asked.keys, *asked.prefixes, *(key for key, _ in versions)}
    strings = {string for text in texts for string in spellings(text)}
    needles = Needles(string for string in strings if len(string) >= Needles.SHORTEST)
    below = storage.state_key("set-aside/")
    with store_answers(below):
        paths = [meta["path"] for page in obstore.list(store, below) for meta in page]
    return [path for path in paths if (body := read_object(store, path)) is not None and needles.first_in(body)]


def _listed(store: ObjectStore, storage: Storage) -> Iterator[Listed]:
    manifests = Manifests(store, storage.state_key("manifests"))
    with ThreadPoolExecutor(_READS_IN_FLIGHT, "manifests") as pool:
        for versions in pool.map(manifests.read, sorted(manifests.numbers())):
            yield from versions


def _starts(asked: Asked) -> list[str]:
    """What to list for keys and prefixes, nothing twice."""
    starts = sorted({*asked.keys, *asked.prefixes})
    return [start for start in starts if not any(start != other and start.startswith(other) for other in starts)]


def _landed(eraser: Eraser, asked: Asked) -> Iterator[Version]:
    """What the landing zone has of keys, and has had, where the bucket keeps that."""
    return (version for start in _starts(asked) for version in eraser.versions(start) if asked.picks(version.key))


def _archived(eraser: Eraser, storage: Storage, asked: Asked) -> Iterator[Version]:
    """What the archive has of keys, whatever its etag."""
    starts = set()
    for start in _starts(asked):
        # The etag stands before the last dot of a name, which a prefix may have reached or not.
        folder, slash, name = start.removeprefix(storage.landing).rpartition("/")
        starts.add(f"{storage.archive}{folder}{slash}{name.partition('.')[0]}")
    for start in _starts(Asked(prefixes=tuple(starts))):
        for version in eraser.versions(start):
            of = original(storage, version.key)
            if of is not None and asked.picks(of[0]):
                yield version


def _of_content(features: "DeltaTable | None", storage: Storage, wanted: Collection[str]) -> set[Name]:
    if features is None or not wanted:
        return set()
    rows = pc.field("sha256").isin(pa.array(sorted(wanted), pa.string()))
    with reading(storage):
        return set(_names(dataset(features, storage).to_table(["key", "etag"], filter=rows)))


def _of_bytes(
    client: "S3Client",
    storage: Storage,
    features: "DeltaTable | None",
    row_key: Callable[[str], str],
    wanted: Collection[str],
) -> Iterator[Name]:
    """What the landing zone has of some bytes, of what has no row of features that would tell."""
    from botocore.exceptions import BotoCoreError, ClientError

    told: set[Name] = set()
    if features is not None:
        with reading(storage):
            told.update(_names(dataset(features, storage).to_table(["key", "etag"])))

    def is_of_these(landed: Landed) -> bool:
        try:
            got = client.get_object(Bucket=storage.bucket, Key=landed.key, IfMatch=f'"{landed.etag}"')
            return hashlib.sha256(got["Body"].read()).hexdigest() in wanted
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in GONE:
                return False
            raise explain(error, storage) from None

    unread = [each for each in list_landing(client, storage) if (row_key(each.key), each.etag) not in told]
    with ThreadPoolExecutor(CONNECTIONS, "landing") as pool:
        for landed, found in zip(unread, pool.map(is_of_these, unread), strict=True):
            if found:
                yield landed.key, landed.etag


def _rows(
    opened: "DeltaTable | None",
    storage: Storage,
    asked: Asked,
    names: Collection[str],
    chosen: Collection[Name],
    only: Collection[Name] | None,
) -> pa.Table:
    """Rows of a table that are to go."""
    columns = ["key", "etag", "manifest"]
    if opened is None:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    columns += [field.name for field in opened.schema().fields if field.name == "sha256"]
    kept = []
    with reading(storage):
        for batch in dataset(opened, storage).to_batches(columns=columns):
            keys, etags = batch.column("key").to_pylist(), batch.column("etag").to_pylist()
            goes = [
                (key in names or asked.picks(key) or (key, etag) in chosen) and (only is None or (key, etag) in only)
                for key, etag in zip(keys, etags, strict=True)
            ]
            if any(goes):
                kept.append(batch.filter(pa.array(goes, pa.bool_())))
        schema = dataset(opened, storage).schema
    return pa.Table.from_batches(kept, pa.schema([schema.field(name) for name in columns]))


def _contents(features: pa.Table, asked: Asked) -> set[Name]:
    """What the bytes were, of each key; of those that are asked for as such, whatever their key."""
    there = zip(features["key"].to_pylist(), features["sha256"].to_pylist(), strict=True) if len(features) else ()
    return {(key, sha256) for key, sha256 in there if sha256 not in asked.digests} | {("", d) for d in asked.digests}


def _vectors(
    opened: "DeltaTable | None", storage: Storage, column: str, names: Collection[Name]
) -> list[NDArray[np.float32]]:
    """Of the rows of some keys and etags, one column."""
    if opened is None or not names:
        return []
    rows = pc.field("key").isin(pa.array(sorted({key for key, _ in names}), pa.string()))
    found = []
    with reading(storage):
        for batch in dataset(opened, storage).to_batches(columns=["key", "etag", column], filter=rows):
            for name, vector in zip(_names(batch), batch.column(column), strict=True):
                if name in names:
                    found.append(vector.values.to_numpy(zero_copy_only=False))
    return found


def _names(rows: pa.Table | pa.RecordBatch) -> list[Name]:
    return list(zip(rows.column("key").to_pylist(), rows.column("etag").to_pylist(), strict=True))


def _ids(rows: pa.Table) -> Iterator[tuple[str, str, int]]:
    return zip(*(rows.column(name).to_pylist() for name in ("key", "etag", "manifest")), strict=True)
