"""The PCA refresh: the components are right, and `reduced` is the old one or the new one, never anything else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
import pytest
from numpy.typing import NDArray
from sklearn import decomposition

import batch.planning
import batch.publishing
import batch.refresh
from batch import exact, increment, kept
from batch.models import Model, ModelTables, load
from batch.pinning import pin, whole
from batch.publishing import append_model
from batch.refresh import Summary, run
from batch.snapshot import Snapshot
from batch.statistics import Statistics
from conf.delta import dataset, ensure_table, open_table
from conf.errors import ContractError, DataError, FruitsError, LeaseError, StorageError
from conf.lease import Lease
from conf.s3 import object_store
from conf.settings import Settings, Storage
from conf.tables import columns_of
from scripts.session import override
from tests.integration.features import DAY, MODEL, Rows, copy_store, draw_vectors, write
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D = 24
N = 300
SOLVERS = ["exact", "mllib"]


@dataclass(frozen=True)
class Refreshed:
    """A store of N photographs, some of them overwritten, after one refresh."""

    settings: Settings
    summary: Summary
    current: dict[str, tuple[str, NDArray[np.float32]]]
    """Etag and vector of the newest version, by key."""


@pytest.fixture(scope="module")
def refreshed(spark: "SparkSession", module_settings: Settings) -> Refreshed:
    overwritten = [*range(0, 200, 10), 299]
    arrivals = [
        Rows(range(200), draw_vectors(200, D, seed=1)),
        Rows(range(200, N), draw_vectors(100, D, seed=2), manifest=2, landed=DAY + timedelta(hours=1)),
        # Overwritten with something far away: a fit that saw both versions would show it.
        Rows(overwritten, draw_vectors(21, D, seed=3) * 4, 3, "b", DAY + timedelta(hours=2)),
    ]
    current: dict[str, tuple[str, NDArray[np.float32]]] = {}
    for arrived in arrivals:
        write(spark, module_settings, arrived)
        current |= dict(zip(arrived.keys(), zip(arrived.etags(), arrived.vectors, strict=True), strict=True))
    return Refreshed(module_settings, run(spark, module_settings), current)


@pytest.fixture
def store(refreshed: Refreshed, settings: Settings) -> Settings:
    """A copy of that store, to change."""
    copy_store(refreshed.settings, settings)
    return settings


def vectors_of(found: list[dict[str, Any]], column: str) -> dict[str, NDArray[np.float64]]:
    return {row["key"]: np.array(row[column], dtype=np.float64) for row in found}


def oracle(
    current: dict[str, tuple[str, NDArray[np.float32]]], k: int
) -> tuple[decomposition.PCA, NDArray[np.float64]]:
    """scikit-learn's PCA of the newest versions in float64, and what it reduces them to, by increasing key."""
    matrix = np.stack([current[key][1] for key in sorted(current)]).astype(np.float64)
    pca = decomposition.PCA(k, svd_solver="full")
    reduced = pca.fit_transform(matrix)
    signs = np.array([np.sign(component[np.abs(component).argmax()]) for component in pca.components_])
    pca.components_ *= signs[:, np.newaxis]
    return pca, reduced * signs


def state(settings: Settings) -> tuple[int, list[dict[str, Any]]] | None:
    """Delta version and rows of reduced."""
    opened = open_table(settings.storage, "reduced")
    return None if opened is None else (opened.version(), rows(settings, "reduced"))


