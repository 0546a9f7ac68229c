"""Which figures of a table are counted, and which are left out because it would take too long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.settings import Storage
from conf.table_log import TableLog
from scripts import accounting as module

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def append(folder: Path, minutes_ago: int, *reasons: str) -> None:
    """A file of rejects, as a micro-batch of that time makes it."""
    moments = pa.array([NOW - timedelta(minutes=minutes_ago)] * len(reasons), pa.timestamp("us", "UTC"))
    write_deltalake(folder, pa.table({"reason": list(reasons), "rejected_at": moments}), mode="append")


def rejects(folder: Path) -> dict[str, object]:
    return module._rejects(TableLog(DeltaTable(folder), Storage(bucket="fruits")), NOW)


def test_what_was_refused_lately_is_counted_however_much_was_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FILES_READ", 2)
    monkeypatch.setattr(module, "_ROWS_READ", 10)
    for days in range(2, 6):
        append(tmp_path, days * 1440, *["corrupt"] * 20)
    append(tmp_path, 300, "crashed")
    for minutes in range(10, 50, 10):
        append(tmp_path, minutes, *["corrupt"] * 30)
    assert rejects(tmp_path) == {
        "rejects": {"corrupt": 200, "crashed": 1},
        "rejects_last_hour": {"corrupt": 120},
        "rejects_last_day": {"corrupt": 120, "crashed": 1},
    }


@pytest.mark.parametrize("limit", ["_FILES_READ", "_ROWS_READ"])
def test_what_would_take_too_long_to_count_is_left_out(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, 10, "empty")
    # Its statistics do not tell how many of each, and it is of the last day alone.
    append(tmp_path, 300, "corrupt", "empty")
    # What must be read is in S3.
    monkeypatch.setattr(TableLog, "_unclear", lambda *_: [])
    monkeypatch.setattr(module, limit, 0)
    found = rejects(tmp_path)
    assert (found["rejects_last_hour"], found["rejects_last_day"]) == ({"empty": 1}, None)
