"""What a refresh has to do: found out beforehand, from the tables' logs, their short columns and what was left."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch import kept
from batch.increment import AllRows, Increment, since
from batch.kept import Kept
from batch.models import Model, load, published
from batch.pinning import Pinned, pin
from conf.delta import open_table
from conf.errors import ContractError, DataError
from conf.s3 import check_bucket, object_store
from conf.settings import Settings, Storage
from conf.table_log import TableLog

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What there is to start from."""

    pinned: Pinned
    left: Kept | None
    """By the refit before."""
    changed: Increment | AllRows
    published: Model | None
    """The model that `reduced` is of, where it has the vectors of these features."""
    complete: bool
    """Whether `reduced` has as many rows as counted when `left` was left."""
    wanted: Model | None
    """The model that was asked for by its version."""
    due: bool
    """Whether all rows are to be read beside what has changed, to see how far the running sums are off."""

    @property
    def why_all_rows(self) -> str | None:
        """Why all rows are read; None where to read what has changed is enough."""
        if isinstance(self.changed, AllRows):
            return self.changed.why
        return "from time to time they are, to see how far the running sums are off" if self.due else None

    @property
    def increment(self) -> Increment | None:
        """What has changed, where to read that is enough."""
        return self.changed if isinstance(self.changed, Increment) else None

    def patches(self, model: Model) -> bool:
        """Whether `reduced` needs no more than the rows that have changed to be what `model` makes of all."""
        return self._in_step(model) and not self.due

    @property
    def up_to_date(self) -> bool:
        """Whether the rows that count are those in `reduced`, by the model wanted."""
        standing = self.wanted or self.published
        increment = self.increment
        return standing is not None and self._in_step(standing) and increment is not None and increment.empty

    def _in_step(self, model: Model) -> bool:
        same = self.published is not None and self.published.pca_version == model.pca_version
        return same and self.complete and self.increment is not None


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
    store: "ObjectStore", settings: Settings, parallelism: int, full: bool = False, model_version: int | None = None
) -> Plan:
    """Look at everything, and read no vector.

    Raises
    ------
    DataError
        Where there are no rows, or no model of that version or of these features.
    ContractError
        Where a table was made under another contract.
    StorageError
        Where the store fails.
    """
    storage = settings.storage
    pinned = pin(storage)
    wanted = None if model_version is None else load(storage, model_version)
    if wanted and wanted.model_id != pinned.model_id:
        raise DataError(
            f"PCA version {model_version} is of features by {wanted.model_id}, and those that count are by "
            f"{pinned.model_id}: it cannot project them. Ask for a later version, or run `fruits refresh`."
        )
    version = published(storage)
    before = None if version is None else load(storage, version)
    if before and before.model_id != pinned.model_id:
        before = None
    left, changed = _changed(store, settings, pinned, full, parallelism)
    complete = left is not None and left.statistics.n == _rows_of_reduced(storage)
    due = left is not None and left.refits + 1 >= settings.pca.full_every
    return Plan(pinned, left, changed, before, complete, wanted, due)


def foresee(
    settings: Settings, *, full: bool = False, if_drift: float | None = None, model_version: int | None = None
) -> Outlook:
    """What `batch.refresh.run` would do, given the same. Needs no Spark and no lease; errors are those of `prepare`."""
    check_bucket(settings.storage)
    plan = prepare(object_store(settings.storage), settings, 1, full, model_version)
    pinned, increment = plan.pinned, plan.increment
    standing = plan.wanted or (plan.published if if_drift is not None else None)
    if standing and not full and plan.up_to_date:
        action = "nothing"
    elif plan.wanted:
        action = "project"
    else:
        action = "refit or project" if standing else "refit"
    all_rows = plan.why_all_rows
    fitting = (pinned.bytes if all_rows else 0) + (increment.bytes if increment else 0)
    patched = standing is not None and plan.patches(standing)
    return Outlook(
        action,
        pinned.version,
        plan.published.pca_version if plan.published else None,
        None if action == "nothing" else all_rows,
        increment.rows_added if increment else None,
        increment.rows_removed if increment else None,
        0 if action == "nothing" else fitting,
        0 if action == "nothing" else fitting if patched else pinned.bytes,
        pinned.bytes,
    )


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


def _rows_of_reduced(storage: Storage) -> int | None:
    reduced = open_table(storage, "reduced")
    return None if reduced is None else TableLog(reduced, storage).rows
