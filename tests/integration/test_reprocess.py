"""Reprocessing: chosen versions go through the stream once more, and every listing is accounted for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from conf.errors import DataError
from conf.s3 import object_store
from conf.settings import Settings
from conf.tables import Reason
from scripts import sql
from scripts.accounting import account
from scripts.fruit_photos import draw_photos
from scripts.session import override
from streaming.reprocess import Chooser, listed_by, matching, rejected, relist
from streaming.stream import run
from tests.integration.commands import reprocess
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Drop = Callable[[dict[str, bytes]], None]
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(4, seed=5)}
LARGE = max(map(len, GOOD.values()))


def again(settings: Settings, choose: Chooser) -> list[int]:
    store = object_store(settings.storage)
    return relist(settings.storage, store, choose(settings.storage, store))


def chosen(settings: Settings, choose: Chooser) -> list[str]:
    landing = settings.storage.landing
    return [v.key.removeprefix(landing) for v in choose(settings.storage, object_store(settings.storage))]


def test_what_was_rejected_by_a_setting_is_featurized_under_another(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | {"x/empty.jpg": b""})
    run(spark, override(settings, "images", max_bytes=LARGE - 1), once=True)
    assert sorted(row["reason"] for row in rows(settings, "rejects")) == ["empty", "too_large"]
    assert len(chosen(settings, rejected())) == 2
    assert again(settings, rejected([Reason.TOO_LARGE])) == [2]
    assert run(spark, settings, once=True).features == 1
    assert sorted(row["key"] for row in rows(settings, "features")) == sorted(
        settings.storage.landing + k for k in GOOD
    )
    # Featurized since, it is chosen no more; and each listing has its row.
    assert chosen(settings, rejected()) == ["x/empty.jpg"]
    counted = account(settings.storage)
    assert (counted.discovered, counted.features, counted.rejects, counted.under_way) == (
        6,
        4,
        {"empty": 1, "too_large": 1},
        0,
    )


def test_chosen_by_path_or_by_manifest_and_current_once(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD)
    run(spark, settings, once=True)
    drop_files({"new/not seen yet.jpg": b"x"})
    assert sorted(chosen(settings, matching(["*"]))) == sorted(GOOD)
    name = sorted(GOOD)[0]
    assert chosen(settings, matching([name, "nothing/*"])) == [name]
    assert sorted(chosen(settings, listed_by(1, 1))) == sorted(GOOD)
    assert again(settings, matching([name])) == [2]
    # Listed twice by now, it is chosen once; and a manifest that there is not is told with those that there are.
    assert sorted(chosen(settings, listed_by(1, 2))) == sorted(GOOD)
    with pytest.raises(DataError, match=r"no manifests 3\.\.4: they are 1 to 2"):
        chosen(settings, listed_by(3, 4))
    summary = run(spark, settings, once=True)
    assert (summary.features, summary.rejects.total()) == (1, 1)
    with sql.tables(settings.storage) as asked:
        found = asked.ask("SELECT manifest FROM current ORDER BY manifest").read_all()["manifest"].to_pylist()
    assert found == [1, 1, 1, 2]
    assert len(rows(settings, "features")) == 5


def test_what_an_event_told_of_does_not_outrank_its_next_row(
    spark: "SparkSession", settings: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD)
    run(spark, settings, once=True)
    # An event's time is finer than that of a listing.
    table = settings.storage.table_uri("features")
    spark.sql(f"UPDATE delta.`{table}` SET last_modified = last_modified + INTERVAL 900 MILLISECONDS")  # noqa: S608
    again(settings, matching(["*"]))
    run(spark, settings, once=True)
    with sql.tables(settings.storage) as asked:
        found = asked.ask("SELECT DISTINCT manifest FROM current").read_all()["manifest"].to_pylist()
    assert found == [2]


def test_what_is_under_way_is_not_listed_again(spark: "SparkSession", settings: Settings, drop_files: Drop) -> None:
    name = min(GOOD)
    drop_files(GOOD)
    run(spark, settings, once=True)
    assert "4 photographs are listed again" in reprocess(settings, "--keys", "*").output
    assert "4 photographs are listed already, and under way" in reprocess(settings, "--keys", "*", "--dry-run").output
    assert "listed again" not in reprocess(settings, "--keys", name).output
    run(spark, settings, once=True)
    assert len(rows(settings, "features")) == 2 * len(GOOD)
    assert "1 photographs are listed again" in reprocess(settings, "--keys", name).output


def test_nothing_fits(settings: Settings, drop_files: Drop) -> None:
    drop_files(GOOD)
    assert chosen(settings, rejected()) == []
    assert chosen(settings, matching(["*"])) == []
    assert again(settings, matching(["*"])) == []
    with pytest.raises(DataError, match=r"no manifests 1\.\.2: there are none so far"):
        chosen(settings, listed_by(1, 2))
