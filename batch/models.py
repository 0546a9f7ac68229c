"""Models as rows of pca_models. Each stays loadable for as long as the table does, or until something is forgotten."""

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from batch.arrow import lists_of
from batch.drift import Drift
from batch.pca import PCA
from conf.delta import open_tables, read_columns
from conf.errors import DataError
from conf.settings import Storage
from conf.table_log import TableLog
from conf.tables import column_names

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True)
class Model:
    """A fitted PCA and where it comes from."""

    pca_version: int
    model_id: str
    features_version: int
    solver: str
    fitted_at: datetime
    pca: PCA
    compared_to: int | None = None
    """The version of the model before, if there was one of the same features."""
    drift: Drift | None = None
    """From that one."""
    rows_added: int | None = None
    rows_removed: int | None = None
    """Since the refresh before, where that is known."""
    sums_error: float | None = None
    """Where all rows were read again: how far the running sums were off, by the total."""

    def to_arrow(self) -> pa.Table:
        """One row of pca_models. Through Arrow: a million numbers as Python objects would take seconds."""
        pca, drift = self.pca, self.drift
        row = {
            "pca_version": [self.pca_version],
            "model_id": [self.model_id],
            "features_version": [self.features_version],
            "n": [pca.n_samples_],
            "d": pa.array([len(pca.mean_)], pa.int32()),
            "k": pa.array([pca.k_], pa.int32()),
            "solver": [self.solver],
            "total_variance": [pca.total_variance_],
            "fitted_at": [self.fitted_at],
            "noise_variance": [pca.noise_variance_],
            "whiten": [pca.whiten],
            "compared_to": pa.array([self.compared_to], pa.int64()),
            "mean_shift": pa.array([drift and drift.mean_shift], pa.float64()),
            "variance_change": pa.array([drift and drift.variance_change], pa.float64()),
            "explained_change": pa.array([drift and drift.explained_change], pa.float64()),
            "rows_added": pa.array([self.rows_added], pa.int64()),
            "rows_removed": pa.array([self.rows_removed], pa.int64()),
            "sums_error": pa.array([self.sums_error], pa.float64()),
            "explained_variance": lists_of(pca.explained_variance_[np.newaxis]),
            "explained_variance_ratio": lists_of(pca.explained_variance_ratio_[np.newaxis]),
            "mean": lists_of(pca.mean_[np.newaxis]),
            "components": pa.ListArray.from_arrays([0, pca.k_], lists_of(pca.components_)),
            "scree": lists_of(pca.scree_[np.newaxis]),
            "scale": lists_of(pca.scale_[np.newaxis]),
            "near_degenerate": pa.array([pca.near_degenerate_.tolist()]),
            "principal_angles": pa.array([drift and drift.principal_angles], pa.list_(pa.float64())),
        }
        return pa.table(row).select(column_names("pca_models"))


@dataclass(frozen=True)
class ModelTables:
    """`pca_models`, and `reduced`, which one of its models made, both as of one look; None where they are not yet."""

    storage: Storage
    models: "DeltaTable | None"
    reduced: "DeltaTable | None"

    @classmethod
    def open(cls, storage: Storage) -> Self:
        """As they are now.

        Raises
        ------
        ContractError
            Where one was made under another contract.
        StorageError
            Where the store fails.
        """
        return cls(storage, *open_tables(storage, "pca_models", "reduced"))

    @cached_property
    def published(self) -> int | None:
        """The version of the model that made `reduced`; None before the first refresh."""
        # All rows are of one version.
        return None if self.reduced is None else TableLog(self.reduced, self.storage).largest("pca_version")

    @property
    def features_version(self) -> int | None:
        """The newest version of features that a row of `reduced` was seen in; None before the first refresh."""
        return None if self.reduced is None else TableLog(self.reduced, self.storage).largest("features_version")

    @property
    def state_of_reduced(self) -> str | None:
        """What tells `reduced` from any other that was or will be; None before the first refresh."""
        return None if self.reduced is None else f"{self.reduced.metadata().id} {self.reduced.version()}"

    @property
    def next_version(self) -> int:
        """The number of the next refit: one more than any before, published or not."""
        return max(self._last or 0, self.published or 0) + 1

    def find(self, pca_version: int) -> Model | None:
        """A model that a refit left, published or not; None where there is none of that version.

        Of one from before a column was added, `scree_` has the components kept and no more.

        Raises
        ------
        StorageError
            Where the store fails.
        """
        if self.models is None:
            return None
        there = {field.name for field in self.models.schema().fields}
        columns = [name for name in column_names("pca_models") if name in there]
        found = read_columns(self.models, self.storage, columns, ds.field("pca_version") == pca_version)
        return _of(found) if found.num_rows else None

    def load(self, pca_version: int) -> Model:
        """The same; DataError where there is none of that version, with which there are."""
        if found := self.find(pca_version):
            return found
        raise DataError(
            f"{self.storage.table_uri('pca_models')} has no PCA version {pca_version}: "
            + (f"the newest is {self._last}." if self._last else "it has none yet. Run `fruits refresh` first.")
        )

    @cached_property
    def _last(self) -> int | None:
        return None if self.models is None else TableLog(self.models, self.storage).largest("pca_version")


def published(storage: Storage) -> int | None:
    """`ModelTables.published` of the tables as they are now. Raises as `ModelTables.open`."""
    return ModelTables.open(storage).published


def load(storage: Storage, pca_version: int) -> Model:
    """`ModelTables.load` of the tables as they are now. Raises as that and `ModelTables.open`."""
    return ModelTables.open(storage).load(pca_version)


def _of(found: pa.Table) -> Model:
    """The model in the first row."""
    row = {name: found[name].combine_chunks()[:1] for name in found.column_names}
    scalars = {name: column[0].as_py() for name, column in row.items() if not pa.types.is_list(column.type)}
    vectors: dict[str, NDArray[Any]] = {
        name: np.from_dlpack(column.flatten())
        for name, column in row.items()
        if pa.types.is_list(column.type) and column.type.value_type == pa.float64() and not column.null_count
    }
    d, k = scalars["d"], scalars["k"]
    scale = vectors.get("scale", np.ones(d))
    pca = PCA(k, standardize=bool((scale != 1).any()), whiten=bool(scalars.get("whiten")))
    pca.k_, pca.n_samples_ = k, scalars["n"]
    pca.mean_, pca.scale_ = vectors["mean"], scale
    components: NDArray[Any] = np.from_dlpack(row["components"].flatten().flatten())
    pca.components_ = components.reshape(k, d)
    pca.explained_variance_ = vectors["explained_variance"]
    pca.explained_variance_ratio_ = vectors["explained_variance_ratio"]
    pca.scree_ = vectors.get("scree", pca.explained_variance_ratio_)
    noise = scalars.get("noise_variance")
    pca.noise_variance_ = math.nan if noise is None else noise
    columns = ("pca_version", "model_id", "features_version", "solver", "fitted_at")
    since = ("compared_to", "rows_added", "rows_removed", "sums_error")
    told = {name: scalars[name] for name in columns} | {name: scalars.get(name) for name in since}
    return Model(**told, pca=pca, drift=_drift(scalars, vectors))


def _drift(scalars: dict[str, Any], vectors: dict[str, NDArray[Any]]) -> Drift | None:
    if scalars.get("compared_to") is None:
        return None
    figures = {name: scalars[name] for name in ("mean_shift", "variance_change", "explained_change")}
    return Drift(**figures, principal_angles=tuple(vectors["principal_angles"].tolist()))
