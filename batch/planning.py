"""What a refresh has to do: found out beforehand, from the tables' logs, their short columns and what was left."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch import kept
from batch.drift import moved
from batch.hints import components_for
from batch.increment import AllRows, Increment, since
from batch.kept import Kept
from batch.models import Model, ModelTables
from batch.pca import PCA
from batch.pinning import Pinned, pin
from batch.statistics import Statistics
from conf.errors import ContractError, DataError, SettingsError
from conf.s3 import check_bucket, object_store
from conf.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What there is to start from, and what is asked for."""

    pinned: Pinned
    tables: ModelTables
    left: Kept | None
    """By the refresh before."""
    changed: Increment | AllRows
    published: Model | None
    """The model that `reduced` is of, where it has vectors of these features."""
    complete: bool
    """Whether `reduced` is as it was when `left` was left."""
    due: bool
    """Whether all rows are to be read beside what has changed, to see how far the running sums are off."""
    asked: PCA
    """Not fitted."""
    keeps_sums: bool
    """Whether this solver does, for the next refresh."""
    if_drift: float | None
    wanted: Model | None
    """The model that is asked for by its version."""

    @property
    def increment(self) -> Increment | None:
        """What has changed, where to read that is enough."""
        return self.changed if isinstance(self.changed, Increment) else None

    @property
    def why_all_rows(self) -> str | None:
        """Why all rows are read; None where to read what has changed is enough."""
        if isinstance(self.changed, AllRows):
            return self.changed.why
        return "from time to time they are, to see how far the running sums are off" if self.due else None

    @property
    def before(self) -> Model | None:
        """The model published, where its axes can be compared with those of a refit."""
        comparable = self.published and self.published.pca.standardize == self.asked.standardize
        return self.published if comparable else None

    def standing(self, statistics: Statistics | None = None) -> Model | None:
        """The model that is to stand, None where it takes a refit.

        Parameters
        ----------
        statistics
            Of the rows that count; where they are not known, as if they had not drifted.
        """
        if self.wanted:
            return self.wanted
        before = self.before
        if before is None or self.if_drift is None or not _is_as(before.pca, self.asked):
            return None
        stands = statistics is None or moved(statistics, before.pca).size <= self.if_drift
        return before if stands else None

    def patches(self, model: Model) -> bool:
        """Whether `reduced` needs no more than the rows that have changed to be what `model` makes of all."""
        same = self.published is not None and self.published.pca_version == model.pca_version
        return same and self.complete and self.increment is not None

    @property
    def up_to_date(self) -> bool:
        """Whether the rows that count are those in `reduced`, by the model that is asked for, if one is."""
        standing = self.wanted or self.published
        if standing is None or self.published is None or standing.pca_version != self.published.pca_version:
            return False
        if increment := self.increment:
            return self.patches(standing) and increment.empty
        # Without sums there is no more to go by than the number, which says little where they are kept and do not fit.
        return not self.keeps_sums and self.tables.features_version == self.pinned.version


@dataclass(frozen=True)
class Outlook:
    """What a refresh would do, and at what cost."""

    action: str
    """`nothing`, `refit`, `project`, or `refit or project`, where only reading the rows can tell which."""
    features_version: int
    published: int | None
    """PCA version of `reduced` now."""
    all_rows: str | None
    """Why all rows would be read; None where those that have changed are enough."""
    rows_added: int | None
    """Rows that count now and did not at the refit before; None where that is not known."""
    rows_removed: int | None
    """Rows that counted then and do not now."""
    bytes_to_fit: int
    """Of the data files that the fit would read."""
    bytes_to_project: int
    """Of those that have the rows whose vectors would be written."""
    features_bytes: int
    """Of all data files."""


