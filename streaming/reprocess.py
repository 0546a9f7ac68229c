"""Reprocessing: object versions that were accounted for before are listed again, in new manifests.

A stream takes these up like any others, while it runs or at its next start. Every row says which manifest it is of, so
that the later one of a version that was featurized twice is the one that counts.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from obstore.store import ObjectStore

from conf.delta import open_table, read_columns
from conf.errors import DataError
from conf.naming import Naming, naming_of
from conf.s3 import control_client
from conf.settings import Storage
from conf.tables import Reason
from streaming import forgotten
from streaming.archive import original
from streaming.ledger import Ledger, last_number
from streaming.listing import list_below, list_landing
from streaming.manifests import Landed, Manifests
from streaming.state import TABLES, last_manifest, open_tables

# Photographs a manifest: a batch of seconds on a laptop.
_FILES = 1000

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
        naming = naming_of(store, storage)
        found = _once(v for number in sorted(kept) for v in manifests.read(number) if naming.row_id(v.name) in chosen)
        # Of manifests that were lost, when the state was rebuilt without them.
        lost = chosen.difference(naming.row_id(v.name) for v in found)
        if lost:
            with closing(control_client(storage)) as client:
                landed = list(list_landing(client, storage))
            if archived:
                keys = {key for key, _ in lost}.difference(naming.row_key(version.key) for version in landed)
                landed += _newest_archived(storage, store, naming, lambda key: naming.row_key(key) in keys)
            found += [v for v in landed if naming.row_id(v.name) in lost]
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
        row_key = ledger.naming.row_key
        chosen = [dated(v, newest.get(row_key(v.key), v.last_modified)) for v in landed if v in ledger]
        if archived:
            there = {version.key for version in landed}
            wanted = lambda key: key not in there and matches(key)  # noqa: E731 (two conditions want no name of their own)
            chosen += _newest_archived(storage, store, ledger.naming, wanted)
        return chosen

    return choose


def _newest_archived(
    storage: Storage, store: ObjectStore, naming: Naming, wanted: Callable[[str], bool]
) -> list[Landed]:
    """The newest version of each wanted key that the archive has."""
    with closing(control_client(storage)) as client:
        listed_there = (
            (original(storage, e["Key"]), e["LastModified"]) for e in list_below(client, storage, storage.archive)
        )
        archive = {name: at for name, at in listed_there if name and wanted(name[0])}
    names = {naming.row_id(name): name for name in archive}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for table in TABLES:
        opened = open_table(storage, table) if names else None
        taken = read_columns(opened, storage, ["key", "etag", "size", "manifest"]).to_pylist() if opened else []
        rows |= {names[row["key"], row["etag"]]: row for row in taken if (row["key"], row["etag"]) in names}
    manifests = Manifests(store, storage.state_key("manifests"))
    numbers = {row["manifest"] for row in rows.values()}
    kept = numbers.intersection(manifests.numbers(after=min(numbers) - 1)) if rows else numbers
    listed = [v for number in sorted(kept) for v in manifests.read(number) if v.name in rows]
    # Manifests that were lost, and the state rebuilt without them, are older than any; their versions landed before
    # they were archived, and more is not known.
    dated = [Landed(*name, row["size"], archive[name]) for name, row in rows.items() if row["manifest"] not in kept]
    in_order = [*sorted(dated, key=_landed_at), *sorted(listed, key=_landed_at)]
    return list({v.key: v for v in in_order}.values())


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
