"""Another model: every photograph is featurized anew, and only rows of the model that counts are fitted."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
import pytest

import streaming.model
import streaming.stream
from batch.refresh import run as refresh
from conf.delta import open_table
from conf.errors import ContractError, DataError
from conf.lease import Lease
from conf.s3 import object_store
from conf.settings import Settings
from scripts import sql
from scripts.accounting import account
from scripts.fruit_photos import draw_photos
from scripts.session import override
from streaming.model import identify, load_model
from streaming.stream import run
from tests.integration.commands import reprocess
from tests.integration.features import DAY, MODEL, Rows, draw_vectors, write
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(6, seed=17)}
LATER = {"kiwi/later.jpg": next(iter(draw_photos(1, seed=18))).data}
OLD = identify("efficientnet_lite0", "wheel")
NEW = "another/model/id"


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the settings name another model, which is had without converting one."""

    def load(*args: str) -> streaming.model.Model:
        model = load_model(*args)
        return replace(model, recipe=replace(model.recipe, model_id=NEW))

    def change() -> None:
        monkeypatch.setattr(streaming.stream, "load_model", load)
        monkeypatch.setattr(streaming.model, "identify", lambda *_: NEW)

    return change


def model_of(settings: Settings) -> str:
    opened = open_table(settings.storage, "features")
    assert opened is not None
    return opened.metadata().configuration["fruits.model_id"]


def current(settings: Settings) -> dict[str, str]:
    """Model of the current row, by name below the landing zone."""
    with sql.tables(settings.storage) as asked:
        found = asked.ask("SELECT key, model_id FROM current").read_all().to_pylist()
    return {row["key"].removeprefix(settings.storage.landing): row["model_id"] for row in found}


def test_all_that_is_there_is_featurized_by_the_other_model(
    spark: "SparkSession", settings: Settings, drop_files: Drop, changed: Callable[[], None]
) -> None:
    drop_files(GOOD)
    run(spark, settings, once=True)
    gone, restored, spoilt = sorted(GOOD)[:3]
    # Overwritten, and then what it was again; overwritten by what is no photograph.
    drop_files({restored: LATER["kiwi/later.jpg"], spoilt: b"no photograph"})
    run(spark, settings, once=True)
    drop_files({restored: GOOD[restored]})
    agreed = reprocess(settings, "--model")
    assert (agreed.exit_code, "is of model efficientnet_lite0/" in agreed.output) == (1, True), agreed
    changed()
    with pytest.raises(ContractError, match=rf"{OLD}, the settings name {NEW}.*`fruits reprocess --model`"):
        run(spark, settings, once=True)
    obstore.delete(object_store(settings.storage), settings.storage.landing + gone)
    drop_files(LATER)
    dry = reprocess(settings, "--model", "--dry-run")
    assert "4 photographs would be listed again" in dry.output
    asked = reprocess(settings, "--model")
    assert asked.exit_code == 0
    assert "2 photographs are not in the landing zone any more" in asked.output
    assert "4 photographs are listed again, in manifest 3." in asked.output
    for words in ((), ("--dry-run",)):
        assert "was asked for already" in reprocess(settings, "--model", *words).output
    assert model_of(settings) == OLD

    assert run(spark, settings, once=True).features == 4 + len(LATER)
    assert model_of(settings) == NEW
    assert current(settings) == dict.fromkeys(GOOD | LATER, NEW) | {gone: OLD, spoilt: OLD}
    assert Counter(row["model_id"] for row in rows(settings, "features")) == {OLD: 7, NEW: 5}
    counted = account(settings.storage)
    assert (counted.discovered, counted.under_way, counted.waiting) == (13, 0, 0)
    assert refresh(spark, override(settings, "pca", k=2)).n == 5
    assert {row["key"].removeprefix(settings.storage.landing) for row in rows(settings, "reduced")} == (
        {*GOOD, *LATER} - {gone, spoilt}
    )
    # Once more, there is nothing to change, and the stream starts as ever.
    assert reprocess(settings, "--model").exit_code == 1
    assert run(spark, settings, once=True).objects == 0


def test_what_was_asked_for_binds_the_stream_until_it_is_taken_back(
    spark: "SparkSession", settings: Settings, drop_files: Drop, changed: Callable[[], None]
) -> None:
    drop_files(GOOD)
    run(spark, settings, once=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming.model, "identify", lambda *_: NEW)
        with Lease(settings.storage, 30):
            held = reprocess(settings, "--model")
        assert (held.exit_code, "Another stream works on" in held.output) == (1, True)
        assert reprocess(settings, "--model").exit_code == 0
    with pytest.raises(ContractError, match=f"asked for model {NEW}, but the settings name {OLD}"):
        run(spark, settings, once=True)
    assert len(rows(settings, "features")) == len(GOOD)
    assert f"{NEW} is not asked for any more" in reprocess(settings, "--model").output
    assert run(spark, settings, once=True).features == len(GOOD)
    # The time that an event told is finer than that of a listing.
    table = settings.storage.table_uri("features")
    spark.sql(f"UPDATE delta.`{table}` SET last_modified = last_modified + INTERVAL 900 MILLISECONDS")  # noqa: S608
    # Killed between the table's property and the request, a stream finds the request once more.
    changed()
    assert reprocess(settings, "--model").exit_code == 0
    path = settings.storage.state_key("model.json")
    request = bytes(obstore.get(object_store(settings.storage), path).bytes())
    assert json.loads(request) == {"contract": 1, "model_id": NEW}
    run(spark, settings, once=True)
    obstore.put(object_store(settings.storage), path, request)
    assert run(spark, settings, once=True).objects == 0
    assert current(settings) == dict.fromkeys(GOOD, NEW)


def test_before_the_first_stream_there_is_nothing_to_change(settings: Settings) -> None:
    said = reprocess(settings, "--model")
    assert (said.exit_code, "tables/features yet" in said.output) == (1, True)


def test_only_rows_of_the_model_that_counts_are_fitted(spark: "SparkSession", settings: Settings) -> None:
    vectors = draw_vectors(60, 8, seed=1)
    write(spark, settings, Rows(range(60), vectors))
    alone = refresh(spark, override(settings, "pca", k=3))
    # Two photographs of the other model alone, one whose later row is of it, and vectors of another length at that.
    others = Rows(
        [60, 61, 0], draw_vectors(3, 16, seed=2) * 50, 2, landed=DAY + timedelta(hours=1), model="other/model"
    )
    write(spark, settings, others)
    write(spark, settings, Rows([1], draw_vectors(1, 8, seed=3), 3, "b", DAY + timedelta(hours=2)))
    for solver in ("exact", "mllib"):
        summary = refresh(spark, override(settings, "pca", k=3, solver=solver))
        assert (summary.n, summary.d, summary.model_id) == (59, 8, MODEL)
        assert len(rows(settings, "reduced")) == 59
    assert alone.n == 60


def test_a_table_without_a_row_of_its_model_is_one_message(spark: "SparkSession", settings: Settings) -> None:
    write(spark, settings, Rows(range(9), draw_vectors(9, 8, seed=1), model="other/model"))
    with pytest.raises(DataError, match=f"has no row of model {MODEL} yet, only of others"):
        refresh(spark, settings)