def prepare(
    store: "ObjectStore",
    settings: Settings,
    parallelism: int,
    full: bool = False,
    if_drift: float | None = None,
    model_version: int | None = None,
) -> Plan:
    """Look at everything, and read no vector.

    Raises
    ------
    SettingsError
        Where drift is asked for, and the solver keeps no sums to tell it by.
    DataError
        Where there are no rows, or no model of that version or of these features.
    ContractError
        Where a table was made under another contract.
    StorageError
        Where the store fails.
    """
    storage, solver = settings.storage, settings.pca.solver
    if if_drift is not None and solver != "exact":
        raise SettingsError(
            f"Drift is told by running sums, which pca.solver = {solver} does not keep: leave it at exact."
        )
    with ThreadPoolExecutor(1, "open") as pool:
        opening = pool.submit(ModelTables.open, storage)
        pinned = pin(storage)
        # Also where it is not needed: a table of another contract is better told now than behind a long fit.
        tables = opening.result()
    wanted = None if model_version is None else tables.load(model_version)
    if wanted and wanted.model_id != pinned.model_id:
        raise DataError(
            f"PCA version {model_version} is of features by {wanted.model_id}, and those that count are by "
            f"{pinned.model_id}: it cannot project them. Ask for a later version, or run `fruits refresh`."
        )
    before = None if tables.published is None else tables.find(tables.published)
    if before is None and tables.published is not None:
        _log.warning(
            "%s has no PCA version %s, which made what is published: refitted as if there had been none.",
            storage.table_uri("pca_models"),
            tables.published,
        )
    left, changed = _changed(store, settings, pinned, full, parallelism)
    return Plan(
        pinned=pinned,
        tables=tables,
        left=left,
        changed=changed,
        published=before if before and before.model_id == pinned.model_id else None,
        complete=left is not None and left.reduced == tables.state_of_reduced,
        due=left is not None and left.refits + 1 >= settings.pca.full_every,
        # Of k and variance, what is set; where neither is, the PCA has its own default.
        asked=PCA(**settings.pca.model_dump(include={"k", "variance", "standardize", "whiten"}, exclude_none=True)),
        keeps_sums=solver == "exact",
        if_drift=if_drift,
        wanted=wanted,
    )


def foresee(
    settings: Settings, *, full: bool = False, if_drift: float | None = None, model_version: int | None = None
) -> Outlook:
    """What `batch.refresh.run` would do, given the same. Needs no Spark and no lease; errors are those of `prepare`."""
    check_bucket(settings.storage)
    plan = prepare(object_store(settings.storage), settings, 1, full, if_drift, model_version)
    pinned, increment = plan.pinned, plan.increment
    # Where nothing has changed, the sums are those that were left; else only reading the rows can tell.
    known = plan.left.statistics if plan.left and increment and increment.empty and not plan.due else None
    standing = plan.standing(known)
    if standing and known and plan.patches(standing):
        action = "nothing"
    elif standing is None:
        action = "refit"
    else:
        action = "project" if known or plan.wanted else "refit or project"
    to_fit = (pinned.bytes if plan.why_all_rows else 0) + (increment.bytes if increment else 0)
    to_project = increment.bytes_came if standing and increment and plan.patches(standing) else pinned.bytes
    return Outlook(
        action=action,
        features_version=pinned.version,
        published=plan.tables.published,
        all_rows=plan.why_all_rows,
        rows_added=increment.rows_added if increment else None,
        rows_removed=increment.rows_removed if increment else None,
        bytes_to_fit=to_fit,
        bytes_to_project=to_project,
        features_bytes=pinned.bytes,
    )


def _is_as(fitted: PCA, asked: PCA) -> bool:
    """Whether a model has the components and the scaling that are asked for."""
    k = asked.k or components_for(fitted.scree_, asked.variance or 1.0)
    return (fitted.k_, fitted.standardize, fitted.whiten) == (k, asked.standardize, asked.whiten)


def _changed(
    store: "ObjectStore", settings: Settings, pinned: Pinned, full: bool, parallelism: int
) -> tuple[Kept | None, Increment | AllRows]:
    if full:
        return None, AllRows("that was asked for")
    if settings.pca.solver != "exact":
        return None, AllRows(f"pca.solver is {settings.pca.solver}")
    try:
        left = kept.restore(store, settings.storage)
    except (DataError, ContractError) as error:
        _log.warning("All rows are read, as what the refit before left is of no use: %s", error)
        return None, AllRows("what the last refit left is of no use")
    if left is None:
        return None, AllRows("no refit has left anything to add to")
    return left, since(store, pinned, left, parallelism)
