"""Reprocessing: object versions that were accounted for before are listed again, in new manifests.

A stream takes these up like any others, while it runs or at its next start. Every row says which manifest it is of, so
that the later one of a version that was featurized twice is the one that counts.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from obstore.store import ObjectStore

from conf.delta import open_table, read_columns
from conf.errors import DataError
from conf.s3 import control_client
from conf.settings import Storage
from conf.tables import Reason
from streaming import forgotten
from streaming.archive import archive_key
from streaming.ledger import Ledger, last_number
from streaming.listing import list_below, list_landing
from streaming.manifests import Landed, Manifests
from streaming.state import TABLES, last_manifest, open_tables

# Photographs a manifest: a batch of seconds on a laptop.
_FILES = 1000
_EARLIEST = datetime.fromtimestamp(0, UTC)

Chooser = Callable[[Storage, ObjectStore], list[Landed]]


def rejected(reasons: Sequence[Reason] = (), *, archived: bool = False) -> Chooser:
    """Choose what is in rejects, for one of these reasons or for any, and was not featurized since.

    Parameters
    ----------
    archived
        Whether to look in the archive, too, for those of which the manifest is lost.
    """

    def choose(storage: Storage, store: ObjectStore) -> list[Landed]:
        rejects = open_table(storage, "rejects")
        if rejects is None:
            return []
        columns = ["key", "etag", "manifest", "reason"]
        rows = read_columns(rejects, storage, columns).to_pylist()
        wanted = [row for row in rows if not reasons or row["reason"] in reasons]
        features = open_table(storage, "features")
        taken = read_columns(features, storage, ["key", "etag"]).to_pylist() if features else []
        featurized = {(row["key"], row["etag"]) for row in taken}
        chosen = {(row["key"], row["etag"]) for row in wanted} - featurized
        manifests = Manifests(store, storage.state_key("manifests"))
        numbers = {row["manifest"] for row in wanted if (row["key"], row["etag"]) in chosen}
        kept = numbers.intersection(manifests.numbers(after=min(numbers, default=1) - 1))
        found = _once(v for number in sorted(kept) for v in manifests.read(number) if v.name in chosen)
        # Of manifests that were lost, when the state was rebuilt without them.
        lost = chosen.difference(v.name for v in found)
        if lost:
            with closing(control_client(storage)) as client:
                landed = list(list_landing(client, storage))
            if archived:
                keys = {key for key, _ in lost}.difference(version.key for version in landed)
                landed += _newest_archived(storage, store, keys.__contains__)
            found += [v for v in landed if v.name in lost]
        return found

    return choose


def matching(patterns: Sequence[str], *, archived: bool = False) -> Chooser:
    """Choose what was listed before and has a path in the landing zone that matches (`*`, `?`, `[…]`).

    Parameters
    ----------
    archived
        Whether to choose from the archive, too: of each key that is not in the landing zone, the newest version.
    """

    def choose(storage: Storage, store: ObjectStore) -> list[Landed]:
        def matches(key: str) -> bool:
            path = key.removeprefix(storage.landing)
            return any(fnmatchcase(path, pattern) for pattern in patterns)

        ledger = Ledger(store, storage)
        with closing(control_client(storage)) as client:
            landed = [version for version in list_landing(client, storage) if matches(version.key)]
        newest = _newest_rows(storage)
        chosen = [dated(v, newest.get(v.key, v.last_modified)) for v in landed if v in ledger]
        if archived:
            there = {version.key for version in landed}
            chosen += _newest_archived(storage, store, lambda key: key not in there and matches(key))
        return chosen

    return choose


def _newest_archived(storage: Storage, store: ObjectStore, wanted: Callable[[str], bool]) -> list[Landed]:
    """The newest version of each wanted key that the archive has."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for table in TABLES:
        opened = open_table(storage, table)
        taken = read_columns(opened, storage, ["key", "etag", "size", "manifest"]).to_pylist() if opened else []
        rows |= {(row["key"], row["etag"]): row for row in taken if wanted(row["key"])}
    with closing(control_client(storage)) as client:
        archive = {e["Key"]: e["LastModified"] for e in list_below(client, storage, storage.archive)} if rows else {}
    manifests = Manifests(store, storage.state_key("manifests"))
    numbers = {row["manifest"] for row in rows.values()}
    kept = numbers.intersection(manifests.numbers(after=min(numbers) - 1)) if rows else numbers
    listed = [v for number in sorted(kept) for v in manifests.read(number) if v.name in rows]
    # Manifests that were lost, and the state rebuilt without them, are older than any; their versions landed before
    # they were archived, and more is not known.
    lost = [Landed(r["key"], r["etag"], r["size"], _EARLIEST) for r in rows.values() if r["manifest"] not in kept]
    dated = [replace(v, last_modified=at) for v in lost if (at := archive.get(archive_key(storage, v)))]
    in_order = [*sorted(dated, key=_landed_at), *sorted(listed, key=_landed_at)]
    return list({v.key: v for v in in_order if archive_key(storage, v) in archive}.values())


