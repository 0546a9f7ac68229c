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
