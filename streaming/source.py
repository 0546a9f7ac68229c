"""The Spark source of keys: each manifest is an offset, so a replay is the same list, byte for byte.

Spark calls `latestOffset` in a process of the driver's, `read` in the executors. Spark 4.1 hands `latestOffset` no
limit, so the limit is ours: it moves on by one bounded manifest a trigger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from conf.s3 import control_client, object_store
from conf.settings import Settings
from streaming.discovery import Discovery, Seen, list_landing
from streaming.manifests import Listed, Manifests

FORMAT = "fruits_keys"
KEYS = "key STRING, etag STRING, size BIGINT, last_modified TIMESTAMP, manifest BIGINT"
KEYS_ARROW = pa.schema(
    [
        ("key", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("last_modified", pa.timestamp("us", tz="UTC")),
        ("manifest", pa.int64()),
    ]
)


@dataclass
class Keys(InputPartition):
    """One task's share of the manifests."""

    versions: tuple[Listed, ...]


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

    def __getstate__(self) -> dict[str, Any]:
        """Settings alone travel to the executors: clients hold sockets, and discovery a memory of everything seen."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_manifests", "_discovery")}

    def initialOffset(self) -> dict[str, int]:
        return {"manifest": 0}

    def latestOffset(self) -> dict[str, int]:
        """Move on to the next manifest: the one already written after the last planned, else one newly discovered."""
        following = self._planned + 1
        if self._manifests.exists(following):
            self._discovery.mark_seen(self._manifests.read(following))
            self._planned = following
        elif piece := self._discovery.next_piece():
            # Somebody else's manifest of this number counts; what ours held beyond it is found by the next listing.
            written = self._manifests.create(following, piece)
            self._discovery.mark_seen(piece if written else self._manifests.read(following))
            self._planned = following
        return {"manifest": self._planned}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> Sequence[Keys]:
        numbers = range(start["manifest"] + 1, end["manifest"] + 1)
        versions = tuple(version for number in numbers for version in self._manifests.read(number))
        shares = min(self._partitions, len(versions))
        return [Keys(versions[share::shares]) for share in range(shares)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, Keys)  # noqa: S101 (narrows for the type checker; Spark hands back what we planned)
        yield pa.RecordBatch.from_pylist([asdict(version) for version in partition.versions], schema=KEYS_ARROW)

    @cached_property
    def _manifests(self) -> Manifests:
        storage = self._settings.storage
        return Manifests(object_store(storage), storage.state_key("manifests"))

    @cached_property
    def _discovery(self) -> Discovery:
        """Built at the first look: reads every manifest once, to know what was seen."""
        numbers = sorted(self._manifests.numbers())
        seen = Seen(version for number in numbers for version in self._manifests.read(number))
        storage, stream = self._settings.storage, self._settings.stream
        client = control_client(storage)
        return Discovery(lambda: list_landing(client, storage), seen, stream.max_files, stream.max_bytes)
