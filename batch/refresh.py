"""The PCA refresh: refit on all rows that count, then publish the model and every reduced vector."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, overload

from batch import exact, kept, mllib
from batch.changes import commit_digest
from batch.drift import Drift, measure
from batch.hints import broken_stick, components_for
from batch.increment import Increment, since
from batch.kept import Kept
from batch.models import Model, load, next_version, published
from batch.pca import PCA
from batch.pinning import Pinned, pin, whole
from batch.publishing import publish
from batch.snapshot import Snapshot
from batch.statistics import Statistics
from conf.errors import ContractError, DataError, StorageError
from conf.lease import Lease
from conf.s3 import check_bucket, object_store
from conf.settings import Settings, Storage
from conf.spark_errors import explained

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from pyspark.sql import SparkSession

_LEASE_SECONDS = 30
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sums:
    """The statistics that a refit is made of, and how they came about."""

    statistics: Statistics
    rows_added: int | None = None
    """Rows that count now and did not at the refit before; None where that is not known."""
    rows_removed: int | None = None
    """Rows that counted then and do not now."""
    error: float | None = None
    """Where all rows were read again: how far the running sums were off, by the total."""
    refits: int = 0
    """How many have added to the sums since all rows were read."""


@dataclass(frozen=True)
class Summary:
    """What a refresh did."""

    pca_version: int
    features_version: int
    model_id: str
    solver: str
    n: int
    d: int
    k: int
    rows_added: int | None
    """Rows that count now and did not at the refit before; None where that is not known."""
    rows_removed: int | None
    """Rows that counted then and do not now."""
    sums_error: float | None
    """Where all rows were read again: how far the running sums were off, by the total."""
    explained_variance_ratio: tuple[float, ...]
    """Of each component kept, largest first."""
    components_for: dict[str, int]
    """The fewest components that explain a share of the variance, by share."""
    broken_stick: int
    """Components that explain more than chance would give them."""
    near_degenerate: int
    """Components that sampling cannot tell from the next."""
    compared_to: int | None
    """The PCA version before, if it is of the same features; signs are as there."""
    drift: Drift | None
    """From that one."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of `pin`, `fit` and `publish`."""


@overload
def run(spark: "SparkSession", settings: Settings, *, full: bool = False) -> Summary: ...


@overload
def run(spark: "SparkSession", settings: Settings, *, if_changed: bool) -> Summary | None: ...


def run(spark: "SparkSession", settings: Settings, *, full: bool = False, if_changed: bool = False) -> Summary | None:
    """Refit and publish.

    Parameters
    ----------
    full
        Read all rows, also where the refit before has left their sums, and those that changed would do.
    if_changed
        Do nothing, and return None, where the rows that count are those of the refit before.

    Raises
    ------
    LeaseError
        Where another refresh works on the store.
    FruitsError
        Where the table is empty, its features are not finite or too few for what was asked, the tables are of another
        contract, or the store fails; `reduced` is then as before.
    """
    storage, seconds = settings.storage, dict[str, float]()
    # Of k and variance, what is set; where neither is, the PCA has its own default.
    pca = PCA(**settings.pca.model_dump(include={"k", "variance", "standardize", "whiten"}, exclude_none=True))
    parallelism = spark.sparkContext.defaultParallelism
    check_bucket(storage)
    store = object_store(storage)
    with explained(), Lease(storage, _LEASE_SECONDS, "refresh") as lease:
        with _timed(seconds, "pin"):
            pca_version = next_version(storage)
            pinned = pin(storage)
            before = _before(storage, pinned.model_id, pca)
            old = before.pca if before else None
            left = None if full or settings.pca.solver != "exact" else _left(store, storage)
            increment = since(store, pinned, left, parallelism) if left else None
            if if_changed and increment and not (increment.came or increment.went) and _is_of(before, left):
                return None
            snapshot = whole(pinned, parallelism, increment.superseded if increment else None)
        with _timed(seconds, "fit"):
            if settings.pca.solver == "exact":
                sums = _sum_up(spark, snapshot, left, increment, settings.pca.full_every)
                pca.fit(sums.statistics, old)
            else:
                sums = Sums(mllib.fit(spark, snapshot, pca, old))
            model = Model(
                pca_version,
                snapshot.model_id,
                snapshot.version,
                settings.pca.solver,
                datetime.now(UTC),
                pca,
                before.pca_version if before else None,
                measure(sums.statistics, pca, old) if old else None,
                sums.rows_added,
                sums.rows_removed,
                sums.error,
            )
        with _timed(seconds, "publish"):
            publish(spark, snapshot, model, lease.check)
            if settings.pca.solver == "exact":
                _leave(store, pinned, snapshot, sums)
    return Summary(
        pca_version,
        snapshot.version,
        snapshot.model_id,
        settings.pca.solver,
        pca.n_samples_,
        len(pca.mean_),
        pca.k_,
        sums.rows_added,
        sums.rows_removed,
        sums.error,
        tuple(pca.explained_variance_ratio_.tolist()),
        {f"{share:.0%}": components_for(pca.scree_, share) for share in _SHARES},
        broken_stick(pca.scree_, pca.n_samples_),
        int(pca.near_degenerate_.sum()),
        model.compared_to,
        model.drift,
        seconds,
    )


def _sum_up(
    spark: "SparkSession", snapshot: Snapshot, left: Kept | None, increment: Increment | None, full_every: int
) -> Sums:
    """Bring the sums of before up to date, or sum up all rows; after so many refits both, to see how they compare."""
    if left is None or increment is None:
        return Sums(exact.gather(spark, snapshot))
    running = exact.update(spark, left.statistics, increment)
    if left.refits + 1 < full_every:
        return Sums(running, increment.rows_added, increment.rows_removed, None, left.refits + 1)
    statistics = exact.gather(spark, snapshot)
    error = exact.difference(running, statistics)
    return Sums(statistics, increment.rows_added, increment.rows_removed, error)


def _left(store: "ObjectStore", storage: Storage) -> Kept | None:
    """What the refit before has left; None where that is nothing, or cannot be understood."""
    try:
        return kept.restore(store, storage)
    except (DataError, ContractError) as error:
        _log.warning("All rows are read, as what the refit before left is of no use: %s", error)
        return None


def _is_of(before: Model | None, left: Kept | None) -> bool:
    """Whether what is published has seen at least the rows that the sums are of."""
    return before is not None and left is not None and before.features_version >= left.features_version


def _leave(store: "ObjectStore", pinned: Pinned, snapshot: Snapshot, sums: Sums) -> None:
    """Leave the sums for the next refit, which can do without them."""
    try:
        commit = commit_digest(store, pinned.storage, pinned.version)
        if commit is not None:
            kept.save(
                store,
                pinned.storage,
                Kept(
                    pinned.table_id,
                    pinned.version,
                    commit,
                    pinned.model_id,
                    snapshot.superseded,
                    sums.statistics,
                    sums.refits,
                ),
            )
    except StorageError as error:
        _log.warning("The next refresh reads all rows, as the sums of this one could not be kept: %s", error)


def _before(storage: Storage, model_id: str, pca: PCA) -> Model | None:
    """The model that `reduced` is of, if its axes can be compared with those of the refit."""
    version = published(storage)
    if version is None:
        return None
    before = load(storage, version)
    return before if (before.model_id, before.pca.standardize) == (model_id, pca.standardize) else None


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
