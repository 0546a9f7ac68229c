"""A model that stands: what is new is projected by it, until the rows drift, or until another one is asked for."""

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from delta.tables import DeltaTable

import batch.refresh
import conf.upkeep
from batch import increment
from batch.drift import moved
from batch.models import load
from batch.planning import foresee
from batch.refresh import Action, run
from batch.statistics import Statistics
from conf.delta import open_table
from conf.errors import DataError, SettingsError
from conf.settings import Settings
from scripts.accounting import account
from scripts.session import override
from tests.integration.features import DAY, MODEL, Rows, copy_store, draw_vectors, write
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D = 12
N = 200
FIRST = Rows(range(N), draw_vectors(N, D, seed=1))
ARRIVED = Rows(range(500, 520), draw_vectors(20, D, seed=2), 2, landed=DAY + timedelta(hours=1))
OVERWRITTEN = Rows(range(5), draw_vectors(5, D, seed=3), 3, "b", DAY + timedelta(hours=2))
FAR = Rows(range(700, 740), draw_vectors(40, D, seed=4) + 3, 4, landed=DAY + timedelta(hours=3))


@pytest.fixture(scope="module")
def fitted(spark: "SparkSession", module_settings: Settings) -> Settings:
    write(spark, module_settings, FIRST)
    run(spark, override(module_settings, "pca", k=4))
    return module_settings


