"""The ground that a test stands on: a store behind a proxy, what was dropped there, and what must come of it."""

import hashlib
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count, cycle, islice
from pathlib import Path
from threading import Event, Timer
from typing import Any

import numpy as np
import obstore

from conf.lease import Held, read
from conf.s3 import control_client, object_store
from conf.settings import Settings
from conf.tables import Reason
from scripts.accounting import account
from scripts.drop import drop
from scripts.embedded_s3 import ServerInfo, running, serve
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.session import override
from tests.chaos.driver import Answer, Order
from tests.chaos.faults import Faults
from tests.chaos.points import Nth, Point, Trap
from tests.chaos.processes import Driver, Kill, started
from tests.integration.tables import rows
from tests.waiting import wait_until

Version = tuple[str, str]
"""Name below the landing zone, etag."""
FEATURIZED = "featurized"
ABSENT = "absent"

_BAD = {
    "empty.jpg": Reason.EMPTY,
    "text.jpg": Reason.NOT_AN_IMAGE,
    "truncated.jpg": Reason.TRUNCATED,
    "damaged.png": Reason.CORRUPT,
    "phone.heic": Reason.UNSUPPORTED,
    "bomb.png": Reason.TOO_MANY_PIXELS,
}
_SMALL_BYTES = 60_000
_PHOTOGRAPHS = 20
_OUTAGE_SECONDS = 3.0


