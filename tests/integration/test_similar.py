"""`fruits similar`: by a key or by a file, in either space, the photographs that a look at all distances finds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
import pytest
from click.testing import CliRunner, Result

from batch.refresh import run as refresh
from conf.s3 import object_store
from conf.settings import Settings
from scripts.drop import drop
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.fruits import fruits
from scripts.session import override
from streaming.stream import run as stream
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PHOTOS = list(draw_photos(24, seed=11))
LATER, AGAIN = draw_photos(2, seed=12)
Ask = Callable[..., Result]


def key(number: int) -> str:
    return f"{PHOTOS[number].label}/{PHOTOS[number].name}"


@pytest.fixture(scope="module")
def store(spark: "SparkSession", module_settings: Settings) -> Settings:
    """Of some photographs, one of them overwritten since the refresh, and one that came since."""
    storage = module_settings.storage
    drop(storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in PHOTOS))
    stream(spark, module_settings, once=True)
    refresh(spark, override(module_settings, "pca", k=6))
    drop(storage, [("later/1.jpg", LATER.data), (key(0), AGAIN.data)])
    stream(spark, module_settings, once=True)
    return module_settings


@pytest.fixture
def ask(store: Settings) -> Ask:
    given = [f"--set=storage.{name}={getattr(store.storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return lambda *words: CliRunner().invoke(fruits, ["similar", "--profile", "test", *given, *words])


def expected(settings: Settings, space: str, near: np.ndarray[Any, Any], n: int) -> list[tuple[str, float]]:
    newest = {row["key"]: row[space] for row in sorted(rows(settings, space), key=lambda row: row.get("manifest", 0))}
    distances = {name: float(np.linalg.norm(np.array(vector) - near)) for name, vector in newest.items()}
    return sorted(distances.items(), key=lambda item: item[1])[:n]


@pytest.mark.parametrize("space", ["reduced", "features"])
@pytest.mark.parametrize("number", [0, 5])
def test_by_a_key_it_finds_the_others(ask: Ask, store: Settings, space: str, number: int) -> None:
    asked = store.storage.landing + key(number)
    vectors = {row["key"]: row[space] for row in sorted(rows(store, space), key=lambda row: row.get("manifest", 0))}
    (first, distance), *others = expected(store, space, np.array(vectors[asked]), 8)
    assert (first, distance) == (asked, 0)
    for word in (key(number), asked, f"s3://{store.storage.bucket}/{asked}"):
        said = ask(word, "-n", "7", "--space", space, "--json")
        assert said.exit_code == 0, said.output
        found = json.loads(said.stdout)
        assert [one["key"] for one in found] == [name for name, _ in others]
        np.testing.assert_allclose([one["distance"] for one in found], [away for _, away in others], rtol=1e-4)


@pytest.mark.parametrize("space", ["reduced", "features"])
def test_a_file_is_featurized_as_a_stream_does(ask: Ask, tmp_path: Path, space: str) -> None:
    file = tmp_path / "mine.jpg"
    file.write_bytes(PHOTOS[5].data)
    found = json.loads(ask(str(file), "-n", "3", "--space", space, "--json").stdout)
    assert found[0]["key"].endswith(key(5))
    assert found[0]["distance"] == pytest.approx(0, abs=1e-3)
    by_key = json.loads(ask(key(5), "-n", "2", "--space", space, "--json").stdout)
    assert [one["key"] for one in found[1:]] == [one["key"] for one in by_key]


def test_what_came_since_the_refresh_is_in_features_alone(ask: Ask) -> None:
    assert ask("later/1.jpg", "--space", "features").exit_code == 0
    said = ask("later/1.jpg")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "--space features has those that came since the last refresh, too." in said.stderr


def test_pictures_are_shown_above_where_they_are_there(ask: Ask, store: Settings) -> None:
    storage = store.storage
    near = [one["key"] for one in json.loads(ask(key(7), "-n", "3", "--json").stdout)]
    assert "▀" not in ask(key(7), "-n", "3").stdout  # no terminal
    shown = ask(key(7), "-n", "3", "--pictures").stdout
    assert shown.count("▀") == 3 * 14 * 7
    there = obstore.get(object_store(storage), near[1]).bytes()
    obstore.delete(object_store(storage), near[1])
    try:
        less = ask(key(7), "-n", "3", "--pictures").stdout
    finally:
        obstore.put(object_store(storage), near[1], bytes(there))
    assert (less.count("▀"), less.count("gone")) == (2 * 14 * 7, 1)


def test_what_cannot_be_asked_is_one_message(
    ask: Ask, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(next(photo.data for photo in draw_bad_objects(seed=3) if photo.data))
    for words, says in [
        (["no/such.jpg"], "no/such.jpg is no file here, and "),
        (["no/such.jpg", "--space=features"], "no/such.jpg is no file here, and "),
        (["zzz/such.jpg", "--space=features"], "zzz/such.jpg is no file here, and "),
        ([str(bad)], f"{bad} cannot be featurized: "),
        ([f"--set=storage.prefix={settings.storage.prefix}", "a/b.jpg"], "Run `fruits stream`, then `fruits refresh`."),
        ([f"--set=storage.prefix={settings.storage.prefix}", "a/b.jpg", "--space=features"], "no rows to fit a PCA on"),
    ]:
        said = ask(*words)
        assert (said.exit_code, says in said.stderr) == (1, True), said.output
    monkeypatch.setattr("streaming.model._PREPROCESSING", "another")
    bad.write_bytes(PHOTOS[0].data)
    said = ask(str(bad))
    assert (said.exit_code, "give the model.* settings that the stream has" in said.stderr) == (1, True), said.output
