"""The ledger: what all manifests together list, without reading them all at each start.

The manifests are the truth. Now and then the set of everything they list is put beside them, as
`state/seen/<number of the last manifest in it>`; a start reads the newest of these and the manifests after it. One that
is missing or damaged costs time, never an object: the manifests are read instead.
"""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import obstore
from obstore.store import ObjectStore

from conf.s3 import store_answers
from conf.settings import Storage
from streaming.manifests import Landed, Manifests
from streaming.seen import Seen

CONTRACT = 1
# A start reads up to this many manifests one by one: a second, as sixteen are under way at a time.
_MANIFESTS_BETWEEN = 500
_READS_IN_FLIGHT = 16
_DIGITS = 12
_log = logging.getLogger(__name__)


class Ledger:
    """Everything that manifests list, as of `last`, the number of the newest.

    Attributes
    ----------
    last
        Number of the newest manifest; 0 where there is none.
    listed
        Entries of all manifests. A version that is processed again is listed again.
    """

    def __init__(self, store: ObjectStore, storage: Storage) -> None:
        self._store = store
        self._prefix = storage.state_key("seen")
        self.manifests = Manifests(store, storage.state_key("manifests"))
        self.last, self.listed, self._seen = self._newest_saved()
        self._saved = self.last
        newest = max(self.manifests.numbers(after=self.last), default=self.last)
        numbers = range(self.last + 1, newest + 1)
        with ThreadPoolExecutor(_READS_IN_FLIGHT, "manifests") as pool:
            for number, versions in zip(numbers, pool.map(self.manifests.read, numbers), strict=True):
                self._take(number, versions)

    def __contains__(self, version: Landed) -> bool:
        return version in self._seen

    def __len__(self) -> int:
        """Distinct object versions."""
        return len(self._seen)

    def add(self, number: int, versions: Sequence[Landed]) -> None:
        """Enter a manifest that was written."""
        self._take(number, versions)
        if self.last - self._saved >= _MANIFESTS_BETWEEN:
            self._save()

    def _take(self, number: int, versions: Sequence[Landed]) -> None:
        self._seen.add(versions)
        self.listed += len(versions)
        self.last = number

    def _save(self) -> None:
        older = saved_numbers(self._store, self._prefix)
        header = json.dumps({"contract": CONTRACT, "manifest": self.last, "listed": self.listed}).encode()
        path = self._path(self.last)
        with store_answers(path):
            obstore.put(self._store, path, header + b"\n" + self._seen.to_bytes())
            obstore.delete(self._store, [self._path(number) for number in older if number != self.last])
        self._saved = self.last

    def _newest_saved(self) -> tuple[int, int, Seen]:
        for number in sorted(saved_numbers(self._store, self._prefix), reverse=True):
            path = self._path(number)
            with store_answers(path):
                header, _, seen = bytes(obstore.get(self._store, path).bytes()).partition(b"\n")
            try:
                found = json.loads(header)
                if found["contract"] == CONTRACT and found["manifest"] == number:
                    return number, found["listed"], Seen.from_bytes(seen)
            except (ValueError, KeyError, TypeError):
                pass
            _log.warning("%s is damaged: reading the manifests instead.", path)
        return 0, 0, Seen()

    def _path(self, number: int) -> str:
        return f"{self._prefix}/{number:0{_DIGITS}d}"


def saved_numbers(store: ObjectStore, prefix: str) -> list[int]:
    """Numbers of the manifests as of which the ledger was saved: one, or two after a crash between write and delete."""
    with store_answers(prefix):
        names = [meta["path"].rsplit("/", 1)[-1] for page in obstore.list(store, f"{prefix}/") for meta in page]
    return [int(name) for name in names if name.isdigit()]
