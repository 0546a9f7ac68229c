"""`fruits refresh --every` as a service, and `--if-changed` by a schedule: what passes by itself is no failure."""

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from conf.lease import Lease
from conf.settings import Settings
from scripts import refresh
from scripts.entry import GOES_ON
from scripts.fruits import fruits
from tests.integration.features import Rows
from tests.integration.hand_written import D, HandWritten
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]


def test_it_refreshes_where_anything_has_changed_and_waits_for_whoever_works(
    settings: Settings, tmp_path: Path
) -> None:
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    words = ["refresh", "--profile", "test", *given, "-k", "2", "--every", "1s", "--json"]
    out, told = tmp_path / "out", tmp_path / "told"
    with out.open("w") as stdout, told.open("w") as stderr:
        started = subprocess.Popen(
            [sys.executable, "-m", "scripts.fruits", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def done() -> list[dict[str, Any]]:
        return [json.loads(line) for line in out.read_text().splitlines()]

    def says(words: str) -> bool:
        assert started.poll() is None, told.read_text()
        return words in told.read_text()

    with started:
        try:
            wait_until(lambda: says("has no rows to fit a PCA on. Drop photographs"))
            table = HandWritten(storage)
            table.append(range(400))
            wait_until(lambda: says("Nothing has changed."))
            assert [(line["pca_version"], line["rows"]) for line in done()] == [(1, 400)]
            with Lease(storage, 30, "refresh"):
                table.append(range(400, 410))
                wait_until(lambda: says("The next attempt comes."))
                assert len(done()) == 1
            wait_until(lambda: len(done()) == 2)
            second = done()[1]
            assert (second["pca_version"], second["rows"]) == (2, 410)
            assert (second["rows_added"], second["rows_removed"], second["all_rows"]) == (10, 0, None)
            table.append_rows(Rows([900], [np.full(D, np.nan)], 90).table())
            wait_until(lambda: says("hold NaN"))
            table.delete(900)
            table.append([901])
            wait_until(lambda: len(done()) == 3)
            assert done()[2]["rows"] == 411
            os.killpg(started.pid, signal.SIGINT)
            assert started.wait(60) == 130
        finally:
            started.kill()
    assert told.read_text().endswith(f"{GOES_ON}\n")
    assert len(done()) == 3


def test_a_schedule_does_nothing_where_there_is_nothing_to_do_and_fails_where_something_is_wrong(
    spark: "SparkSession", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "spark_session", lambda _: nullcontext(spark))
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]

    def scheduled() -> Result:
        return CliRunner().invoke(fruits, ["refresh", "--if-changed", "--profile", "test", *given, "-k", "2", "--json"])

    early = scheduled()
    assert (early.exit_code, early.stdout) == (0, "")
    assert "has no rows to fit a PCA on" in early.stderr
    table = HandWritten(storage)
    table.append(range(2))
    assert "2 components were asked of 2" in scheduled().stderr
    table.append(range(2, 400))
    assert json.loads(scheduled().stdout)["rows"] == 400
    again = scheduled()
    assert (again.exit_code, again.stdout) == (0, "")
    assert "Nothing has changed." in again.stderr
    table.append([401])
    with Lease(storage, 30, "refresh"):
        beside = scheduled()
    assert (beside.exit_code, beside.stdout) == (0, "")
    assert "Another refresh works on" in beside.stderr
    table.append_rows(Rows([900], [np.full(D, np.nan)], 90).table())
    wrong = scheduled()
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "hold NaN" in wrong.stderr
