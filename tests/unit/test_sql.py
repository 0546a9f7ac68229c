"""Answers on their way to stdout."""

import json

import duckdb
import pytest

from conf.errors import DataError
from scripts.sql import write


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_an_answer_that_fails_late_is_one_message(form: str) -> None:
    late = "SELECT CAST(CASE WHEN i = 5000 THEN 'pear' ELSE '1' END AS INT) AS n FROM range(9000) t(i)"
    with duckdb.connect() as connection, pytest.raises(DataError, match="Could not convert string 'pear'"):
        write(connection.sql(late).to_arrow_reader(1024), form)  # type: ignore[arg-type]


def test_json_is_one_array(capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect() as connection:
        write(connection.sql("SELECT i, [i, i] AS v FROM range(3) t(i)").to_arrow_reader(2), "json")
        write(connection.sql("SELECT 1 AS i WHERE false").to_arrow_reader(2), "json")
    first, second = capsys.readouterr().out.split("]\n[]")
    assert json.loads(first + "]") == [{"i": i, "v": [i, i]} for i in range(3)]
    assert second == "\n"


def said(sql: str, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    with duckdb.connect() as connection:
        write(connection.sql(sql).to_arrow_reader(2), form)  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_json_has_a_word_for_every_type(capsys: pytest.CaptureFixture[str]) -> None:
    answer = """
        SELECT sum(i)::HUGEINT AS s, 1.50::DECIMAL(9, 2) AS d, DATE '2026-05-04' AS day, TIME '10:00' AS t,
               'x'::BLOB AS b, 'nan'::FLOAT AS n, [1.5::DECIMAL(3, 1)] AS l, {'a': DATE '2026-05-04'} AS o,
               true AS yes, NULL AS nil
        FROM range(3) r(i)
    """
    assert json.loads(said(answer, "json", capsys), parse_constant=pytest.fail) == [
        {"s": 3, "d": 1.5, "day": "2026-05-04", "t": "10:00:00", "b": "78", "n": None, "l": [1.5]}
        | {"o": {"a": "2026-05-04"}, "yes": True, "nil": None}
    ]


def test_csv_has_lists_of_any_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert said("SELECT [DATE '2026-05-04'] AS l, {'a': 1.5::DECIMAL(3, 1)} AS o", "csv", capsys) == (
        'l,o\n"[""2026-05-04""]","{""a"": 1.5}"\n'
    )


@pytest.mark.parametrize("form", ["csv", "json"])
def test_columns_of_one_name_are_all_there(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = said("SELECT 1 AS a, 2 AS a, 3 AS a_1", form, capsys)
    assert found == {"csv": "a,a_1,a_1_1\n1,2,3\n", "json": '[\n  {"a": 1, "a_1": 2, "a_1_1": 3}\n]\n'}[form]


def test_no_column_is_squeezed_to_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    long = "'" + "x" * 60 + "'"
    asked = f"SELECT {long} AS key, {long} AS etag, {long} AS sha, 7 AS pca_version, 12345678 AS number"
    table = said(asked, "table", capsys)
    assert all(word in table for word in ("key", "etag", "pca_version", "number", " 7 ", " 12345678 ", "xxxxxxxxxxxx…"))
    assert max(map(len, table.splitlines())) <= 100
