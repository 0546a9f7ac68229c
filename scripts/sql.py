"""SQL over the tables by DuckDB on delta-rs: no JVM, only the columns and rows that a question needs."""

import csv
import itertools
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa

from conf.delta import as_of, dataset, open_tables
from conf.errors import DataError
from conf.settings import Storage
from conf.spreadsheets import harmless
from conf.tables import NAMES, VIEWS, columns_of
from scripts.wording import printable

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

    from scripts.console import Console

Form = Literal["table", "csv", "json", "parquet"]
_MADE_BY = {
    "features": "fruits stream",
    "rejects": "fruits stream",
    "reduced": "fruits refresh",
    "pca_models": "fruits refresh",
}
# Numbers of a vector that a terminal shows; files get them all.
_SHOWN = 4
_VERSIONS = pa.schema(
    [
        ("table_name", pa.string()),
        ("version", pa.int64()),
        ("committed_at", pa.timestamp("ms", tz="UTC")),
        ("operation", pa.string()),
        ("rows_written", pa.int64()),
    ]
)
# Columns narrower than this say nothing.
_NARROWEST = 10
# What stands between two columns.
_BORDER = 3


class Tables:
    """The tables that exist, under their names, each as it was when this was opened, or at another moment.

    Parameters
    ----------
    at
        Of some tables, by their names, a version or a time.
    """

    def __init__(self, storage: Storage, at: Mapping[str, int | datetime]) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        found = zip(NAMES, open_tables(storage, *NAMES), strict=True)
        self._opened = {name: opened for name, opened in found if opened is not None}
        self._missing = {name: f"There is no table {name} yet. `{_MADE_BY[name]}` makes it." for name in NAMES}
        for name, opened in list(self._opened.items()):
            try:
                if name in at:
                    as_of(opened, at[name])
            except DataError as error:
                # Of no matter to a question about the others.
                del self._opened[name]
                self._missing[name] = str(error)
                continue
            del self._missing[name]
            self._register(name, dataset(opened, storage))
        for view, (table, definition) in VIEWS.items():
            if table not in self._missing:
                self._connection.execute(f"CREATE VIEW {view} AS {definition}")

    def __contains__(self, table: str) -> bool:
        return table in self._opened

    def ask(self, sql: str) -> pa.RecordBatchReader:
        """The answer to one SELECT, in pieces.

        Raises
        ------
        DataError
            Where the SQL is wrong or names a table that does not exist yet.
        """
        return self._answer(sql, "")

    def explain(self, sql: str) -> str:
        """How the answer to one SELECT would be worked out, as DuckDB draws it. Raises as `ask`."""
        drawn = "\n".join(row["explain_value"] for row in _rows(self._answer(sql, "EXPLAIN ")))
        # It knows no sizes of tables that are not its own, and guesses them to have one row.
        return re.sub(r"~[\d,]+ rows?", lambda guess: " " * len(guess[0]), drawn)

    def _answer(self, sql: str, before: str) -> pa.RecordBatchReader:
        try:
            # Of what is asked: EXPLAIN by itself may write a file, with ANALYZE.
            if [statement.type for statement in duckdb.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
                raise DataError(
                    "Ask one question, with SELECT or FROM. Tables are read-only; for a file, use --format, and for "
                    "how it would be answered --explain."
                )
            if "versions" in sql.lower():
                self._connection.register("versions", self._versions())
            return self._connection.sql(before + sql).to_arrow_reader(1024)
        except duckdb.Error as error:
            raise DataError(self._say_what_is_wrong(str(error))) from None
        except RuntimeError as error:
            raise _interrupted(error) from None

    def _register(self, name: str, rows: "Dataset") -> None:
        """Under its name, with nulls for columns that the contract was given after the table was made."""
        missing = {column: line for column, line in columns_of(name).items() if column not in rows.schema.names}
        if not missing:
            self._connection.register(name, rows)
            return
        self._connection.register(f"{name}_stored", rows)
        nulls = (f"NULL::{_duckdb_type(line.split()[1])} AS {column}" for column, line in missing.items())
        self._connection.execute(f"CREATE VIEW {name} AS SELECT *, {', '.join(nulls)} FROM {name}_stored")  # noqa: S608 (our own words)

    def close(self) -> None:
        """Let go of the tables, and of questions that were not answered to the end."""
        self._connection.interrupt()
        self._connection.close()

    def _versions(self) -> pa.Table:
        """What has made each version of each table, newest first: a file of the log each, so only where it is asked."""
        rows = [
            {
                "table_name": name,
                "version": commit["version"],
                "committed_at": commit["timestamp"],
                "operation": commit.get("operation"),
                "rows_written": _rows_written(commit),
            }
            for name, opened in self._opened.items()
            for commit in opened.history()
        ]
        return pa.Table.from_pylist(rows, schema=_VERSIONS)

    def _say_what_is_wrong(self, message: str) -> str:
        needs = {name: name for name in NAMES} | {view: table for view, (table, _) in VIEWS.items()}
        for name, table in needs.items():
            if table in self._missing and f"Table with name {name} does not exist" in message:
                return self._missing[table]
        if found := re.search(r"Table with name (\S+) does not exist", message):
            there = [name for name, table in needs.items() if table not in self._missing]
            return f"There is no table {found[1]}. There are: {', '.join([*there, 'versions'])}."
        return message


@contextmanager
def tables(storage: Storage, at: Mapping[str, int | datetime] | None = None) -> Iterator[Tables]:
    """Open the tables for questions, some as of the moment that `at` has for them."""
    opened = Tables(storage, at or {})
    try:
        yield opened
    finally:
        opened.close()


def write(answer: pa.RecordBatchReader, form: Form) -> None:
    """Write an answer to stdout."""
    match form:
        case "table":
            _write_table(answer)
        case "csv":
            _write_csv(answer)
        case "json":
            _write_json(answer)
        case "parquet":
            _write_parquet(answer)


def _write_table(answer: pa.RecordBatchReader) -> None:
    """A table where its columns fit the terminal, else one line a value, as wide rows are unreadable when folded."""
    from rich.markup import escape
    from rich.table import Table

    from scripts.console import Console

    console = Console()
    if len(answer.schema) * (_NARROWEST + _BORDER) > console.width:
        _write_records(answer, console)
        return
    names = _unique(answer.schema.names)
    rows = [list(map(_short, row.values())) for row in _rows(answer)]
    longest = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    most = _most_each(longest, console.width - 1 - _BORDER * len(names))
    table = Table()
    for field, name in zip(answer.schema, names, strict=True):
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        table.add_column(name, justify="right" if number else "left", no_wrap=True, max_width=most)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _most_each(widths: list[int], room: int) -> int:
    """The width that no column may pass for all to have room: short ones keep theirs, long ones share what is left."""
    level = max(widths)
    for short, width in enumerate(sorted(widths)):
        # Where the columns shorter than this one keep their widths, and it and all others are of one width.
        level = room // (len(widths) - short)
        if width >= level:
            break
        room -= width
        level = width
    return max(level, 1)


def _write_records(answer: pa.RecordBatchReader, console: "Console") -> None:
    width = max(map(len, answer.schema.names))
    for number, row in enumerate(_rows(answer), 1):
        console.rule(f"row {number}", align="left")
        for name, value in row.items():
            console.print(f"{name:>{width}}  {_short(value)}", markup=False, highlight=False, no_wrap=True)


def _write_csv(answer: pa.RecordBatchReader) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_unique(answer.schema.names))
    for row in _rows(answer):
        writer.writerow(map(_in_csv, map(_plain, row.values())))


