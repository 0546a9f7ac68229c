"""The two spaces that photographs have a place in, read without Spark: `reduced`, and `features` themselves."""

from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from batch.arrow import mask_of
from batch.currency import COLUMNS, counting
from batch.models import Model, ModelTables
from batch.pinning import pin, whole
from batch.snapshot import Batch, ids, vectors
from conf.delta import dataset, reading
from conf.errors import DataError
from conf.settings import Storage
from conf.table_log import TableLog

SpaceName = Literal["reduced", "features"]
Versions = dict[str, str | int | None]
"""What all vectors of a space have in common, by the names that the tables have for it."""
TOLD = ("key", "etag", "label", "sha256")
"""What is known of a photograph beside its vector."""


class Reduced:
    """Vectors of the newest refresh, as projected by the model that stands.

    Raises
    ------
    DataError
        Where there has been no refresh.
    """

    name: Final = "reduced"

    def __init__(self, storage: Storage) -> None:
        tables = ModelTables.open(storage)
        version = tables.published
        if version is None or tables.reduced is None:
            raise DataError(
                f"{storage.table_uri('reduced')} has no vectors yet. Run `fruits stream`, then `fruits refresh`."
            )
        self._storage = storage
        self._table = tables.reduced
        self._rows = dataset(self._table, storage)
        self.model: Model = tables.load(version)
        self.model_id = self.model.model_id
        self.says = f"{self.model.pca.k_} components of PCA version {version}"
        self.versions: Versions = {
            "model_id": self.model_id,
            "pca_version": version,
            "features_version": tables.features_version,
        }

    @property
    def rows(self) -> int:
        """How many photographs."""
        return TableLog(self._table, self._storage).rows

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where features (d,) of the same network lie in this space."""
        projected: NDArray[np.float32] = self.model.pca.transform(features[np.newaxis])[0]
        return projected

    def find(self, key: str) -> NDArray[np.float32] | None:
        """The vector of a photograph; None where it is not there."""
        return next((rows[0] for _, rows in self._scan(ds.field("key") == key)), None)

    def scan(self) -> Iterator[Batch]:
        """All photographs, and their vectors (m, k). StorageError where the store fails."""
        return self._scan(None)

    def _scan(self, chosen: "ds.Expression | None") -> Iterator[Batch]:
        with reading(self._storage):
            for batch in self._rows.to_batches(columns=[*TOLD, "reduced"], filter=chosen):
                if batch.num_rows:
                    numbers: NDArray[Any] = np.from_dlpack(batch.column("reduced").flatten())
                    yield batch, numbers.reshape(batch.num_rows, -1)


class Features:
    """What the network says of each current photograph, those that came since the newest refresh included."""

    name: Final = "features"

    def __init__(self, storage: Storage) -> None:
        self._pinned = pin(storage)
        self._snapshot = whole(self._pinned, 1)
        self.model_id = self._pinned.model_id
        self.says = f"the features of {self.model_id}"
        self.versions: Versions = {
            "model_id": self.model_id,
            "features_version": self._pinned.version,
        }

    @property
    def rows(self) -> int:
        """How many photographs."""
        counted = TableLog(self._pinned.table, self._pinned.storage).counts("model_id")
        return counted[self.model_id] - len(self._snapshot.superseded)

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """They are in it."""
        return features

    def find(self, key: str) -> NDArray[np.float32] | None:
        """The vector of a photograph; None where it is not there, or its newest version is of another network."""
        batches = [*self._pinned.scan((*COLUMNS, "features"), ds.field("key") == key)]
        if not batches:
            return None  # what the log says of each file's keys rules it out
        found = pa.Table.from_batches(batches)
        counts = counting(found.select(COLUMNS), self.model_id)
        chosen = found.filter(mask_of(np.fromiter((row in counts for row in ids(batches)), np.bool_, found.num_rows)))
        return next((vectors(batch)[0] for batch in chosen.to_batches() if batch.num_rows), None)

    def scan(self) -> Iterator[Batch]:
        """All photographs, and their vectors (m, d). StorageError where the store fails."""
        for part in range(len(self._snapshot.parts)):
            yield from self._snapshot.read(part, TOLD)


Space = Reduced | Features


def space_of(storage: Storage, name: SpaceName) -> Space:
    """Open one. Errors are those of the two."""
    return Reduced(storage) if name == "reduced" else Features(storage)
