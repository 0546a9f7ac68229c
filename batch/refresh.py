"""The PCA refresh: refit on all rows that count, then publish the model and every reduced vector.

Or, where a model is to stand, publish what it makes of the rows.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, overload

from batch import exact, kept, mllib
from batch.changes import commit_digest
from batch.drift import Drift, measure, moved
from batch.hints import broken_stick, components_for
from batch.kept import Kept
from batch.models import Model, ModelTables
from batch.pinning import Pinned, whole
from batch.planning import Plan, prepare
from batch.publishing import append_model, patch, replace_all
from batch.snapshot import Snapshot
from batch.statistics import Statistics
from conf.delta import ensure_table, read_states_ahead
from conf.errors import LeaseError, StorageError, TooFewRowsError
from conf.holders import signed
from conf.lease import Lease
from conf.regions import check_region
from conf.s3 import check_bucket, object_store
from conf.settings import Settings
from conf.spark_errors import explained
from conf.upkeep import Vacuum, compact, upkeep_properties

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from pyspark.sql import SparkSession

_TABLES = ("pca_models", "reduced")
LEASE_SECONDS = 30
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)
_log = logging.getLogger(__name__)


class Action(StrEnum):
    """What a refresh did."""

    REFIT = "refit"
    """A new model, and the vectors of all rows by it."""
    PROJECTED = "projected"
    """A model that was there stands, and `reduced` has its vectors of all rows."""


@dataclass(frozen=True)
class Sums:
    """The statistics that a refit is made of, and how they came about."""

    statistics: Statistics
    rows_added: int | None = None
    """Rows that count now and did not at the refresh before; None where that is not known."""
    rows_removed: int | None = None
    """Rows that counted then and do not now."""
    error: float | None = None
    """Where all rows were read again: how far the running sums were off, by the total."""
    refits: int = 0
    """How many times the sums were brought up to date since all rows were read."""
    all_rows: str | None = None
    """Why all rows were read after all, where that was not planned."""


@dataclass(frozen=True)
class Summary:
    """What a refresh did."""

    action: Action
    pca_version: int
    """Of `reduced` now."""
    features_version: int
    """That `reduced` is of now."""
    model_id: str
    solver: str
    n: int
    """Rows that the model was fitted on."""
    d: int
    k: int
    rows: int
    """Vectors in `reduced`."""
    all_rows: str | None
    """Why all rows were read; None where those that had changed were enough."""
    rows_added: int | None
    """Rows that count now and did not at the refresh before; None where that is not known."""
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
    """The PCA version before, if it is of the same features, whose signs were kept; None where nothing was refitted."""
    drift: Drift | None
    """From that one; where nothing was refitted, of the rows from the model that stands."""
    drift_size: float | None
    """What `if_drift` is held to: the largest of the drift's first three figures."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of `pin`, `fit`, `publish` and `upkeep`."""


CAN_WAIT = (TooFewRowsError, LeaseError)
"""What is no failure of a refresh on a schedule: photographs are yet to come, or another is at work, or was faster."""


@overload
def run(
    spark: "SparkSession",
    settings: Settings,
    *,
    full: bool = False,
    if_drift: float | None = None,
    model_version: int | None = None,
    on_stage: Callable[[str], None] = ...,
) -> Summary: ...


@overload
def run(
    spark: "SparkSession",
    settings: Settings,
    *,
    full: bool = False,
    if_drift: float | None = None,
    model_version: int | None = None,
    if_changed: bool,
    on_stage: Callable[[str], None] = ...,
) -> Summary | None: ...