@pytest.fixture
def store(fitted: Settings, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of a store with one model of N photographs, to change; however much has changed, only that is read."""
    copy_store(fitted, settings)
    monkeypatch.setattr(increment, "_MOST", 10.0)
    return override(settings, "pca", k=4)


def delete(spark: "SparkSession", settings: Settings, key: str) -> None:
    DeltaTable.forPath(spark, settings.storage.table_uri("features")).delete(f"key = '{key}'")


def version(settings: Settings, table: str) -> int:
    opened = open_table(settings.storage, table)
    assert opened is not None
    return opened.version()


def assert_is_what_the_model_makes(settings: Settings, pca_version: int) -> None:
    """Every row of `reduced`, and no other, is what the model makes of the newest version of a photograph."""
    newest: dict[str, dict[str, object]] = {}
    for row in sorted(rows(settings, "features"), key=lambda row: row["manifest"]):
        newest[row["key"]] = row
    pca = load(settings.storage, pca_version).pca
    found = sorted(rows(settings, "reduced"), key=lambda row: row["key"])
    assert [row["key"] for row in found] == sorted(newest)
    assert {row["pca_version"] for row in found} == {pca_version}
    for name in ("etag", "label", "sha256"):
        assert [row[name] for row in found] == [newest[row["key"]][name] for row in found]
    features = np.array([newest[row["key"]]["features"] for row in found], np.float32)
    np.testing.assert_allclose([row["reduced"] for row in found], pca.transform(features), atol=1e-5)


def test_a_model_that_is_to_stand_does_so_for_a_single_photograph(spark: "SparkSession", store: Settings) -> None:
    write(spark, store, Rows([3], draw_vectors(1, D, seed=1), 2), "overwrite")
    summary = run(spark, store, model_version=1)
    assert (summary.action, summary.rows, summary.drift) == (Action.PROJECTED, 1, None)
    assert_is_what_the_model_makes(store, 1)


def test_many_small_files_of_the_refreshs_own_tables_become_one(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf.upkeep, "MANY_FILES", 4)

    def files(table: str) -> int:
        opened = open_table(store.storage, table)
        assert opened is not None
        return len(opened.file_uris())

    models, vectors = [files("pca_models")], [files("reduced")]
    for number in range(3):
        write(spark, store, Rows([800 + number], draw_vectors(1, D, seed=number), 2 + number))
        assert run(spark, store, if_drift=9.0).action is Action.PROJECTED
        vectors.append(files("reduced"))
    assert vectors == [1, 2, 3, 1]
    assert_is_what_the_model_makes(store, 1)
    # What made the files one is no change to be taken in again.
    assert run(spark, store, if_drift=9.0, if_changed=True) is None

    for pca_version in range(2, 5):
        assert run(spark, store, full=True).pca_version == pca_version
        models.append(files("pca_models"))
    assert models == [1, 2, 3, 1]
    assert [load(store.storage, version).pca_version for version in range(1, 5)] == [1, 2, 3, 4]


def test_what_is_new_is_projected_by_the_model_that_stands(spark: "SparkSession", store: Settings) -> None:
    before, models = version(store, "reduced"), version(store, "pca_models")
    for arrived in (ARRIVED, OVERWRITTEN):
        write(spark, store, arrived)
    delete(spark, store, FIRST.keys()[50])
    summary = run(spark, store, if_drift=0.5)
    assert (summary.action, summary.pca_version, summary.n) == (Action.PROJECTED, 1, N)
    assert (summary.rows, summary.rows_added, summary.rows_removed) == (N + 19, 25, 6)
    assert summary.all_rows is None
    assert version(store, "reduced") == before + 1
    assert version(store, "pca_models") == models
    assert_is_what_the_model_makes(store, 1)
    seen = {row["features_version"] for row in rows(store, "reduced")}
    assert max(seen) == summary.features_version
    now = account(store.storage)
    assert (now.features_since_pca, now.pca_version, now.refreshing) == (0, 1, None)
    # The model stands, and vectors were written after it was fitted.
    assert now.fitted_at is not None
    assert now.published_at is not None
    assert now.fitted_at < now.published_at
    # Nothing has changed since, and there is nothing to write.
    assert run(spark, store, if_drift=0.5, if_changed=True) is None
    assert run(spark, store, if_drift=0.5).rows_added == 0
    assert version(store, "reduced") == before + 1
    assert summary.drift is not None
    assert summary.drift.principal_angles == ()


def test_rows_that_drift_further_than_allowed_are_refitted(spark: "SparkSession", store: Settings) -> None:
    write(spark, store, FAR)
    statistics = Statistics.of(np.concatenate([FIRST.vectors, FAR.vectors]))
    size = moved(statistics, load(store.storage, 1).pca).size
    assert size > 0.1
    stands = run(spark, store, if_drift=size * 1.001)
    assert (stands.action, stands.pca_version, stands.rows) == (Action.PROJECTED, 1, N + 40)
    assert stands.drift is not None
    assert stands.drift.size == pytest.approx(size)
    refit = run(spark, store, if_drift=size * 0.999)
    assert (refit.action, refit.pca_version, refit.n) == (Action.REFIT, 2, N + 40)
    assert refit.drift is not None
    assert refit.drift.size == pytest.approx(size)
    assert_is_what_the_model_makes(store, 2)


def test_a_model_does_not_stand_where_another_is_asked_for(spark: "SparkSession", store: Settings) -> None:
    summary = run(spark, override(store, "pca", whiten=True), if_drift=9.0)
    assert (summary.action, summary.pca_version, summary.compared_to) == (Action.REFIT, 2, 1)


def test_the_first_time_there_is_nothing_to_stand(spark: "SparkSession", settings: Settings) -> None:
    write(spark, settings, FIRST)
    assert run(spark, override(settings, "pca", k=4), if_drift=9.0).action is Action.REFIT


def test_drift_is_not_told_without_running_sums(spark: "SparkSession", store: Settings) -> None:
    with pytest.raises(SettingsError, match=r"pca\.solver = mllib does not keep: leave it at exact"):
        run(spark, override(store, "pca", solver="mllib"), if_drift=0.1)


def test_an_older_model_comes_back(spark: "SparkSession", store: Settings) -> None:
    write(spark, store, FAR)
    run(spark, override(store, "pca", k=6))
    back = run(spark, store, model_version=1)
    assert (back.action, back.pca_version, back.k, back.rows) == (Action.PROJECTED, 1, 4, N + 40)
    assert_is_what_the_model_makes(store, 1)
    # It stands for as long as it is asked for,
    write(spark, store, ARRIVED)
    assert run(spark, store, model_version=1).rows_added == 20
    assert_is_what_the_model_makes(store, 1)
    # and the next refit takes the next number, with the signs of the one that is published.
    refit = run(spark, store)
    assert (refit.pca_version, refit.compared_to) == (3, 1)


@pytest.mark.parametrize("solver", ["exact", "mllib"])
def test_a_model_of_other_features_cannot_come_back(spark: "SparkSession", store: Settings, solver: str) -> None:
    uri = store.storage.table_uri("features")
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('fruits.model_id' = 'another')")
    before = version(store, "reduced")
    with pytest.raises(DataError, match=f"PCA version 1 is of features by {MODEL}, .* by another"):
        run(spark, override(store, "pca", solver=solver), model_version=1)
    with pytest.raises(DataError, match=r"has no PCA version 2: the newest is 1"):
        run(spark, store, model_version=2)
    assert version(store, "reduced") == before


class Killed(Exception):
    """Stands for the end of the driver."""


def test_killed_before_it_left_its_sums_a_projection_is_done_again(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    for arrived in (ARRIVED, OVERWRITTEN):
        write(spark, store, arrived)
    delete(spark, store, FIRST.keys()[50])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(batch.refresh, "_leave", die)
        run(spark, store, if_drift=0.5)
    assert_is_what_the_model_makes(store, 1)
    assert run(spark, store, if_drift=0.5).action is Action.PROJECTED
    assert_is_what_the_model_makes(store, 1)


def test_rows_of_reduced_that_somebody_took_away_come_back(spark: "SparkSession", store: Settings) -> None:
    DeltaTable.forPath(spark, store.storage.table_uri("reduced")).delete("label = 'pear'")
    assert foresee(store, if_drift=0.5).action == "project"
    run(spark, store, if_drift=0.5)
    assert_is_what_the_model_makes(store, 1)


def test_where_all_rows_are_read_now_and_then_no_more_vectors_are_written(
    spark: "SparkSession", store: Settings
) -> None:
    settings = override(store, "pca", full_every=2)
    found = []
    for arrived in (ARRIVED, OVERWRITTEN, FAR):
        write(spark, settings, arrived)
        found.append(run(spark, settings, if_drift=9.0))
        assert_is_what_the_model_makes(store, 1)
    assert [summary.sums_error is None for summary in found] == [True, False, True]
    first = {summary.features_version for summary in found} | {load(store.storage, 1).features_version}
    assert {row["features_version"] for row in rows(settings, "reduced")} == first


def test_a_dry_run_says_what_would_be_done_and_does_nothing(spark: "SparkSession", store: Settings) -> None:
    assert [foresee(store, **asked).action for asked in ({}, {"if_drift": 0.1}, {"model_version": 1})] == [
        "refit",
        "nothing",
        "nothing",
    ]
    full = foresee(store, full=True)
    assert (full.action, full.all_rows, full.bytes_to_fit) == ("refit", "that was asked for", full.features_bytes)
    write(spark, store, ARRIVED)
    before = [version(store, table) for table in ("features", "reduced", "pca_models")]
    refit, maybe, project = foresee(store), foresee(store, if_drift=9.0), foresee(store, model_version=1)
    assert [version(store, table) for table in ("features", "reduced", "pca_models")] == before
    assert [outlook.action for outlook in (refit, maybe, project)] == ["refit", "refit or project", "project"]
    assert refit.bytes_to_fit == maybe.bytes_to_project == project.bytes_to_project
    assert 0 < refit.bytes_to_fit < refit.bytes_to_project == refit.features_bytes
    summary = run(spark, store, if_drift=9.0)
    told = (summary.features_version, summary.all_rows, summary.rows_added, summary.rows_removed)
    for outlook in (refit, maybe, project):
        assert (outlook.features_version, outlook.all_rows, outlook.rows_added, outlook.rows_removed) == told
