"""`fruits export`: each form has what the tables have, and says of which versions it is."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import batch.export
from batch.export import write as export_to
from batch.refresh import run as refresh
from batch.spaces import space_of
from conf.settings import Settings
from scripts.fruits import fruits
from scripts.session import override
from tests.integration.features import MODEL, Rows, draw_vectors, write
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D = 6
Export = Callable[..., Result]


@pytest.fixture(scope="module")
def store(spark: "SparkSession", module_settings: Settings) -> Settings:
    """Five of forty photographs were overwritten, and all refreshed."""
    write(spark, module_settings, Rows(range(40), draw_vectors(40, D, seed=1)))
    write(spark, module_settings, Rows(range(5), draw_vectors(5, D, seed=2), 2, "b"))
    refresh(spark, override(module_settings, "pca", k=3))
    return module_settings


@pytest.fixture
def export(store: Settings) -> Export:
    given = [f"--set=storage.{name}={getattr(store.storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return lambda *words: CliRunner().invoke(fruits, ["export", "--profile", "test", *given, *map(str, words)])


def by_parquet(path: Path, space: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    return found


def by_csv(path: Path, space: str) -> list[dict[str, Any]]:
    found = []
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        numbered = [name for name in row if name.removeprefix(f"{space}_").isdecimal()]
        vector = [np.float32(row.pop(name)).item() for name in numbered]
        numbers = {name: int(value) for name, value in row.items() if name.endswith("_version")}
        found.append(row | numbers | {space: vector})
    return found


def by_numpy(path: Path, space: str) -> list[dict[str, Any]]:
    with np.load(path) as arrays:
        n = len(arrays["key"])
        columns = {name: array if array.shape else np.full(n, array) for name, array in arrays.items()}
    return [{name: column[at].tolist() for name, column in columns.items()} for at in range(n)]


def by_tensorflow(path: Path, space: str) -> list[dict[str, Any]]:
    import tensorflow as tf

    found = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        row: dict[str, Any] = {}
        for name, feature in tf.train.Example.FromString(record).features.feature.items():
            values = list(getattr(feature, feature.WhichOneof("kind")).value)
            row[name] = values if name == space else values[0].decode() if isinstance(values[0], bytes) else values[0]
        found.append(row)
    return found


@pytest.mark.parametrize("space", ["reduced", "features"])
@pytest.mark.parametrize(
    ("form", "read"), [("parquet", by_parquet), ("csv", by_csv), ("npz", by_numpy), ("tfrecord", by_tensorflow)]
)
def test_a_file_has_what_the_tables_have(
    export: Export,
    store: Settings,
    tmp_path: Path,
    space: str,
    form: str,
    read: Callable[[Path, str], list[dict[str, Any]]],
) -> None:
    path = tmp_path / f"vectors.{form}"
    said = export(path, "--space", space)
    assert said.exit_code == 0, said.output
    assert "40 photographs in " in said.stderr
    versions = {"model_id": MODEL, "features_version": 2} | ({"pca_version": 1} if space == "reduced" else {})
    names = ("key", "etag", "label", "sha256", space)
    newest = {row["key"]: row for row in sorted(rows(store, space), key=lambda row: row.get("manifest", 0))}
    expected = [{name: row[name] for name in names} | versions for row in newest.values()]
    found = read(path, space)
    assert sorted(found, key=lambda row: row["key"]) == sorted(expected, key=lambda row: row["key"])
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["reduced", "features"])
def test_how_much_is_written_is_told_on_the_way_and_known_before(store: Settings, tmp_path: Path, name: str) -> None:
    space, told = space_of(store.storage, name), list[int]()
    assert space.rows == 40
    assert export_to(space, tmp_path / "vectors.npz", "npz", told.append) == sum(told) == 40


def test_what_was_there_stays_until_the_new_file_is_whole(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vectors.npz"
    path.write_bytes(b"of before")
    monkeypatch.setattr(batch.export.np.lib.format, "write_array", lambda *_, **__: 1 / 0)
    assert isinstance(export(path).exception, ZeroDivisionError)
    assert (path.read_bytes(), len(list(tmp_path.iterdir()))) == (b"of before", 1)


def test_what_cannot_be_done_is_one_message(export: Export, tmp_path: Path, settings: Settings) -> None:
    for words, status, says in [
        ([tmp_path / "vectors.h5"], 2, "tells no format: end it in .parquet, .csv, .npz, .tfrecord"),
        ([tmp_path, "--format", "csv"], 1, "is a folder: name a file in it"),
        ([tmp_path / "no" / "v.csv"], 1, f"There is no folder {tmp_path / 'no'}"),
        (
            [f"--set=storage.prefix={settings.storage.prefix}", tmp_path / "v.csv"],
            1,
            "Run `fruits stream`, then `fruits refresh`.",
        ),
    ]:
        said = export(*words)
        assert (said.exit_code, says in said.stderr) == (status, True), json.dumps(said.output)
