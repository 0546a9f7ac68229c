"""The Spark source of keys: each manifest is an offset, so a replay is the same list, byte for byte.

Spark calls `latestOffset` in a process of the driver's, `read` in the executors. Spark 4.1 hands `latestOffset` no
limit, so the limit is ours: it moves on by one bounded manifest a trigger, and that is how `--once` drains, too.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from conf.naming import Naming, naming_of
from conf.s3 import control_client, object_store
from conf.settings import Settings
from streaming.admission import Admission, Limits
from streaming.discovery import Arrivals, Discovery, Relisting
from streaming.ledger import Ledger
from streaming.listing import Listing
from streaming.manifests import Listed, Manifests, Named, listed

FORMAT = "fruits_keys"
KEYS = "key STRING, etag STRING, size BIGINT, last_modified TIMESTAMP, manifest BIGINT, row_key STRING"
# With their pauses about as long as GETs are tried again for.
_ATTEMPTS = 10
KEYS_ARROW = pa.schema(
    [
        ("key", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("last_modified", pa.timestamp("us", tz="UTC")),
        ("manifest", pa.int64()),
        ("row_key", pa.string()),
    ]
)


@dataclass
class Keys(InputPartition):
    """One task's share of the manifests."""

    versions: tuple[Named, ...]


class KeySource(DataSource):
    """`spark.readStream.format("fruits_keys")`: object versions to featurize.

    Options
    -------
    settings
        The settings as JSON.
    planned
        Number of the last manifest that the checkpoint has planned a batch for; 0 on a new one.
    partitions
        How many tasks share a micro-batch.
    """

    @classmethod
    def name(cls) -> str:
        return FORMAT

    def schema(self) -> str:
        return KEYS

    def streamReader(self, schema: Any) -> "KeyReader":
        settings = Settings.model_validate_json(self.options["settings"])
        return KeyReader(settings, int(self.options["planned"]), int(self.options["partitions"]))


class KeyReader(DataSourceStreamReader):
    """Discovers on the driver, yields keys in the executors."""

    def __init__(self, settings: Settings, planned: int, partitions: int) -> None:
        self._settings = settings
        self._planned = planned
        self._partitions = partitions
        self._next_look = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Settings alone travel to the executors: clients hold sockets, and the ledger a memory of everything seen."""
        return {name: self.__dict__[name] for name in ("_settings", "_planned", "_partitions")}

    def initialOffset(self) -> dict[str, int]:
        """Where the first batch begins. Spark asks when it plans that batch, and when it runs it again."""
        return {"manifest": self._ledger.rebuilt}

    def latestOffset(self) -> dict[str, int]:
        """Move on to the next manifest: one written before a crash and not planned yet, else one newly discovered."""
        # Of a ledger that was rebuilt, what came before is in no manifest, and the first checkpoint on it begins there.
        self._planned = max(self._planned, self._ledger.rebuilt)
        # Spark asks for more when all that was planned is in the tables; its `commit` comes a batch later, or never.
        self._arrivals.done(self._planned)
        following = self._planned + 1
        limits = self._admission.limits()
        admitted: tuple[Listed, ...] | None = None
        if self._ledger.last >= following:
            admitted = self._ledger.manifests.read(following)
        elif time.monotonic() >= self._next_look:
            admitted = self._discover(following, limits)
        # One of which all is forgotten makes a batch of nothing, like any other that has its number.
        if admitted is not None:
            self._next_look = 0.0
            self._planned = following
        if admitted:
            self._admission.admitted(len(admitted), self._discovery.more)
        return {"manifest": self._planned}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> Sequence[Keys]:
        manifests = Manifests(object_store(self._settings.storage), self._settings.storage.state_key("manifests"))
        numbers = range(start["manifest"] + 1, end["manifest"] + 1)
        listed = (version for number in numbers for version in manifests.read(number))
        versions = tuple(Named.of(version, self._naming.row_key(version.key)) for version in listed)
        # One a core: the start of another task costs more than it would even out.
        shares = min(self._partitions, len(versions))
        return [Keys(versions[share::shares]) for share in range(shares)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, Keys)  # noqa: S101 (narrows for the type checker; Spark hands back what we planned)
        yield pa.RecordBatch.from_pylist([asdict(version) for version in partition.versions], schema=KEYS_ARROW)

    def _discover(self, number: int, limits: Limits) -> tuple[Listed, ...] | None:
        """Write the next manifest if there is anything for it, or take up the one that somebody else wrote."""
        manifests = self._ledger.manifests
        piece = self._discovery.next_piece(limits)
        if piece and (manifests.create(number, piece) or manifests.read(number) == listed(piece, number)):
            self._arrivals.taken(piece, number)
            self._ledger.add(number, listed(piece, number))
            return listed(piece, number)
        if not piece and not manifests.exists(number):
            self._next_look = time.monotonic() + self._settings.stream.trigger_seconds
            return None
        if piece:
            # A new look shows again what ours held.
            self._arrivals.close()
            del self._discovery, self._arrivals
        # For reprocessing, or of a driver that has lost its lease. They count; all at once, none costs another look.
        for other in sorted(manifests.numbers(after=number - 1)):
            self._ledger.take_up(other)
        return manifests.read(number)

    @cached_property
    def _naming(self) -> Naming:
        return naming_of(object_store(self._settings.storage), self._settings.storage)

    @cached_property
    def _ledger(self) -> Ledger:
        ledger = Ledger(object_store(self._settings.storage), self._settings.storage)
        ledger.check(self._planned)
        return ledger

    @cached_property
    def _arrivals(self) -> Arrivals:
        storage, discovery = self._settings.storage, self._settings.discovery
        listing = Listing(control_client(storage, attempts=_ATTEMPTS), storage)
        url = discovery.queue_url
        if url is None:
            return listing
        from streaming.queue import Queue
        from streaming.sqs import queue_client

        queue = Queue(queue_client(storage, url), url, storage, object_store(storage))
        return Relisting(queue, listing, discovery.relist_minutes * 60)

    @cached_property
    def _discovery(self) -> Discovery:
        return Discovery(self._arrivals, self._ledger)

    @cached_property
    def _admission(self) -> Admission:
        stream = self._settings.stream
        if self._settings.discovery.queue_url is not None:
            from streaming.queue import MAX_IN_FLIGHT

            # A look that ends because no more can be held is not taken for one that found everything.
            stream = stream.model_copy(update={"max_files": min(stream.max_files, MAX_IN_FLIGHT)})
        return Admission(stream, self._partitions)