@dataclass
class Ground:
    """A prefix of a store, and the drivers that work on it.

    Attributes
    ----------
    settings
        Through the proxy, as everything goes.
    """

    settings: Settings
    faults: Faults
    root: Path
    """Of the store's server."""
    folder: Path
    expected: dict[Version, set[str]] = field(default_factory=dict)
    """What may become of each version that was dropped: reasons, `FEATURIZED`, `ABSENT`."""
    dropped: dict[Version, bytes] = field(default_factory=dict)
    patience: float = 240.0
    """Seconds that a run may take, on a machine that has other work."""
    _serial: Iterator[int] = field(default_factory=count)

    def drop(self, photos: int, bad: int = 0) -> None:
        """Drop so many new photographs and bad objects."""
        good = [(name, data, FEATURIZED) for name, data in islice(cycle(_photographs()), photos)]
        both = [*good, *islice(cycle(_bad_objects()), bad)]
        self._put((_numbered(name, next(self._serial)), data, becomes) for name, data, becomes in both)

    def overwrite(self, versions: int = 1) -> None:
        """Put other photographs in the place of some dropped before, which may have been seen or not."""
        for name, etag in list(self.dropped)[-versions:]:
            self.expected[name, etag] |= {ABSENT, Reason.REPLACED}
            self._put([(name, _photographs()[next(self._serial) % _PHOTOGRAPHS][1], FEATURIZED)])

    def order(self, **more: Any) -> Order:
        """What to tell a driver."""
        return Order(self.settings.model_dump(mode="json"), str(self.folder / "spark.log"), **more)

    @contextmanager
    def driver(self, **more: Any) -> Iterator[Driver]:
        """A driver at work."""
        with started(self.order(**more), self.folder) as driver:
            yield driver

    def die(self, point: Point | Nth, how: Kill = "machine", **more: Any) -> Answer | None:
        """A driver that is killed at a point; what it said where its Python part could still speak."""
        answer, killed = self.risk(point, how, **more)
        assert killed, f"it never came to {point}: {answer}"
        return answer

    def risk(self, point: Point | Nth, how: Kill, **more: Any) -> tuple[Answer | None, bool]:
        """A driver that is killed at a point, should it come there; what it said, and whether it was."""
        killed = []
        with self.driver(**more) as driver:
            # What the orphans of a dead driver still do gets through.
            lost = how in ("machine", "jvm")
            self.faults.hook = trap = Trap(point, lambda: killed.append(driver.kill(how)), lost=lost)
            try:
                answer = driver.wait(self.patience)
                # Its end can be seen before whoever killed it has said so.
                wait_until(lambda: bool(killed) or not trap.sprung, self.patience)
                return answer, any(killed)
            finally:
                self.faults.hook = None

    def risk_store(self, point: Point | Nth, **more: Any) -> tuple[Answer, bool]:
        """A driver whose store is killed at a point, and is back seconds later; what it said, and whether it was."""
        server, back = self.server(), Event()

        def end() -> None:
            self.faults.upstream = None
            os.kill(server.pid, signal.SIGKILL)
            Timer(_OUTAGE_SECONDS, come_back).start()

        def come_back() -> None:
            with serve(server.root) as again:
                self.faults.upstream = again.endpoint.removeprefix("http://")
            back.set()

        trap = self.faults.hook = Trap(point, end, lost=True)
        try:
            answer = self.run(**more)
        finally:
            self.faults.hook = None
            assert not trap.sprung or back.wait(self.patience)
        assert (self.server().pid != server.pid) is trap.sprung
        return answer, trap.sprung

    def run(self, **more: Any) -> Answer:
        """A driver from start to end, which nobody kills."""
        with self.driver(**more) as driver:
            answer = driver.wait(self.patience)
        assert answer is not None, "killed by somebody else"
        return answer

    def finish(self, **more: Any) -> Answer:
        """A driver that must reach its end."""
        answer = self.run(**more)
        assert answer.error is None, answer.message
        return answer

    def server(self) -> ServerInfo:
        """The store's own process as it is now."""
        found = running(self.root)
        assert found is not None
        return found

    def lease(self) -> Held | None:
        """The lease as it is now."""
        with closing(control_client(self.settings.storage)) as client:
            return read(client, self.settings.storage)

    def names(self, zone: str) -> list[str]:
        """Keys in the landing zone or the archive."""
        store = object_store(self.settings.storage)
        pages = obstore.list(store, f"{self.settings.storage.prefix}{zone}/")
        return [meta["path"] for page in pages for meta in page]

    def check(self) -> None:
        """Everything that was dropped is in the tables, once, as what it is, and nothing else is there."""
        self.check_no_duplicates()
        found = {table: self._by_version(table) for table in ("features", "rejects")}
        both = found["features"].keys() & found["rejects"].keys()
        assert not both, f"in both tables: {sorted(both)}"
        outcomes = dict.fromkeys(found["features"], FEATURIZED) | {
            version: row["reason"] for version, row in found["rejects"].items()
        }
        strange = outcomes.keys() - self.expected.keys()
        assert not strange, f"never dropped: {sorted(strange)}"
        wrong = {v: outcomes.get(v, ABSENT) for v, may in self.expected.items() if outcomes.get(v, ABSENT) not in may}
        assert not wrong, f"found, expected: { {v: (outcome, self.expected[v]) for v, outcome in wrong.items()} }"
        for version, row in found["features"].items():
            assert row["sha256"] == hashlib.sha256(self.dropped[version]).hexdigest(), f"other bytes: {version}"
            assert np.isfinite(row["features"]).all()
            assert len(row["features"]) == 1280
        # Not by the proxy, which is a thread of this process: delta-rs keeps Python's lock while it reads a history.
        counted = account(override(self.settings, "storage", endpoint=self.server().endpoint).storage)
        assert (counted.waiting, counted.under_way, counted.unlisted) == (0, 0, 0), counted
        assert counted.features == len(found["features"])

    def check_no_duplicates(self) -> None:
        """No version is twice in a table, whether all are there yet or not."""
        for table in ("features", "rejects"):
            counts = Counter((row["key"], row["etag"]) for row in rows(self.settings, table))
            assert not (twice := [version for version, count in counts.items() if count > 1]), (
                f"twice in {table}: {twice}"
            )

    def check_reduced(self) -> None:
        """Every key of features is in reduced, once, with one of its versions, all of one PCA."""
        reduced, features = rows(self.settings, "reduced"), rows(self.settings, "features")
        assert len({row["pca_version"] for row in reduced}) == 1
        assert sorted(row["key"] for row in reduced) == sorted({row["key"] for row in features})
        assert {(row["key"], row["etag"]) for row in reduced} <= {(row["key"], row["etag"]) for row in features}

    def _by_version(self, table: str) -> dict[Version, dict[str, Any]]:
        landing = self.settings.storage.landing
        return {(row["key"].removeprefix(landing), row["etag"]): row for row in rows(self.settings, table)}

    def _put(self, files: Iterable[tuple[str, bytes, str]]) -> None:
        files = list(files)
        for name, data, becomes in files:
            version = name, hashlib.md5(data, usedforsecurity=False).hexdigest()
            self.expected.setdefault(version, set()).add(becomes)
            self.dropped[version] = data
        drop(self.settings.storage, ((name, data) for name, data, _ in files))


def _numbered(name: str, number: int) -> str:
    label, _, file = name.rpartition("/")
    return f"{label}/{number:04d} {file}"


@cache
def _photographs() -> list[tuple[str, bytes]]:
    small = (photo for photo in draw_photos(60, seed=3) if len(photo.data) < _SMALL_BYTES)
    return [(f"{photo.label}/{photo.name}", photo.data) for photo in islice(small, _PHOTOGRAPHS)]


@cache
def _bad_objects() -> list[tuple[str, bytes, str]]:
    return [(f"{bad.label}/{bad.name}", bad.data, _BAD[bad.name]) for bad in draw_bad_objects(seed=1)]