def dated(version: Landed, newest_row: datetime) -> Landed:
    """What lies in the landing zone, with the time of its key's newest row where that is later.

    An event's time is finer than a listing's, and of a key's rows that of the latest time is the current one.
    """
    return replace(version, last_modified=max(version.last_modified, newest_row))


def _newest_rows(storage: Storage) -> dict[str, datetime]:
    """Of each key in features, the time of its newest row."""
    features = open_table(storage, "features")
    if features is None:
        return {}
    rows = (
        read_columns(features, storage, ["key", "last_modified"]).group_by("key").aggregate([("last_modified", "max")])
    )
    return {row["key"]: row["last_modified_max"] for row in rows.to_pylist()}


def _landed_at(version: Landed) -> datetime:
    return version.last_modified


def listed_by(first: int, last: int) -> Chooser:
    """Choose what manifests `first` to `last` list."""

    def choose(storage: Storage, store: ObjectStore) -> list[Landed]:
        manifests = Manifests(store, storage.state_key("manifests"))
        numbers = sorted(manifests.numbers())
        # There are gaps where a state was lost and rebuilt.
        chosen = [number for number in numbers if first <= number <= last]
        if not chosen or not 1 <= first <= last <= numbers[-1]:
            known = f"they are {numbers[0]} to {numbers[-1]}" if numbers else "there are none so far"
            raise DataError(f"There are no manifests {first}..{last}: {known}. Give their numbers, as N or N..M.")
        return _once(version for number in chosen for version in manifests.read(number))

    return choose


def not_awaited(storage: Storage, store: ObjectStore, versions: Iterable[Landed]) -> list[Landed]:
    """Leave out what is under way: a manifest lists it already, and no table has it yet."""
    newest = max(map(last_manifest, open_tables(storage).values()), default=0)
    awaited = Manifests(store, storage.state_key("manifests")).names(after=newest)
    return [version for version in versions if version.name not in awaited]


def relist(storage: Storage, store: ObjectStore, versions: Iterable[Landed]) -> list[int]:
    """List versions again, but for those that are forgotten; tells the numbers of the new manifests."""
    gone = forgotten.read(store, storage)
    chosen = [version for version in versions if version not in gone]
    manifests = Manifests(store, storage.state_key("manifests"))
    numbers = []
    number = last_number(store, storage)
    for start in range(0, len(chosen), _FILES):
        piece = chosen[start : start + _FILES]
        number += 1
        # A stream that runs takes numbers, too.
        while not manifests.create(number, piece):
            number += 1
        numbers.append(number)
    return numbers


def _once(versions: Iterable[Landed]) -> list[Landed]:
    """Each version once, as it was listed last."""
    return list({version.name: version for version in versions}.values())