def run(
    spark: "SparkSession",
    settings: Settings,
    *,
    full: bool = False,
    if_drift: float | None = None,
    model_version: int | None = None,
    if_changed: bool = False,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Summary | None:
    """Refit and publish.

    Parameters
    ----------
    full
        Read all rows, also where the refit before has left their sums, and those that changed would do.
    if_drift
        Refit only where the rows have drifted further than this from the model published, by `Drift.size`, or another
        k, variance or scaling is asked for. Else that model stands, and what has changed is projected by it.
    model_version
        Refit nothing: have this PCA version stand, published or not, and project all rows by it.
    if_changed
        Do nothing, and return None, where the rows that count are those of the refit before.
    on_stage
        Called as each of the stages that `Summary.seconds` names begins.

    Raises
    ------
    LeaseError
        Where another refresh works on the store.
    FruitsError
        Where the table is empty, its features are not finite or too few for what was asked, the tables are of another
        contract, the model asked for is not there or of other features, or the store fails; `reduced` is then as
        before.
    """
    storage, stages = settings.storage, _Stages(on_stage)
    parallelism = spark.sparkContext.defaultParallelism
    check_region(settings)
    check_bucket(storage)
    store = object_store(storage)
    vacuum = Vacuum(spark, settings, store, _TABLES, "refresh-vacuumed.json")
    with explained(), Lease(storage, LEASE_SECONDS, "refresh") as lease, signed(spark, lease.hold):
        with stages.timed("pin"):
            plan = prepare(store, settings, parallelism, full, if_drift, model_version)
            if if_changed and plan.up_to_date:
                _look_after(vacuum)
                return None
            increment = plan.increment
            snapshot = whole(plan.pinned, parallelism, increment.superseded if increment and not plan.due else None)
        with stages.timed("fit"):
            model, sums = _fit(spark, settings, plan, snapshot)
            stands = model.pca_version != plan.tables.next_version
            drift = model.drift
            if stands:
                # Of a single row there is no variance to tell it by.
                drift = moved(sums.statistics, model.pca) if sums.statistics.n > 1 else None
        with stages.timed("publish"):
            # Both: what is wrong with `reduced` is better told before there is a model too many.
            for table in _TABLES:
                ensure_table(spark, storage, table, upkeep=upkeep_properties(settings.tables, by_themselves=False))
            # To replace rows Spark has to know which files there are. No sooner: it would take the fit's processors.
            read_states_ahead(spark, storage, "reduced")
            grown = []
            if not stands:
                append_model(spark, storage, model, lease.check)
                grown.append("pca_models")
            # Where all were looked at again and others count than was thought, `reduced` is amiss, too.
            if increment and plan.patches(model) and snapshot.superseded == increment.superseded:
                patch(spark, snapshot, increment, model, lease.check)
                grown.append("reduced")
            else:
                replace_all(spark, snapshot, model, lease.check)
            with _can_wait("Small files of the tables stay for now"):
                compact(spark, storage, grown, lease.check)
            if plan.keeps_sums:
                lease.check()
                _leave(store, plan.pinned, snapshot, sums)
        with stages.timed("upkeep"):
            _look_after(vacuum)
    pca = model.pca
    explained_by = [share for share in _SHARES if share <= pca.scree_.sum() + 1e-9]
    return Summary(
        action=Action.PROJECTED if stands else Action.REFIT,
        pca_version=model.pca_version,
        features_version=snapshot.version,
        model_id=model.model_id,
        solver=model.solver,
        n=pca.n_samples_,
        d=len(pca.mean_),
        k=pca.k_,
        rows=sums.statistics.n,
        all_rows=plan.why_all_rows or sums.all_rows,
        rows_added=sums.rows_added,
        rows_removed=sums.rows_removed,
        sums_error=sums.error,
        explained_variance_ratio=tuple(pca.explained_variance_ratio_.tolist()),
        components_for={f"{share:.0%}": components_for(pca.scree_, share) for share in explained_by},
        broken_stick=broken_stick(pca.scree_, pca.n_samples_),
        near_degenerate=int(pca.near_degenerate_.sum()),
        compared_to=None if stands else model.compared_to,
        drift=drift,
        drift_size=drift.size if drift else None,
        seconds=stages.seconds,
    )


def _fit(spark: "SparkSession", settings: Settings, plan: Plan, snapshot: Snapshot) -> tuple[Model, Sums]:
    """A new model, or the one that is to stand; and the statistics of all rows that count."""
    pca, before = plan.asked, plan.before
    old = before.pca if before else None
    if settings.pca.solver == "exact" or plan.wanted:
        sums = _sum_up(spark, snapshot, plan)
        if standing := plan.standing(sums.statistics):
            return standing, sums
        pca.fit(sums.statistics, old)
    else:
        sums = Sums(mllib.fit(spark, snapshot, pca, old))
    model = Model(
        pca_version=plan.tables.next_version,
        model_id=snapshot.model_id,
        features_version=snapshot.version,
        solver=settings.pca.solver,
        fitted_at=datetime.now(UTC),
        pca=pca,
        compared_to=before.pca_version if before else None,
        drift=measure(sums.statistics, pca, old) if old else None,
        rows_added=sums.rows_added,
        rows_removed=sums.rows_removed,
        sums_error=sums.error,
    )
    return model, sums


def _sum_up(spark: "SparkSession", snapshot: Snapshot, plan: Plan) -> Sums:
    """Bring the sums of before up to date, or sum up all rows; where that is due both, to see how they compare."""
    left, increment = plan.left, plan.increment
    if left is None or increment is None:
        return Sums(exact.gather(spark, snapshot))
    running = exact.update(spark, left.statistics, increment)
    worn = exact.is_worn(running, left.statistics)
    if not (plan.due or worn):
        refits = left.refits + (not increment.empty)
        return Sums(running, increment.rows_added, increment.rows_removed, None, refits)
    statistics = exact.gather(spark, snapshot)
    error = exact.difference(running, statistics)
    why = "rows that have gone had nearly all of the variance" if worn else None
    return Sums(statistics, increment.rows_added, increment.rows_removed, error, all_rows=why)


def _leave(store: "ObjectStore", pinned: Pinned, snapshot: Snapshot, sums: Sums) -> None:
    """Leave the sums for the next refit, which can do without them."""
    try:
        commit = commit_digest(store, pinned.storage, pinned.version)
        reduced = ModelTables.open(pinned.storage).state_of_reduced
        if commit is not None and reduced is not None and sums.statistics.n:
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
                    reduced,
                ),
            )
    except StorageError as error:
        _log.warning("The next refresh has more to read, as the sums of this one could not be kept: %s", error)


def _look_after(vacuum: Vacuum) -> None:
    """Delete what only old versions of the tables need, if that is due."""
    with _can_wait("Old files of the tables are not deleted for now"):
        if vacuum.seconds_until_due() <= 0:
            vacuum.run()


@contextmanager
def _can_wait(what: str) -> Iterator[None]:
    """Whatever goes wrong within is told, and no reason to fail: the next refresh does it."""
    try:
        yield
    except Exception as error:
        _log.warning("%s: %s", what, error)


class _Stages:
    """How long each stage takes, told as it begins."""

    def __init__(self, on_stage: Callable[[str], None]) -> None:
        self._on_stage = on_stage
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        self._on_stage(stage)
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
        _log.debug("%s took %.1f s.", stage, self.seconds[stage])
