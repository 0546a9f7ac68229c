"""Forgetting what was asked for, in all that is the refresh's: reduced, the PCA models and the sums of the last refit.

For one who holds neither lease: each step takes the refresh's, and may be done twice. The rows of features are gone by
then. Models that may have seen them go, too: the means of two models and their numbers of rows give away the vector
that makes the difference.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from obstore.store import ObjectStore

from batch import kept
from batch.models import ModelTables
from batch.refresh import LEASE_SECONDS, run
from conf import forgetting
from conf.delta import open_table
from conf.erasing import CONNECTIONS, Eraser
from conf.errors import DataError, SettingsError
from conf.forgetting import Request
from conf.holders import signed
from conf.lease import Lease
from conf.purge import delete_versions, purge
from conf.s3 import control_client
from conf.settings import Pca, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TABLES = ("reduced", "pca_models")
_log = logging.getLogger(__name__)


def carry_out(spark: "Callable[[], SparkSession]", settings: Settings, store: ObjectStore, request: Request) -> None:
    """Carry out one request, as far as it is the refresh's; nothing where that is done.

    Parameters
    ----------
    spark
        Called where a session is needed, which it is not before the first refresh.

    Raises
    ------
    LeaseError
        Where a refresh is at work.
    FruitsError
        Where the store refuses, or a table is damaged. It stays asked for.
    """
    storage = settings.storage
    now = forgetting.read(store, storage, request.id)
    if now is None or now.plan is None or now.tables is None or now.reduced is not None:
        return
    plan = now.plan
    did: dict[str, Any] = {"versions": {}, "models": 0, "pca_version": None}
    models = ModelTables.open(storage)
    if plan.found["features"] and models.reduced is not None and models.models is not None:
        with Lease(storage, LEASE_SECONDS, "refresh") as lease, signed(spark(), lease.hold):
            delete_versions(spark(), storage, "reduced", plan.rows, lease.check)
            kept.discard(store, storage)
        did["pca_version"] = _refit(spark(), settings, models)
        with (
            Lease(storage, LEASE_SECONDS, "refresh") as lease,
            signed(spark(), lease.hold),
            closing(control_client(storage, CONNECTIONS)) as client,
        ):
            eraser = Eraser(client, storage, lease.check)
            lease.check()
            did["models"] = _drop_models(spark(), settings, plan.since, did["pca_version"])
            for table in _TABLES:
                did["versions"][table] = purge(spark(), storage, table, eraser, lease.check)
                eraser.erase_older(storage.table_key(table, ""))
    forgetting.change(store, storage, request.id, reduced=did)


def _refit(spark: "SparkSession", settings: Settings, models: ModelTables) -> int | None:
    """Refit on the rows that are left, in the form of the model that stands; None where these are too few."""
    standing = None if models.published is None else models.find(models.published)
    tries = [settings.pca]
    if standing:
        pca = standing.pca
        form = {"k": pca.k_, "variance": None, "standardize": pca.standardize, "whiten": pca.whiten}
        tries.insert(0, Pca(**settings.pca.model_dump() | form))
    for pca_settings in tries:
        try:
            return run(spark, settings.model_copy(update={"pca": pca_settings}), full=True).pca_version
        except (DataError, SettingsError) as error:
            _log.info("No refit in that form: %s", error)
    return None


def _drop_models(spark: "SparkSession", settings: Settings, since: str | None, fitted: int | None) -> int:
    """Delete models that may have seen a row, and vectors that none stands for any more; tells how many models."""
    storage = settings.storage
    before = _models(settings)
    saw = "true" if since is None else f"fitted_at >= TIMESTAMP '{datetime.fromisoformat(since).isoformat()}'"
    newest = -1 if fitted is None else fitted
    spark.sql(f"DELETE FROM delta.`{storage.table_uri('pca_models')}` WHERE {saw} AND pca_version <> {newest}")  # noqa: S608 (our own words)
    if fitted is None:
        spark.sql(f"DELETE FROM delta.`{storage.table_uri('reduced')}`")  # noqa: S608 (our own words)
    return before - _models(settings)


def _models(settings: Settings) -> int:
    opened = open_table(settings.storage, "pca_models")
    return 0 if opened is None else sum(opened.get_add_actions(flatten=True).column("num_records").to_pylist())