def model_versions(settings: Settings) -> list[int]:
    return sorted(row["pca_version"] for row in rows(settings, "pca_models"))


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_answer_is_that_of_scikit_learn(
    spark: "SparkSession", refreshed: Refreshed, store: Settings, solver: str
) -> None:
    summary = run(spark, override(store, "pca", k=10, solver=solver))
    expected, expected_reduced = oracle(refreshed.current, 10)
    (model,) = [row for row in rows(store, "pca_models") if row["pca_version"] == summary.pca_version]
    np.testing.assert_allclose(model["mean"], expected.mean_, rtol=1e-12)
    np.testing.assert_allclose(model["explained_variance"], expected.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(model["explained_variance_ratio"], expected.explained_variance_ratio_, rtol=1e-8)
    np.testing.assert_allclose(model["components"], expected.components_, atol=1e-6)
    reduced = vectors_of(rows(store, "reduced"), "reduced")
    np.testing.assert_allclose([reduced[key] for key in sorted(reduced)], expected_reduced, atol=1e-5)
    assert (model["n"], model["d"], model["k"], model["solver"]) == (N, D, 10, solver)
    assert model["total_variance"] == pytest.approx(expected.explained_variance_.sum() + 14 * expected.noise_variance_)


@pytest.mark.parametrize("solver", SOLVERS)
def test_standardized_it_is_scikit_learns_on_scaled_features(
    spark: "SparkSession", refreshed: Refreshed, store: Settings, solver: str
) -> None:
    summary = run(spark, override(store, "pca", k=6, solver=solver, standardize=True, whiten=True))
    matrix = np.stack([refreshed.current[key][1] for key in sorted(refreshed.current)]).astype(np.float64)
    spread = matrix.std(axis=0, ddof=1)
    expected = decomposition.PCA(6, svd_solver="full", whiten=True)
    expected_reduced = expected.fit_transform((matrix - matrix.mean(axis=0)) / spread)
    model = load(store.storage, summary.pca_version).pca
    np.testing.assert_allclose(model.scale_, spread, rtol=1e-10)
    np.testing.assert_allclose(model.explained_variance_, expected.explained_variance_, rtol=1e-7)
    reduced = vectors_of(rows(store, "reduced"), "reduced")
    found = np.array([reduced[key] for key in sorted(reduced)])
    np.testing.assert_allclose(np.abs(found), np.abs(expected_reduced), atol=1e-4)
    # The features are not as comparable with the model before as their axes are.
    assert (summary.compared_to, summary.drift) == (None, None)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_model_is_loaded_as_it_was_fitted(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch, solver: str
) -> None:
    fitted: list[Model] = []

    def append_and_keep(spark: "SparkSession", storage: Storage, model: Model, check_lease: Callable[[], None]) -> None:
        fitted.append(model)
        append_model(spark, storage, model, check_lease)

    monkeypatch.setattr(batch.refresh, "append_model", append_and_keep)
    run(spark, override(store, "pca", k=5, solver=solver, whiten=True))
    (model,) = fitted
    found = load(store.storage, 2)
    for name, expected in vars(model.pca).items():
        if name not in ("variance", "_projection"):
            np.testing.assert_array_equal(getattr(found.pca, name), expected, name)
    assert replace(found, pca=model.pca, fitted_at=model.fitted_at) == model
    vectors = draw_vectors(7, D, seed=9)
    np.testing.assert_array_equal(found.pca.transform(vectors), model.pca.transform(vectors))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_refit_keeps_signs_and_tells_how_far_it_is_from_the_one_before(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch, solver: str
) -> None:
    first = load(store.storage, 1)
    monkeypatch.setattr(first.pca, "components_", -first.pca.components_)
    with monkeypatch.context() as patch:
        patch.setattr(ModelTables, "find", lambda *_: first)
        again = run(spark, override(store, "pca", k=8, solver=solver))
    assert (np.diag(load(store.storage, 2).pca.components_ @ first.pca.components_[:8].T) > 0.99).all()
    assert again.compared_to == 1
    assert again.drift is not None
    assert again.drift.mean_shift == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(again.drift.principal_angles, 0, atol=1e-5)
    moved = draw_vectors(100, D, seed=11) + 2
    write(spark, store, Rows(range(400, 500), moved, manifest=7, landed=DAY + timedelta(hours=3)))
    third = run(spark, override(store, "pca", k=8, solver=solver))
    assert third.compared_to == 2
    before, after = load(store.storage, 2), load(store.storage, 3)
    assert third.drift is not None
    assert third.drift == after.drift
    shift = np.linalg.norm(after.pca.mean_ - before.pca.mean_) / before.pca.total_variance_**0.5
    assert third.drift.mean_shift == pytest.approx(shift)
    assert shift > 0.01
    cosines = after.pca.components_ @ before.pca.components_.T
    nearest = np.take_along_axis(cosines, np.abs(cosines).argmax(axis=1, keepdims=True), axis=1)
    assert (nearest[np.abs(nearest) > 0.5] > 0).all()
    assert len(nearest[np.abs(nearest) > 0.5]) >= 4


def test_after_a_change_of_features_there_is_nothing_to_compare_with(spark: "SparkSession", store: Settings) -> None:
    uri = store.storage.table_uri("features")
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('fruits.model_id' = 'another')")
    others = draw_vectors(9, 7, seed=12)
    write(spark, store, Rows(range(9), others, 9, "z", DAY + timedelta(days=1), model="another"))
    summary = run(spark, override(store, "pca", k=2))
    assert (summary.n, summary.d, summary.compared_to, summary.drift) == (9, 7, None, None)


def test_a_table_of_models_from_before_a_column_was_added_goes_on(spark: "SparkSession", store: Settings) -> None:
    uri = store.storage.table_uri("pca_models")
    older = [name for name, line in columns_of("pca_models").items() if "NOT NULL" in line]
    kept = spark.read.format("delta").load(uri).select(*older).toArrow()
    for meta in obstore.list(object_store(store.storage), f"{store.storage.prefix}tables/pca_models/").collect():
        obstore.delete(object_store(store.storage), meta["path"])
    columns = ", ".join(columns_of("pca_models")[name] for name in older)
    spark.sql(f"CREATE TABLE delta.`{uri}` ({columns}) USING delta TBLPROPERTIES ('fruits.contract' = '1')")
    spark.createDataFrame(kept, columns).write.format("delta").mode("append").save(uri)
    summary = run(spark, override(store, "pca", k=3))
    assert (summary.pca_version, summary.compared_to) == (2, 1)
    found = {row["pca_version"]: row for row in rows(store, "pca_models")}
    assert set(found[1]) == set(columns_of("pca_models"))
    assert (found[1]["scree"], found[1]["compared_to"]) == (None, None)
    assert len(found[2]["scree"]) == D


def test_a_model_that_is_not_there_is_told(store: Settings) -> None:
    with pytest.raises(DataError, match=r"tables/pca_models has no PCA version 7: the newest is 1\."):
        load(store.storage, 7)


def test_before_the_first_refresh_there_is_no_model(settings: Settings) -> None:
    with pytest.raises(DataError, match=r"has no PCA version 1: it has none yet\. Run `fruits refresh` first\."):
        load(settings.storage, 1)


def test_without_a_wish_the_components_explain_95_percent(refreshed: Refreshed) -> None:
    ratios = np.cumsum(refreshed.summary.explained_variance_ratio)
    assert ratios[-1] >= 0.95 > ratios[-2]
    (model,) = rows(refreshed.settings, "pca_models")
    assert model["k"] == len(ratios) == len(model["components"]) == refreshed.summary.k
    assert (model["model_id"], model["features_version"]) == (MODEL, refreshed.summary.features_version)


def test_reduced_has_each_current_photograph_once(refreshed: Refreshed) -> None:
    found = rows(refreshed.settings, "reduced")
    assert sorted((row["key"], row["etag"]) for row in found) == sorted(
        (key, etag) for key, (etag, _) in refreshed.current.items()
    )
    features = {(row["key"], row["etag"]): row for row in rows(refreshed.settings, "features")}
    for row in found:
        origin = features[row["key"], row["etag"]]
        assert (row["label"], row["sha256"]) == (origin["label"], origin["sha256"])
    assert {row["pca_version"] for row in found} == {1}
    centre = np.mean(list(vectors_of(found, "reduced").values()), axis=0)
    np.testing.assert_allclose(centre, 0, atol=1e-5)


def test_of_versions_within_a_second_the_one_discovered_later_counts(spark: "SparkSession", store: Settings) -> None:
    same_second = DAY + timedelta(hours=2)
    later, earlier = draw_vectors(2, D, seed=5)
    write(spark, store, Rows([0], [later], manifest=9, version="d", landed=same_second))
    write(spark, store, Rows([0], [earlier], manifest=8, version="c", landed=same_second))
    run(spark, store)
    (row,) = [row for row in rows(store, "reduced") if row["key"] == "landing/apple/0000.jpg"]
    assert row["etag"].startswith("d")


def test_a_version_featurized_again_counts_once(spark: "SparkSession", store: Settings) -> None:
    again = draw_vectors(1, D, seed=6)
    write(spark, store, Rows([1], again, manifest=4))
    assert run(spark, store).n == N


def test_a_refresh_replaces_everything_in_one_commit(
    spark: "SparkSession", refreshed: Refreshed, store: Settings
) -> None:
    before = open_table(store.storage, "reduced")
    assert before is not None
    summary = run(spark, override(store, "pca", k=4))
    after = open_table(store.storage, "reduced")
    assert after is not None
    assert after.version() == before.version() + 1
    found = dataset(after, store.storage).to_table()
    assert summary.pca_version == 2
    assert (found.num_rows, set(found["pca_version"].to_pylist())) == (N, {2})
    assert model_versions(store) == [1, 2]
    # Who opened the table before reads on as if nothing had happened.
    old = dataset(before, store.storage).to_table()
    assert (old.num_rows, set(old["pca_version"].to_pylist())) == (N, {1})
    assert {len(vector) for vector in old["reduced"].to_pylist()} == {refreshed.summary.k}


class Killed(Exception):
    """Stands for the end of the driver."""


def test_killed_between_its_commits_a_refresh_leaves_reduced_whole_and_the_next_heals(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    before = state(store)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(batch.publishing, "Projection", die)
        run(spark, store)
    assert model_versions(store) == [1, 2]
    assert state(store) == before
    assert run(spark, store).pca_version == 3
    assert {row["pca_version"] for row in rows(store, "reduced")} == {3}


def test_many_parts_are_merged_by_the_workers_first(spark: "SparkSession", refreshed: Refreshed) -> None:
    snapshot = whole(pin(refreshed.settings.storage), parallelism=1)
    # Files one by one, and a part that has none.
    parts = [*((split,) for part in snapshot.parts for split in part), (), *[()] * 9]
    expected = exact.gather(spark, snapshot)
    found = exact.gather(spark, replace(snapshot, parts=tuple(parts)))
    assert found.n == N
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(found.scatter, expected.scatter, atol=1e-10 * np.trace(expected.scatter))


def overwrite_with(count: int) -> Callable[["SparkSession", Settings], None]:
    return lambda spark, settings: write(spark, settings, Rows(range(count), draw_vectors(count, D, 7)), "overwrite")


def append_not_finite(spark: "SparkSession", settings: Settings) -> None:
    vectors = draw_vectors(3, D, seed=8)
    vectors[1, 5] = np.nan
    write(spark, settings, Rows([900, 901, 902], vectors))


def append_shorter(spark: "SparkSession", settings: Settings) -> None:
    write(spark, settings, Rows([900], draw_vectors(1, 9, seed=8)))


def append_nothing(spark: "SparkSession", settings: Settings) -> None:
    pass


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("spoil", "k", "message"),
    [
        (append_nothing, 25, "25 components .* 300 feature vectors of length 24 and rank 24: ask for at most 24"),
        (overwrite_with(5), 10, "10 components .* 5 feature vectors of length 24 and rank 4: ask for at most 4"),
        (overwrite_with(1), 1, "at least 2 feature vectors, found 1"),
        (append_not_finite, 3, r"features of landing/pear/0901\.jpg hold NaN"),
        (
            append_shorter,
            3,
            "are 9 numbers, of others 24: they are damaged|vectors of 9 and of 24 numbers",
        ),
    ],
    ids=["k over the rank", "fewer rows than k", "one row", "not finite", "mixed lengths"],
)
def test_features_that_cannot_give_the_answer_leave_reduced_as_it_was(
    spark: "SparkSession", store: Settings, solver: str, spoil: Callable[..., None], k: int, message: str
) -> None:
    before, features = state(store), pin(store.storage).version
    spoil(spark, store)
    with pytest.raises(DataError, match=message):
        run(spark, override(store, "pca", k=k, solver=solver))
    assert state(store) == before
    assert model_versions(store) == [1]
    spark.sql(f"RESTORE TABLE delta.`{store.storage.table_uri('features')}` TO VERSION AS OF {features}")
    assert run(spark, override(store, "pca", k=3, solver=solver)).n == N


def test_without_features_there_is_nothing_to_refresh(spark: "SparkSession", settings: Settings) -> None:
    with pytest.raises(DataError, match=r"has no rows to fit a PCA on\. Drop photographs"):
        run(spark, settings)
    ensure_table(spark, settings.storage, "features", {"fruits.model_id": MODEL})
    with pytest.raises(DataError, match=r"has no rows to fit a PCA on\. Drop photographs"):
        run(spark, settings)
    assert state(settings) is None


def test_a_lost_data_file_is_the_store_failing(spark: "SparkSession", store: Settings) -> None:
    before = state(store)
    lost = next(iter(pin(store.storage).files))
    obstore.delete(object_store(store.storage), lost)
    with pytest.raises(StorageError, match=lost):
        run(spark, store)
    assert state(store) == before


@pytest.mark.parametrize("table", ["pca_models", "reduced", "features"])
def test_a_table_of_another_contract_is_refused(spark: "SparkSession", store: Settings, table: str) -> None:
    before = state(store)
    uri = store.storage.table_uri(table)
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('fruits.contract' = '0')")
    with pytest.raises(ContractError, match=f"tables/{table} is of contract 0"):
        run(spark, store)
    if table != "reduced":
        assert state(store) == before


def test_a_missing_bucket_is_told_before_anything(spark: "SparkSession", settings: Settings) -> None:
    with pytest.raises(FruitsError, match="no bucket 'not-there'"):
        run(spark, override(settings, "storage", bucket="not-there"))


def test_of_two_refreshes_at_once_one_is_refused(spark: "SparkSession", store: Settings) -> None:
    before = state(store)
    with (
        Lease(store.storage, 30, "refresh"),
        pytest.raises(LeaseError, match=r"Another refresh works on .* process \d+"),
    ):
        run(spark, store)
    assert state(store) == before
    # A stream is none of its business.
    with Lease(store.storage, 30):
        assert run(spark, store).pca_version == 2


def test_a_refresh_that_was_paused_and_lost_its_lease_commits_nothing(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(store)

    def gather_and_lose_the_lease(spark: "SparkSession", snapshot: Snapshot) -> Statistics:
        obstore.delete(object_store(store.storage), store.storage.state_key("refresh-lease.json"))
        return gather(spark, snapshot)

    gather = exact.gather
    monkeypatch.setattr(exact, "gather", gather_and_lose_the_lease)
    with pytest.raises(LeaseError, match=r"was lost to another refresh, .* Run it again\."):
        run(spark, store, full=True)
    assert (state(store), model_versions(store)) == (before, [1])


@pytest.mark.parametrize(("asked", "step"), [({}, "replace_all"), ({"if_drift": 9.0}, "patch")])
def test_nor_does_one_that_lost_it_later(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch, asked: dict[str, float], step: str
) -> None:
    monkeypatch.setattr(increment, "_MOST", 10.0)
    write(spark, store, ARRIVED[1])
    before, publish = state(store), getattr(batch.refresh, step)

    def lose_the_lease_and_publish(*args: Any) -> None:
        obstore.delete(object_store(store.storage), store.storage.state_key("refresh-lease.json"))
        publish(*args)

    with monkeypatch.context() as patch, pytest.raises(LeaseError, match="was lost to another refresh"):
        patch.setattr(batch.refresh, step, lose_the_lease_and_publish)
        run(spark, store, **asked)
    assert state(store) == before
    assert run(spark, store, **asked).rows == N + 20


ARRIVED = [
    Rows(range(5), draw_vectors(5, D, seed=21) * 3, 8, "e", DAY + timedelta(hours=4)),
    Rows(range(500, 520), draw_vectors(20, D, seed=22), 9, landed=DAY + timedelta(hours=5)),
]


def assert_as_if_all_were_read(spark: "SparkSession", settings: Settings, summary: Summary) -> None:
    found = load(settings.storage, summary.pca_version).pca
    again = run(spark, settings, full=True)
    expected = load(settings.storage, again.pca_version).pca
    assert (again.rows_added, again.n) == (None, summary.n)
    np.testing.assert_allclose(found.mean_, expected.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(found.components_, expected.components_, atol=1e-7)


def test_a_refresh_reads_only_what_has_changed_and_finds_the_same(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(increment, "_MOST", 10.0)
    for arrived in ARRIVED:
        write(spark, store, arrived)
    read: list[int] = []

    def gather_and_count(spark: "SparkSession", snapshot: Snapshot) -> Statistics:
        found = gather(spark, snapshot)
        read.append(found.n)
        return found

    gather = exact.gather
    monkeypatch.setattr(exact, "gather", gather_and_count)
    summary = run(spark, store)
    assert (summary.n, summary.rows_added, summary.rows_removed) == (N + 20, 25, 5)
    assert read == [25, 5]
    assert_as_if_all_were_read(spark, store, summary)
    etags = {row["key"]: row["etag"] for row in rows(store, "reduced")}
    overwritten = dict(zip(ARRIVED[0].keys(), ARRIVED[0].etags(), strict=True))
    assert etags | overwritten == etags


def test_now_and_then_all_rows_are_read_to_see_what_rounding_did(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(increment, "_MOST", 10.0)
    settings = override(store, "pca", full_every=3)
    errors = []
    for arrived in (
        *ARRIVED,
        Rows([600], draw_vectors(1, D, seed=23), 10),
        Rows([601], draw_vectors(1, D, seed=24), 11),
    ):
        write(spark, settings, arrived)
        summary = run(spark, settings)
        errors.append(summary.sums_error)
        assert summary.rows_added == len(arrived.numbers)
    assert [error is None for error in errors] == [True, True, False, True]
    assert errors[2] is not None
    assert errors[2] < 1e-12


@pytest.mark.parametrize("if_drift", [None, 9.0])
def test_and_then_what_was_amiss_is_mended(
    spark: "SparkSession",
    refreshed: Refreshed,
    store: Settings,
    monkeypatch: pytest.MonkeyPatch,
    if_drift: float | None,
) -> None:
    monkeypatch.setattr(increment, "_MOST", 10.0)
    left = kept.restore(object_store(store.storage), store.storage)
    assert left is not None
    assert left.superseded
    # As if those had been thought to count, and were published.
    thought = replace(left, superseded=frozenset(), refits=store.pca.full_every - 2)
    with monkeypatch.context() as patch:
        patch.setattr(batch.planning, "_changed", lambda *_: (thought, increment.Increment((), (), frozenset())))
        run(spark, store)
    assert len(rows(store, "reduced")) == N + len(left.superseded)
    write(spark, store, ARRIVED[1])
    run(spark, store, if_drift=9.0)
    assert len(rows(store, "reduced")) == N + len(left.superseded) + 20
    write(spark, store, Rows([800], draw_vectors(1, D, seed=33), 12))
    summary = run(spark, store, if_drift=if_drift)
    assert summary.rows == len(rows(store, "reduced")) == N + 21
    assert refreshed.current.keys() <= {row["key"] for row in rows(store, "reduced")}
    assert summary.sums_error is not None


def test_where_what_is_left_is_small_all_rows_are_read(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(increment, "_MOST", 10.0)
    write(spark, store, Rows([700], draw_vectors(1, D, seed=31) * 1e6, 8))
    assert run(spark, store).all_rows is None
    write(spark, store, Rows([700], draw_vectors(1, D, seed=32), 9, "f", DAY + timedelta(days=1)))
    summary = run(spark, store)
    assert summary.all_rows == "rows that have gone had nearly all of the variance"
    assert (summary.rows_added, summary.rows_removed) == (1, 1)
    assert_as_if_all_were_read(spark, store, summary)


def test_where_the_models_are_lost_it_begins_anew(
    spark: "SparkSession", store: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, models = object_store(store.storage), store.storage.table_key("pca_models", "")
    obstore.delete(bucket, [meta["path"] for meta in obstore.list(bucket, models).collect()])
    summary = run(spark, store)
    assert (summary.pca_version, summary.compared_to, summary.rows) == (2, None, N)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "batch.planning"]
    assert told.endswith("has no PCA version 1, which made what is published: refitted as if there had been none.")


def test_sums_that_are_damaged_are_told_and_made_anew(
    spark: "SparkSession", store: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    obstore.put(object_store(store.storage), store.storage.state_key("statistics"), b"not what was left")
    summary = run(spark, store)
    assert (summary.n, summary.rows_added) == (N, None)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "batch.planning"]
    assert told.startswith("All rows are read, as what the refit before left is of no use: ")
    caplog.clear()
    assert run(spark, store).rows_added == 0
    assert not caplog.records


def test_a_table_that_was_rolled_back_is_what_counts(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(increment, "_MOST", 10.0)
    uri = store.storage.table_uri("features")
    opened = open_table(store.storage, "features")
    assert opened is not None
    for arrived in ARRIVED:
        write(spark, store, arrived)
    assert run(spark, store).n == N + 20
    spark.sql(f"RESTORE TABLE delta.`{uri}` TO VERSION AS OF {opened.version()}")
    summary = run(spark, store)
    assert (summary.n, summary.rows_added, summary.rows_removed) == (N, 5, 25)
    assert_as_if_all_were_read(spark, store, summary)


def test_where_nothing_has_changed_nothing_is_done(spark: "SparkSession", store: Settings) -> None:
    before = state(store)
    assert run(spark, store, if_changed=True) is None
    spark.sql(f"OPTIMIZE delta.`{store.storage.table_uri('features')}`")
    assert run(spark, store, if_changed=True) is None
    assert (state(store), model_versions(store)) == (before, [1])
    write(spark, store, ARRIVED[1])
    summary = run(spark, store, if_changed=True)
    assert summary is not None
    assert summary.n == N + 20


def test_what_was_fitted_but_not_published_is_done_again(
    spark: "SparkSession", store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    write(spark, store, ARRIVED[1])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(batch.publishing, "Projection", die)
        run(spark, store)
    summary = run(spark, store, if_changed=True)
    assert summary is not None
    assert summary.n == N + 20
