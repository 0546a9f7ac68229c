"""The ledger: what all manifests together list, without reading them all at each start.

The manifests are the truth. Now and then the set of everything they list is put beside them, as
`state/seen/<number of the last manifest in it>`; a start reads the newest of these and the manifests after it. One that
is missing or damaged costs time, never an object: the manifests are read instead.

After a state was lost and rebuilt from the tables (`streaming.rebuild`), the saved set alone says what came before. The
number it has is one that no manifest ever gets: without it, the manifests after it are not taken for all there are.
"""

import json
import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import ObjectStore

from conf.errors import REBUILD, StateError
from conf.naming import naming_of
from conf.s3 import read_object, store_answers
from conf.settings import Storage
from streaming import forgotten, leaving
from streaming.manifests import Landed, Manifests
from streaming.seen import Seen

CONTRACT = 1
# A start reads up to this many manifests one by one: a second, as sixteen are under way at a time.
_MANIFESTS_BETWEEN = 500
_READS_IN_FLIGHT = 16
_DIGITS = 12
# More than a first line ever has.
_HEADER_BYTES = 256
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saved:
    """A ledger as it is put beside the manifests; `Ledger` says what the numbers are."""

    last: int = 0
    listed: int = 0
    rebuilt: int = 0
    seen: Seen = field(default_factory=Seen)


class Ledger:
    """Everything that manifests list, as of `last`, the number of the newest.

    Attributes
    ----------
    last
        Number of the newest manifest; 0 where there is none.
    listed
        Entries of all manifests, those that are forgotten, too. A version that is processed again is listed again.
    rebuilt
        Number as of which it was rebuilt from the tables, from which a new checkpoint goes on; 0 where it never was.
    forgotten
        What was forgotten on request: it is in no manifest any more, and is not to be taken in again.
    naming
        How the tables, and so this, call keys.
    """

    def __init__(self, store: ObjectStore, storage: Storage) -> None:
        self._store = store
        self._prefix = storage.state_key("seen")
        self.manifests = Manifests(store, storage.state_key("manifests"))
        self.naming = naming_of(store, storage)
        saved = newest_saved(store, storage)
        self.last, self.listed, self.rebuilt, self._seen = saved.last, saved.listed, saved.rebuilt, saved.seen
        self.forgotten = forgotten.read(store, storage)
        self._saved = self.last
        newest = max(self.manifests.numbers(after=self.last), default=self.last)
        numbers = range(self.last + 1, newest + 1)
        with ThreadPoolExecutor(_READS_IN_FLIGHT, "manifests") as pool:
            for number, manifest in zip(numbers, pool.map(self.manifests.load, numbers), strict=True):
                self._take(number, manifest.versions, manifest.entries)

    def __contains__(self, version: Landed) -> bool:
        return self._seen.has(*self.naming.row_id(version.name)) or version in self.forgotten

    def __len__(self) -> int:
        """Distinct object versions."""
        return len(self._seen)

    def check(self, planned: int) -> None:
        """Make sure that it reaches as far as a checkpoint that has planned this manifest.

        Raises
        ------
        StateError
            Where it does not: what is between would be taken in twice.
        """
        if self.last < planned:
            raise StateError(
                f"The ledger {self._prefix}/ is damaged, and of {planned} manifests the last {planned - self.last} "
                f"are gone as well. Restore both from a copy, or {REBUILD}."
            )

    def add(self, number: int, versions: Sequence[Landed]) -> None:
        """Enter a manifest that was just written."""
        self._enter(number, versions, len(versions))

    def take_up(self, number: int) -> None:
        """Enter a manifest that somebody else wrote."""
        manifest = self.manifests.load(number)
        self._enter(number, manifest.versions, manifest.entries)

    def _enter(self, number: int, versions: Sequence[Landed], entries: int) -> None:
        self._take(number, versions, entries)
        if self.last - self._saved >= _MANIFESTS_BETWEEN:
            save(self._store, self._prefix, Saved(self.last, self.listed, self.rebuilt, self._seen))
            self._saved = self.last

    def _take(self, number: int, versions: Sequence[Landed], entries: int) -> None:
        self._seen.add_named(self.naming.row_id(version.name) for version in versions)
        self.listed += entries
        self.last = number


