"""The moments at which a stream may be killed, each told by the request that makes it.

Everything that lasts goes through the store, so these are all the states that a death can leave behind. What runs in
between, in whichever of the stream's processes, leaves nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock

from tests.chaos.faults import Phase, Request

_FIRST_COMMIT = "0" * 20


@dataclass(frozen=True)
class Point:
    """Before a request has reached the store, or after it has and before anybody has heard of that."""

    phase: Phase
    method: str
    key: str
    """Pattern of the end of the key."""

    def is_here(self, request: Request, phase: Phase) -> bool:
        """Whether this is it."""
        return (
            phase == self.phase
            and request.method == self.method
            and re.search(f"/{self.key}$", request.key) is not None
        )


@dataclass(frozen=True)
class Nth:
    """The nth request of all from here on, whatever it is."""

    phase: Phase
    number: int

    def is_here(self, request: Request, phase: Phase) -> bool:
        """Whether this is it."""
        return phase == self.phase and request.number == self.number


def _commit(table: str, phase: Phase) -> Point:
    """Of rows: version 0 makes the table."""
    return Point(phase, "PUT", rf"tables/{table}/_delta_log/(?!{_FIRST_COMMIT})\d+\.json")


_STREAM = {
    "lease taken": Point("after", "PUT", r"state/lease\.json"),
    "one table begun": Point("after", "PUT", "tables/features/_delta_log/_staged_commits/"),
    "one table made": Point("after", "PUT", rf"tables/features/_delta_log/{_FIRST_COMMIT}\.json"),
    "manifest not written": Point("before", "PUT", r"state/manifests/\d+\.jsonl"),
    "manifest written": Point("after", "PUT", r"state/manifests/\d+\.jsonl"),
    "ledger not saved": Point("before", "PUT", r"state/seen/\d+"),
    "ledger saved": Point("after", "PUT", r"state/seen/\d+"),
    "offset not logged": Point("before", "PUT", r"state/checkpoint/offsets/\d+"),
    "offset logged": Point("after", "PUT", r"state/checkpoint/offsets/\d+"),
    "photograph read": Point("after", "GET", r"landing/.*"),
    "features written": Point("after", "PUT", r"tables/features/part-.*\.parquet"),
    "features not committed": _commit("features", "before"),
    "features committed": _commit("features", "after"),
    "rejects not committed": _commit("rejects", "before"),
    "rejects committed": _commit("rejects", "after"),
    "batch not noted": Point("before", "PUT", r"state/checkpoint/commits/\d+"),
    "batch noted": Point("after", "PUT", r"state/checkpoint/commits/\d+"),
}
_CLEANING = {
    "photograph archived": Point("after", "PUT", r"archive/.*"),
    "photograph removed": Point("after", "DELETE", r"landing/.*"),
    "cleaning noted": Point("after", "PUT", r"state/cleaned\.json"),
}
_REFRESH = {
    "PCA's table begun": Point("after", "PUT", "tables/pca_models/_delta_log/_staged_commits/"),
    "PCA model published": _commit("pca_models", "after"),
    "reduced not published": _commit("reduced", "before"),
    "reduced published": _commit("reduced", "after"),
}
POINTS = _STREAM | _CLEANING | _REFRESH
REFRESH_POINTS = _REFRESH | {
    "refresh's lease taken": Point("after", "PUT", r"state/refresh-lease\.json"),
    "features read": Point("after", "GET", r"tables/features/.*\.parquet"),
    "PCA model written": Point("after", "PUT", r"tables/pca_models/part-.*\.parquet"),
    "PCA model not published": _commit("pca_models", "before"),
    "vectors written": Point("after", "PUT", r"tables/reduced/part-.*\.parquet"),
    "sums not left": Point("before", "PUT", r"state/statistics"),
    "sums left": Point("after", "PUT", r"state/statistics"),
}
_REQUEST = r"state/forgetting/[^/]+\.json"
# In this order: of a request, it is each time the first that is written of it.
FORGET_POINTS = {
    "what there is written down": Point("after", "PUT", _REQUEST),
    "hashes kept": Point("after", "PUT", "state/forgotten/versions"),
    "rows counted out": Point("after", "PUT", r"state/left\.json"),
    "sum without them": Point("after", "PUT", r"state/seen/\d+"),
    "list without them": Point("after", "PUT", r"state/manifests/\d+\.jsonl"),
    "photograph erased": Point("after", "DELETE", "landing/.*"),
    "rows deleted": _commit("features", "after"),
    "checkpoint made": Point("after", "PUT", r"tables/rejects/_delta_log/.*\.checkpoint\.parquet"),
    "old log erased": Point("after", "DELETE", r"tables/features/_delta_log/.*\.json"),
    "tables not noted": Point("before", "PUT", _REQUEST),
    "tables done and not counted": Point("after", "PUT", _REQUEST),
    "vectors deleted": _commit("reduced", "after"),
    "refitted": _commit("pca_models", "after"),
    "old vectors erased": Point("after", "DELETE", r"tables/reduced/part-.*\.parquet"),
    "all of it done": Point("after", "PUT", _REQUEST),
    "receipt written": Point("after", "PUT", r"state/forgotten/.*\.json"),
    "request not gone": Point("before", "DELETE", _REQUEST),
    "request gone": Point("after", "DELETE", _REQUEST),
}


def reachable(*, clean: bool, refresh: bool) -> list[Point]:
    """Those that a driver may come to, by whether it cleans the landing zone and whether a refresh follows."""
    return list((_STREAM | (_CLEANING if clean else {}) | (_REFRESH if refresh else {})).values())


class Trap:
    """A hook that does something once, at a point.

    Parameters
    ----------
    lost
        Whether the request, or its answer, is lost with that.
    """

    def __init__(self, point: Point | Nth, spring: Callable[[], None], *, lost: bool) -> None:
        self._point = point
        self._spring = spring
        self._lost = lost
        self._once = Lock()
        self._sprung = Event()

    def __call__(self, request: Request, phase: Phase) -> bool:
        if not self._point.is_here(request, phase):
            return True
        with self._once:
            if self._sprung.is_set():
                return True
            self._spring()
            self._sprung.set()
        return not self._lost

    @property
    def sprung(self) -> bool:
        """Whether it has come to that."""
        return self._sprung.is_set()