def _write_json(answer: pa.RecordBatchReader) -> None:
    """One array, an object a row, written as it comes."""
    opening = "["
    for row in _rows(answer):
        sys.stdout.write(f"{opening}\n  {json.dumps(_plain(row), ensure_ascii=False)}")
        opening = ","
    sys.stdout.write("[]\n" if opening == "[" else "\n]\n")


def _write_parquet(answer: pa.RecordBatchReader) -> None:
    import pyarrow.parquet as pq

    names = _unique(answer.schema.names)
    schema = pa.schema([field.with_name(name) for field, name in zip(answer.schema, names, strict=True)])
    with pq.ParquetWriter(sys.stdout.buffer, schema) as writer:
        for batch in _batches(answer):
            writer.write_batch(batch)


def _rows(answer: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    for batch in _batches(answer):
        yield from batch.to_pylist()


def _batches(answer: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """DuckDB works as it is read from, so a bad cast in the last row shows here."""
    try:
        for batch in answer:
            yield batch.rename_columns(_unique(batch.schema.names))
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise DataError(str(error).strip()) from None
    except RuntimeError as error:
        raise _interrupted(error) from None
    finally:
        # Threads that still scan for an answer that nobody waits for must end before the interpreter does.
        answer.close()


def _interrupted(error: RuntimeError) -> BaseException:
    """Ctrl-C, where DuckDB met it first."""
    return KeyboardInterrupt() if "interrupted" in str(error).lower() else error


def _duckdb_type(declared: str) -> str:
    """Spark's ARRAY<DOUBLE> is DuckDB's DOUBLE[]."""
    inner = re.fullmatch(r"ARRAY<(.+)>", declared)
    return f"{_duckdb_type(inner[1])}[]" if inner else declared


def _rows_written(commit: Mapping[str, Any]) -> int | None:
    told = commit.get("operationMetrics", {}).get("numOutputRows")
    return None if told is None else int(told)


def _unique(names: list[str]) -> list[str]:
    """SQL lets several columns have one name; no reader of what is written here does."""
    unique: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
        unique.append(next(candidate for candidate in candidates if candidate not in unique))
    return unique


def _plain(value: Any) -> Any:
    """What JSON has a word for."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case _:
            return str(value)


def _in_csv(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value)
    return harmless(value) if isinstance(value, str) else value


def _short(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.6g}"
        case [list(), *_]:
            return f"{len(value)} x {len(value[0])} numbers"
        case [*numbers] if len(numbers) > _SHOWN:
            shown = ", ".join(_short(number) for number in numbers[:_SHOWN])
            return f"[{shown}, … {len(numbers)}]"
        case [*numbers]:
            return f"[{', '.join(map(_short, numbers))}]"
        case _:
            return printable(str(_plain(value)))