def newest_saved(store: ObjectStore, storage: Storage) -> Saved:
    """The ledger as it was saved last; empty where it never was, or is damaged."""
    prefix = storage.state_key("seen")
    for number in sorted(saved_numbers(store, prefix), reverse=True):
        path = _path(prefix, number)
        body = read_object(store, path)
        if body is None:
            # A newer one has taken its place since the listing.
            return newest_saved(store, storage)
        header, _, seen = body.partition(b"\n")
        try:
            found = json.loads(header)
            if found["contract"] == CONTRACT and found["manifest"] == number:
                return Saved(number, found["listed"], found.get("rebuilt", 0), Seen.from_bytes(seen))
        except (ValueError, KeyError, TypeError):
            pass
        _log.warning("%s is damaged: reading the manifests instead.", path)
    return Saved()


def save(store: ObjectStore, prefix: str, saved: Saved) -> None:
    """Put it beside the manifests, in the place of any other."""
    others = [number for number in saved_numbers(store, prefix) if number != saved.last]
    header = {"contract": CONTRACT, "manifest": saved.last, "listed": saved.listed, "rebuilt": saved.rebuilt}
    path = _path(prefix, saved.last)
    with store_answers(path):
        obstore.put(store, path, json.dumps(header).encode() + b"\n" + saved.seen.to_bytes())
        obstore.delete(store, [_path(prefix, number) for number in others])


def forget(store: ObjectStore, storage: Storage, names: Collection[tuple[str, str]]) -> int:
    """Take versions out of what was saved, which no hash is to tell of any more; tells how many it had.

    Done again it changes nothing. No ledger may be in use. One that is damaged is left: the manifests count then.
    """
    prefix, gone = storage.state_key("seen"), 0
    for number in saved_numbers(store, prefix):
        path = _path(prefix, number)
        header, _, body = (read_object(store, path) or b"").partition(b"\n")
        try:
            seen = Seen.from_bytes(body)
        except (ValueError, KeyError, TypeError):
            continue
        if found := seen.discard_named(names):
            with store_answers(path):
                obstore.put(store, path, header + b"\n" + seen.to_bytes())
        gone = max(gone, found)
    return gone


def last_number(store: ObjectStore, storage: Storage) -> int:
    """The highest number that a manifest has or had, as far as the state knows; 0 where there is none."""
    saved = max(saved_numbers(store, storage.state_key("seen")), default=0)
    return max(Manifests(store, storage.state_key("manifests")).numbers(after=saved), default=saved)


def rebuilt_as_of(store: ObjectStore, storage: Storage) -> int:
    """The number as of which the ledger was rebuilt from the tables, of which only its first line is read; else 0."""
    return _saved_line(store, storage).rebuilt


def listed_up_to(store: ObjectStore, storage: Storage, number: int) -> int:
    """Entries of all manifests up to a number, less the rows that were to leave the tables.

    At the cost of the first lines of those since the ledger was saved.
    """
    saved = _saved_line(store, storage)
    manifests = Manifests(store, storage.state_key("manifests"))
    first, last = sorted((saved.last, number))
    between = [found for found in manifests.numbers(after=first) if found <= last]
    with ThreadPoolExecutor(_READS_IN_FLIGHT, "manifests") as pool:
        entries = sum(pool.map(manifests.count, between))
    return saved.listed + (entries if saved.last < number else -entries) - leaving.read(store, storage).total


def _saved_line(store: ObjectStore, storage: Storage) -> Saved:
    """What the first line of the saved ledger says; as if there were none where it is damaged."""
    prefix = storage.state_key("seen")
    numbers = saved_numbers(store, prefix)
    if not numbers:
        return Saved()
    path = _path(prefix, max(numbers))
    with store_answers(path):
        try:
            start = bytes(obstore.get_range(store, path, start=0, length=_HEADER_BYTES))
        except (NotFoundError, FileNotFoundError):
            # A newer one has taken its place since the listing.
            return _saved_line(store, storage)
    try:
        found = json.loads(start.partition(b"\n")[0])
        return Saved(int(found["manifest"]), int(found["listed"]), int(found.get("rebuilt", 0)))
    except (ValueError, KeyError, TypeError):
        return Saved()


def saved_numbers(store: ObjectStore, prefix: str) -> list[int]:
    """Numbers of the manifests as of which the ledger was saved: one, or two after a crash between write and delete."""
    with store_answers(prefix):
        names = [meta["path"].rsplit("/", 1)[-1] for page in obstore.list(store, f"{prefix}/") for meta in page]
    return [int(name) for name in names if name.isdigit()]


def _path(prefix: str, number: int) -> str:
    return f"{prefix}/{number:0{_DIGITS}d}"
