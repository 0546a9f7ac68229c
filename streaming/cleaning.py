"""Cleaning: what is durably in a table leaves the landing zone, so that listing it stays cheap.

Manifests are cleaned one after the other, in order. One that is too young, or of which anything is in no table yet,
ends the pass. Killed anywhere, a pass is taken up by the next: each step may be done twice.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING

from obstore.store import ObjectStore

from conf.errors import ContractError
from conf.naming import Naming, naming_of
from conf.settings import Discovery, Storage
from streaming import cleaned, forgotten
from streaming.archive import can_archive
from streaming.durable import Durable
from streaming.expiry import expired
from streaming.ledger import rebuilt_as_of
from streaming.listing import is_photograph
from streaming.manifests import Landed, Manifests, Named
from streaming.removal import Remover

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IN_FLIGHT = 16
_DAY_SECONDS = 86_400.0
# A pass may last days. The manifests since its view of the tables are read for each one that it cleans.
_DURABLE_SECONDS = 60.0
_log = logging.getLogger(__name__)


@dataclass
class Pass:
    """What one pass did."""

    manifests: int = 0
    left: int = 0
    """Object versions that left the landing zone."""
    stay: list[str] = field(default_factory=list)
    """Keys, as the tables call them, of those that the archive cannot take."""


class Cleaner:
    """Cleans the landing zone, a pass at a time.

    Parameters
    ----------
    client
        With room for `IN_FLIGHT` connections.
    check
        Called before each manifest's deletions; raises where they must not be made any more.
    clock
        The time now, by which manifests have their age.
    """

    def __init__(
        self,
        storage: Storage,
        discovery: Discovery,
        store: ObjectStore,
        client: "S3Client",
        check: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._storage = storage
        self._archive = discovery.clean == "archive"
        self._retention_seconds = discovery.retention_days * _DAY_SECONDS
        self._store = store
        self._manifests = Manifests(store, storage.state_key("manifests"))
        self._remover = Remover(storage, store, client, archive=self._archive)
        self._check = check
        self._clock = clock
        self._done: int | None = None
        self._next: tuple[int, datetime] | None = None

    def clean(self, ended: Event, rest: float = 0.0) -> Pass:
        """Clean every manifest that is due, until `ended`.

        Parameters
        ----------
        rest
            How long to rest after each manifest, as a multiple of what it took.

        Raises
        ------
        StorageError, ContractError
            Where the store fails, or state or tables are not as they should be. What is cleaned by then stays so.
        LeaseError
            Whatever `check` raises.
        """
        did = Pass()
        durable, made_at = None, 0.0
        try:
            while not ended.is_set() and (number := self._due()) is not None:
                begun = time.monotonic()
                if durable is None or begun - made_at > _DURABLE_SECONDS:
                    durable, made_at = Durable(self._storage), begun
                if not self._clean(number, durable, did, ended):
                    break
                ended.wait(rest * (time.monotonic() - begun))
        finally:
            self._tell(did)
        return did

    @cached_property
    def _naming(self) -> Naming:
        """Asked once there is something to clean: a new store decides on it after this was made."""
        return naming_of(self._store, self._storage)

    def _due(self) -> int | None:
        """The first manifest that is not cleaned yet, where there is one and it is old enough."""
        if self._done is None:
            self._done = cleaned.read(self._store, self._storage)
        if self._next is None:
            number: int | None = self._done + 1
            if not self._manifests.exists(self._done + 1):
                # Of those that the ledger sums up some may have been taken away; nobody knows what they listed.
                number = min(self._manifests.numbers(after=self._done), default=None)
            if number is None:
                return None
            self._next = number, self._manifests.created_at(number)
        number, created_at = self._next
        age = (self._clock() - created_at).total_seconds()
        return number if age >= self._retention_seconds else None

    def _clean(self, number: int, durable: Durable, did: Pass, ended: Event) -> bool:
        """Clean one manifest; tells whether it is done."""
        versions = [Named.of(v, self._naming.row_key(v.key)) for v in self._manifests.read(number)]
        self._refuse_elsewhere(number, versions)
        features, rejects = durable.of(number)
        accounted = [v for v in versions if v.row_id in features or v.row_id in rejects]
        # Of the manifests before a rebuilding of the state, what no table has is listed anew by a later one.
        # And what was refused long ago may have left its table.
        if len(accounted) < len(versions) and number > max(
            rebuilt_as_of(self._store, self._storage), expired(self._store, self._storage)
        ):
            return False
        if self._archive:
            # What was forgotten and dropped again is not to be kept: it stays where whoever erases it looks.
            again = forgotten.read(self._store, self._storage)
            wanted = [v for v in accounted if v not in again]
            chosen = [v for v in wanted if can_archive(self._storage, v)]
            stay = [v.shown for v in wanted if not can_archive(self._storage, v)]
        else:
            # What was refused is kept nowhere else, and people want to look at it.
            chosen, stay = [v for v in accounted if v.row_id in features], []
            # Listed again and not read yet, it is still needed; an archive would have it.
            if not self._manifests.names(after=durable.newest).isdisjoint(v.name for v in chosen):
                return False
        self._check()
        with ThreadPoolExecutor(IN_FLIGHT, "clean") as pool:
            for left in pool.map(lambda version: not ended.is_set() and self._remover.remove(version), chosen):
                did.left += left
        if ended.is_set():
            return False
        cleaned.write(self._store, self._storage, number)
        self._done, self._next = number, None
        did.manifests += 1
        did.stay += stay
        return True

    def _refuse_elsewhere(self, number: int, versions: Sequence[Landed]) -> None:
        landing = self._storage.landing
        for version in versions:
            if not version.key.startswith(landing) or not is_photograph(version.key.removeprefix(landing)):
                raise ContractError(
                    f"Manifest {number} lists {version.shown!a}, which is no photograph in {landing}, so nothing that "
                    "it lists is deleted. Restore it from a copy."
                )

    def _tell(self, did: Pass) -> None:
        if did.left:
            where = f" for {self._storage.archive}" if self._archive else ""
            _log.info("%s photographs left the landing zone%s", did.left, where)
        if did.stay:
            _log.warning(
                "%s objects stay in the landing zone, the first of them %a: they are larger, or their names longer, "
                "than the archive takes.",
                len(did.stay),
                did.stay[0],
            )
