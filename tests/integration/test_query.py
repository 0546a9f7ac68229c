"""`fruits query`: the tables as of a moment, where the question comes from, and what it says of a wrong one."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from click.testing import CliRunner, Result

from conf.delta import open_table
from conf.errors import StorageError
from conf.settings import Settings
from scripts.fruits import fruits
from tests.integration.features import Rows, draw_vectors, write
from tests.integration.hand_written import HandWritten

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COUNT = "SELECT count(*) AS n FROM features"
Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def between(spark: "SparkSession", module_settings: Settings) -> datetime:
    """A time after the first ten photographs, and before the other five."""
    write(spark, module_settings, Rows(range(10), draw_vectors(10, 4, seed=1)))
    time.sleep(1.1)
    moment = datetime.now(UTC)
    time.sleep(1.1)
    write(spark, module_settings, Rows(range(10, 15), draw_vectors(5, 4, seed=2), 2))
    return moment


@pytest.fixture
def given(between: datetime, module_settings: Settings) -> list[str]:
    storage = module_settings.storage
    return [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]


@pytest.fixture
def ask(given: list[str]) -> Ask:
    return lambda *words, stdin=None: CliRunner().invoke(
        fruits, ["query", "--profile", "test", *given, "--format", "json", *words], input=stdin
    )


def counted(said: Result) -> int:
    assert said.exit_code == 0, said.output
    (row,) = json.loads(said.stdout)
    return int(row["n"])


def test_a_table_as_it_was(ask: Ask, between: datetime) -> None:
    assert counted(ask(COUNT)) == 15
    assert counted(ask(COUNT, "--at", "features=1")) == 10
    for moment in (between.isoformat(), between.replace(tzinfo=None).isoformat(), f"features={between.isoformat()}"):
        assert counted(ask(COUNT, "--at", moment)) == 10
    assert counted(ask(COUNT, "--at", between.isoformat(), "--at", "features=2")) == 15


def test_versions_tell_what_made_them(ask: Ask) -> None:
    found = json.loads(ask("SELECT * EXCLUDE committed_at FROM versions ORDER BY version").stdout)
    told = [(row["table_name"], row["version"], row["operation"], row["rows_written"]) for row in found]
    assert told == [
        ("features", 0, "CREATE TABLE", None),
        ("features", 1, "WRITE", 10),
        ("features", 2, "WRITE", 5),
    ]


def test_a_question_from_a_file_or_from_stdin(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "count.sql"
    file.write_text(COUNT)
    assert counted(ask(str(file))) == counted(ask("-", stdin=COUNT)) == 15


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--at", "features=99"], 1, "features is not to be had as of 99: its newest version is 2"),
        (["--at", "2020-01-01"], 1, "features is not to be had as of 2020-01-01"),
        (["--at", "yesterday"], 2, "'yesterday' is no moment: write 2026-05-04T10:00"),
        (["--at", "3"], 2, "'3' is no moment"),
        (["--at", "fruit=3"], 2, "'fruit' is no table: there are features, rejects, reduced, pca_models."),
    ],
)
def test_a_moment_that_is_none_is_told(ask: Ask, words: list[str], status: int, says: str) -> None:
    said = ask(COUNT, *words)
    assert (said.exit_code, said.stdout, says in said.stderr) == (status, "", True), said.output


@pytest.mark.parametrize(
    ("sql", "status", "says"),
    [
        ("FROM feature", 1, "There is no table feature. There are: features, current, versions."),
        ("SELECT lable FROM features", 1, '"label"'),
        ("FROM reduced", 1, "There is no table reduced yet. `fruits refresh` makes it."),
        ("/no/such.sql", 2, "/no/such.sql cannot be read"),
    ],
)
def test_a_wrong_question_is_told(ask: Ask, sql: str, status: int, says: str) -> None:
    said = ask(sql)
    assert (said.exit_code, says in said.stderr) == (status, True), said.output


def test_a_question_is_explained_and_not_answered(given: list[str]) -> None:
    sql = "SELECT key FROM features WHERE label = 'pear'"
    said = CliRunner().invoke(fruits, ["query", "--profile", "test", *given, sql, "--explain"])
    assert said.exit_code == 0, said.output
    assert "\"label\" = 'pear'" in said.stdout
    assert "Projections: key" in said.stdout
    assert "landing/pear" not in said.stdout


def test_a_damaged_log_is_one_message(settings: Settings) -> None:
    table = HandWritten(settings.storage)
    table.append(range(3))
    path = f"{table.folder}_delta_log/{table.version:020}.json"
    obstore.put(table.store, path, bytes(obstore.get(table.store, path).bytes())[:-40])
    with pytest.raises(StorageError, match=r"tables/features cannot be read: .* Restore its _delta_log/ from a copy"):
        open_table(settings.storage, "features")
