"""Reprocessing: object versions that were accounted for before are listed again, in new manifests.

A stream takes these up like any others, while it runs or at its next start. Every row says which manifest it is of, so
that the later one of a version that was featurized twice is the one that counts.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from fnmatch import fnmatchcase

from obstore.store import ObjectStore

from conf.delta import dataset, open_table
from conf.errors import DataError
from conf.s3 import control_client
from conf.settings import Storage
from conf.tables import Reason
from streaming.discovery import list_landing
from streaming.ledger import Ledger, last_number
from streaming.manifests import Landed, Manifests

# Photographs a manifest: a batch of seconds on a laptop.
_FILES = 1000

Chooser = Callable[[Storage, ObjectStore], list[Landed]]


def rejected(reasons: Sequence[Reason] = ()) -> Chooser:
    """Choose what is in rejects, for one of these reasons or for any, and was not featurized since."""

    def choose(storage: Storage, store: ObjectStore) -> list[Landed]:
        rejects = open_table(storage, "rejects")
        if rejects is None:
            return []
        columns = ["key", "etag", "manifest", "reason"]
        rows = dataset(rejects, storage).to_table(columns).to_pylist()
        wanted = [row for row in rows if not reasons or row["reason"] in reasons]
        features = open_table(storage, "features")
        taken = dataset(features, storage).to_table(["key", "etag"]).to_pylist() if features else []
        featurized = {(row["key"], row["etag"]) for row in taken}
        chosen = {(row["key"], row["etag"]) for row in wanted} - featurized
        manifests = Manifests(store, storage.state_key("manifests"))
        numbers = {row["manifest"] for row in wanted if (row["key"], row["etag"]) in chosen}
        kept = numbers.intersection(manifests.numbers(after=min(numbers, default=1) - 1))
        if kept == numbers:
            return [v for number in sorted(numbers) for v in manifests.read(number) if (v.key, v.etag) in chosen]
        # Manifests were lost, and the state rebuilt without them.
        with closing(control_client(storage)) as client:
            return [v for v in list_landing(client, storage) if (v.key, v.etag) in chosen]

    return choose


def matching(patterns: Sequence[str]) -> Chooser:
    """Choose what lies in the landing zone, was listed before, and has a path there that matches (`*`, `?`, `[…]`)."""

    def choose(storage: Storage, store: ObjectStore) -> list[Landed]:
        ledger = Ledger(store, storage)
        with closing(control_client(storage)) as client:
            return [
                version
                for version in list_landing(client, storage)
                if any(fnmatchcase(version.key.removeprefix(storage.landing), pattern) for pattern in patterns)
                and version in ledger
            ]

    return choose


def listed_by(first: int, last: int) -> Chooser:
    """Choose what manifests `first` to `last` list."""

    def choose(storage: Storage, store: ObjectStore) -> list[Landed]:
        manifests = Manifests(store, storage.state_key("manifests"))
        newest = max(manifests.numbers(after=first - 1), default=0)
        if not 1 <= first <= last <= newest:
            known = f"the newest is {newest}" if newest else "there are none so far"
            raise DataError(f"There are no manifests {first}..{last}: {known}. Give numbers from 1 on, as N or N..M.")
        return [version for number in range(first, last + 1) for version in manifests.read(number)]

    return choose


def relist(storage: Storage, store: ObjectStore, versions: Iterable[Landed]) -> list[int]:
    """List versions again, each once; tells the numbers of the new manifests."""
    chosen = list({(version.key, version.etag): version for version in versions}.values())
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
