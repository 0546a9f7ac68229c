"""Forgetting what was asked for, in all that is the refresh's: reduced, the PCA models and the sums of the last refit.

For one who holds neither lease: each step takes the refresh's, and may be done twice. The rows of features are gone by
then. A refit follows, and every model before it goes: the means of two models and their numbers of rows give away the
vector that makes the difference, and which of them had seen a row no table tells once its log is cleaned.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from obstore.store import ObjectStore

from batch import kept
from batch.models import Model, ModelTables
from batch.refresh import LEASE_SECONDS, run
from conf import forgetting
from conf.delta import open_table
from conf.erasing import CONNECTIONS, Eraser
from conf.errors import DataError, SettingsError, TooFewRowsError
from conf.forgetting import Request
from conf.holders import signed
from conf.lease import Lease
from conf.purge import delete_versions, purge
from conf.s3 import control_client
from conf.settings import Pca, Settings, Storage
from conf.tables import MODEL

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
    DataError
        Where PCA cannot be refitted for another reason than too few rows; vectors and models of others stay.
    FruitsError
        Where the store refuses, or a table is damaged. In any case it stays asked for.
    """
    storage = settings.storage
    now = forgetting.read(store, storage, request.id)
    if now is None or now.plan is None or now.tables is None or now.reduced is not None:
        return
    plan = now.plan
    did: dict[str, Any] = {"versions": {}, "models": 0, "pca_version": None}
    models = ModelTables.open(storage)
    seen = plan.found["features"] or plan.found["reduced"]
    if seen and models.reduced is not None and models.models is not None:
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
            did["models"] = _drop_before(spark(), storage, did["pca_version"] or models.next_version, lease.check)
            for table in _TABLES:
                did["versions"][table] = purge(spark(), storage, table, eraser, lease.check)
                eraser.erase_older(storage.table_key(table, ""))
    forgetting.change(store, storage, request.id, reduced=did)


def _refit(spark: "SparkSession", settings: Settings, models: ModelTables) -> int | None:
    """Refit on the rows that are left, in the form of the model that stands; None where these are too few for any.

    With fewer components than that, where the rows span fewer.
    """
    form = settings.pca.model_dump()
    standing = None if models.published is None else models.find(models.published)
    if standing:
        _refuse_amid_change(settings.storage, standing)
        pca = standing.pca
        form |= {"k": pca.k_, "variance": None, "standardize": pca.standardize, "whiten": pca.whiten}
    for tried in (form, form | {"k": None, "variance": None}):
        try:
            return run(spark, settings.model_copy(update={"pca": Pca(**tried)}), full=True).pca_version
        except TooFewRowsError as error:
            _log.info("No refit in that form: %s", error)
        except (DataError, SettingsError) as error:
            raise DataError(f"PCA cannot be refitted without what is forgotten: {error}") from None
    return None


def _refuse_amid_change(storage: Storage, standing: Model) -> None:
    """While photographs are featurized anew by another network, few have a row that counts, and all have vectors."""
    features = open_table(storage, "features")
    counts = features.metadata().configuration.get(MODEL) if features else standing.model_id
    if counts != standing.model_id:
        raise DataError(
            f"{storage.table_uri('reduced')} is of features by {standing.model_id}, and a change to {counts} is under "
            "way: a refit now would leave out all that was not featurized anew yet. Finish the change: `fruits stream` "
            "until nothing is under way, then `fruits refresh`."
        )


def _drop_before(spark: "SparkSession", storage: Storage, version: int, check: Callable[[], None]) -> int:
    """Delete models before this one, and vectors that only they stand for; tells how many models that were."""
    before = _models(storage)
    # Whoever reads meanwhile finds no vector without its model.
    for table in _TABLES:
        check()
        spark.sql(f"DELETE FROM delta.`{storage.table_uri(table)}` WHERE pca_version < {version}")  # noqa: S608 (our own words)
    return before - _models(storage)


def _models(storage: Storage) -> int:
    opened = open_table(storage, "pca_models")
    return 0 if opened is None else sum(opened.get_add_actions(flatten=True).column("num_records").to_pylist())
