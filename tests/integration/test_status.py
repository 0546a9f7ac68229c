"""What an operator sees of a stream: while it runs, and from storage alone when it does not."""

import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import obstore
import pytest
from click.testing import CliRunner

from conf.delta import open_table
from conf.lease import Holder, Lease
from conf.s3 import object_store
from conf.settings import Settings
from conf.table_log import TableLog
from scripts import accounting as module
from scripts.accounting import Accounting, account
from scripts.drop import drop
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.fruits import fruits
from scripts.liveness import State
from scripts.session import override
from streaming.manifests import Landed
from streaming.reprocess import matching, relist
from streaming.sink import BatchReport
from streaming.stream import Summary, run
from tests.integration.delta_log import commit
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = Path(__file__).parents[2] / "docs" / "status.schema.json"
GOOD = {f"{photo.label}/{photo.name}": photo.data for photo in draw_photos(12, seed=3)}
BAD = {f"{bad.label}/{bad.name}": bad.data for bad in draw_bad_objects(seed=3)}


@dataclass
class Told:
    """A stream that took in everything, and what it told."""

    settings: Settings
    never_ran: Accounting
    waiting: Accounting
    summary: Summary
    lines: list[dict[str, Any]]
    prometheus: str


@pytest.fixture(scope="module")
def told(spark: "SparkSession", module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("metrics")
    lines, prometheus = folder / "batches.jsonl", folder / "fruits.prom"
    settings = override(
        module_settings, "stream", max_files=8, metrics_file=str(lines), prometheus_file=str(prometheus)
    )
    never_ran = account(settings.storage)
    drop(settings.storage, iter((GOOD | BAD).items()))
    waiting = account(settings.storage)
    summary = run(spark, settings, once=True)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    return Told(settings, never_ran, waiting, summary, found, prometheus.read_text())


def test_each_batch_is_one_line_and_together_they_are_the_tables(told: Told) -> None:
    features, rejects = rows(told.settings, "features"), rows(told.settings, "rejects")
    assert len(told.lines) == told.summary.batches >= 3
    for line in told.lines:
        assert line["features"] == sum(row["batch_id"] == line["batch_id"] for row in features)
        of_batch = [row["reason"] for row in rejects if row["batch_id"] == line["batch_id"]]
        assert line["rejects"] == {reason: of_batch.count(reason) for reason in of_batch}
        # What is listed for the next one may be seen already.
        assert 0 <= line["backlog"] <= 8
        # Spark's own part is there, and the whole is more than ours.
        assert {"discover", "featurize", "commit", "log_commit"} <= set(line["seconds"])
        assert line["batch_seconds"] >= line["seconds"]["featurize"] + line["seconds"]["commit"]
        assert 0 < line["oldest_age_seconds"] < 600
    assert told.lines[-1]["backlog"] == 0
    assert sum(line["bytes"] for line in told.lines) == sum(map(len, (GOOD | BAD).values()))


def test_prometheus_has_the_same_counts(told: Told) -> None:
    def value(name: str, *labels: str) -> float:
        wanted = re.compile(
            rf"^fruits_{name}{{store=\"[^\"]*\"{''.join(f',{label}' for label in labels)}}} (\S+)$", re.M
        )
        (found,) = wanted.findall(told.prometheus)
        return float(found)

    assert value("photographs_total", 'outcome="featurized"', 'reason=""') == len(GOOD)
    for reason, count in told.summary.rejects.items():
        assert value("photographs_total", 'outcome="rejected"', f'reason="{reason}"') == count
    assert value("batches_total") == told.summary.batches
    assert value("lease_until_timestamp_seconds") == 0


def test_before_during_and_after_the_first_run(told: Told) -> None:
    assert (told.never_ran.stream.state, told.never_ran.backlog, told.never_ran.lag_seconds) == ("never ran", 0, None)
    count = len(GOOD) + len(BAD)
    assert (told.waiting.stream.state, told.waiting.waiting, told.waiting.backlog) == ("never ran", count, count)
    assert told.waiting.lag_seconds is not None
    assert told.waiting.lag_seconds < 60
    now = account(told.settings.storage)
    assert (now.stream.state, now.backlog, now.lag_seconds) == ("stopped", 0, None)
    assert now.last_batch == told.lines[-1]


def test_figures_of_the_logs_are_those_of_the_tables(told: Told) -> None:
    features, rejects = rows(told.settings, "features"), rows(told.settings, "rejects")
    now = account(told.settings.storage)
    assert (now.features, now.current) == (len(features), len({row["key"] for row in features}))
    reasons = [row["reason"] for row in rejects]
    assert now.rejects == {reason: reasons.count(reason) for reason in sorted(reasons)}
    assert now.model_id == features[0]["model_id"]
    assert now.last_ingested is not None
    assert abs(now.last_ingested - max(row["ingested_at"] for row in features)).total_seconds() < 0.002
    files = data_files(told.settings, "features")
    assert (now.features_files, now.features_bytes) == (len(files), sum(files.values()))


def test_rejects_are_counted_by_reason_since_a_moment(told: Told) -> None:
    opened = open_table(told.settings.storage, "rejects")
    assert opened is not None
    log = TableLog(opened, told.settings.storage)
    found = rows(told.settings, "rejects")
    moments = sorted({row["rejected_at"] for row in found})
    assert len(moments) > 1
    for moment in (*moments, moments[-1] + timedelta(microseconds=1)):
        newer = Counter(row["reason"] for row in found if row["rejected_at"] >= moment)
        assert log.counts("reason", ("rejected_at", moment)) == dict(newer)
    now = account(told.settings.storage)
    assert now.rejects == now.rejects_last_hour == now.rejects_last_day


def data_files(settings: Settings, table: str) -> dict[str, int]:
    below = obstore.list(object_store(settings.storage), f"{settings.storage.prefix}tables/{table}/").collect()
    return {meta["path"]: meta["size"] for meta in below if meta["path"].endswith(".parquet")}


def test_figures_come_without_reading_the_vectors_data_files(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    before = account(told.settings.storage)
    store = object_store(told.settings.storage)
    kept = {path: bytes(obstore.get(store, path).bytes()) for path in data_files(told.settings, "features")}
    obstore.delete(store, list(kept))
    try:
        # As where there are many files.
        monkeypatch.setattr(module, "_FILES_READ", 0)
        unread = replace(before, current=None, rejects_last_hour=None, rejects_last_day=None)
        assert account(told.settings.storage) == unread
    finally:
        for path, data in kept.items():
            obstore.put(store, path, data)


def test_files_without_statistics_are_read(told: Told) -> None:
    before = account(told.settings.storage)
    store = object_store(told.settings.storage)
    logs: dict[str, bytes] = {}
    for table in ("features", "rejects"):
        for meta in obstore.list(store, f"{told.settings.storage.prefix}tables/{table}/_delta_log/").collect():
            if re.search(r"/\d+\.json$", meta["path"]):
                logs[meta["path"]] = bytes(obstore.get(store, meta["path"]).bytes())
    stripped = 0
    try:
        # Every other commit, so that some files tell and some do not.
        for path, data in list(logs.items())[::2]:
            actions = [json.loads(line) for line in data.splitlines()]
            stripped += sum(bool(action.get("add", {}).pop("stats", None)) for action in actions)
            obstore.put(store, path, "".join(json.dumps(action) + "\n" for action in actions).encode())
        assert stripped
        now = account(told.settings.storage)
        assert now.last_ingested is not None
        assert before.last_ingested is not None
        assert abs(now.last_ingested - before.last_ingested).total_seconds() < 0.002
        assert replace(now, last_ingested=before.last_ingested) == before
    finally:
        for path, data in logs.items():
            obstore.put(store, path, data)


def test_a_lease_makes_it_running_and_one_of_the_dead_makes_it_dead(told: Told) -> None:
    storage = told.settings.storage
    with Lease(storage, 30):
        running = account(storage).stream
        assert (running.state, running.holder) == (State.RUNNING, str(Holder.this_process()))
        assert running.since is not None
        assert running.renewed is not None
        assert timedelta() <= running.renewed - running.since < timedelta(seconds=30)
        assert running.seconds_left is not None
        assert 0 < running.seconds_left <= 30
    stopped = account(storage).stream
    assert (stopped.state, stopped.since) == (State.STOPPED, running.since)
    # As after a kill -9 on this machine.
    killed = Lease(storage, 30)
    assert killed._hold({"IfMatch": the_lease(told)})
    assert killed._write({"IfMatch": killed._etag}, replace(Holder.this_process(), pid=2**22 + 1))
    assert account(storage).stream.state == State.DEAD
    said = " ".join(" ".join(status(told)).split())
    assert "`fruits stream` takes its place" in said
    assert "failed The stream is dead: what lands waits. -> fruits stream" in said
    status(told, "--check", ends=1)
    with Lease(storage, 30):
        pass


def the_lease(told: Told) -> str:
    path = told.settings.storage.state_key("lease.json")
    return str(obstore.head(object_store(told.settings.storage), path)["e_tag"])


def status(told: Told, *words: str, ends: int = 0) -> list[str]:
    storage = told.settings.storage
    where = [f"storage.{name}={getattr(storage, name)}" for name in ("endpoint", "prefix")]
    sets = [word for setting in where for word in ("--set", setting)]
    said = CliRunner().invoke(fruits, ["status", "--profile", "test", *sets, *words], catch_exceptions=False)
    assert said.exit_code == ends, said.output
    return said.stdout.splitlines()


def test_the_command_says_the_state_first_and_has_all_as_json(told: Told) -> None:
    assert status(told)[0].startswith("stopped: it ended at 20")
    found = json.loads("\n".join(status(told, "--json")))
    assert found["stream"]["state"] == "stopped"
    assert found["last_batch"] == told.lines[-1]
    assert (found["features"], found["current"], found["backlog"]) == (len(GOOD), len(GOOD), 0)
    assert {"waiting", "under_way", "lag_seconds", "features_files", "features_bytes", "rejects"} <= set(found)
    assert {one["code"] for one in found["findings"]} == {"no_reduced", "rejects"}
    jsonschema.validate(found, json.loads(SCHEMA.read_text()), format_checker=jsonschema.FormatChecker())


def test_watched_on_a_terminal_it_is_drawn_over_in_place_until_ctrl_c(told: Told) -> None:
    storage = told.settings.storage
    where = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("endpoint", "prefix")]
    ours, theirs = pty.openpty()
    low = os.environ | {"COLUMNS": "80", "LINES": "12", "TERM": "xterm"}
    command = [Path(sys.executable).parent / "fruits", "status", "--watch", "--profile=test", *where]
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=low) as watching:
        os.close(theirs)
        # Drawn twice at least: for the age of what it shows.
        while shown.count(b"\x1b[H") < 4:
            shown += os.read(ours, 4096)
        watching.send_signal(signal.SIGINT)
        with suppress(OSError):  # Linux's word for the end
            while more := os.read(ours, 4096):
                shown += more
        assert watching.wait(60) == 0
    os.close(ours)
    before, screen = shown.split(b"\x1b[?1049h")
    screen, after = screen.split(b"\x1b[?1049l")
    # Nothing is wiped, which would flicker, and no drawing is higher than the window, which would scroll.
    assert b"\x1b[2J" not in screen
    drawings = screen.split(b"\x1b[H")[1:]
    assert len(drawings) >= 2
    assert max(drawing.count(b"\n") for drawing in drawings) < 12
    assert b"fruits refresh" in drawings[-1]
    # What was seen last stays, and the cursor is there again.
    assert b"stopped" in after
    assert b"\x1b[?25h" in shown
    assert b"Traceback" not in shown
    assert before.strip() == b""


def test_what_is_listed_again_is_backlog_and_no_file_can_stop_the_stream(
    spark: "SparkSession", told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = told.settings.storage
    store = object_store(storage)
    again = matching(["*"])(storage, store)
    yesterday = again[1].last_modified - timedelta(days=1)
    again[1] = replace(again[1], last_modified=yesterday)
    for piece in (again[:3], again[3:5], again[5:9]):
        relist(storage, store, piece)
    listed = account(storage)
    assert (listed.waiting, listed.under_way, listed.backlog) == (0, 9, 9)
    # The photographs are of yesterday; that they are to be taken in again was asked for just now.
    assert listed.under_way_seconds is not None
    assert listed.under_way_seconds < 600
    missing = tmp_path / "missing"
    settings = override(
        told.settings, "stream", metrics_file=str(missing / "a.jsonl"), prometheus_file=str(missing / "a.prom")
    )
    batches: list[BatchReport] = []
    backlogs: list[Any] = []

    def on_batch(batch: BatchReport) -> None:
        batches.append(batch)
        backlogs.append(account(storage).backlog)

    with caplog.at_level(logging.WARNING, "streaming.outlet"):
        run(spark, settings, once=True, on_batch=on_batch)
    assert [batch.objects for batch in batches] == [3, 2, 4]
    assert backlogs == [6, 4, 0]
    assert [batch.oldest_age_s > 86_400 for batch in batches] == [True, False, False]
    assert sum("is not written, and the stream goes on without it" in record.message for record in caplog.records) == 2
    last = account(storage).last_batch
    assert last is not None
    assert (last["batch_id"], last["objects"], last["backlog"]) == (batches[-1].batch_id, 4, 0)


def test_what_the_state_knows_nothing_of_is_told(told: Told) -> None:
    store = object_store(told.settings.storage)
    of_a_queue = told.settings.storage.state_key("set-aside/1.json")
    for name in ("manifests/", "seen/"):
        found = obstore.list(store, told.settings.storage.state_key(name)).collect()
        obstore.delete(store, [meta["path"] for meta in found])
    obstore.put(store, of_a_queue, b"{}")
    lost = account(told.settings.storage)
    assert (lost.discovered, lost.under_way, lost.backlog) == (0, 0, len(GOOD | BAD))
    assert (lost.unlisted, lost.set_aside) == (lost.features + sum(lost.rejects.values()), 1)
    assert lost.refusal is not None
    assert "rows that the state knows" in lost.refusal or "lost" in lost.refusal or "missing" in lost.refusal
    shown = " ".join("\n".join(status(told)).split())
    assert "failed No stream can start." in shown
    with Lease(told.settings.storage, 30):
        # Beside a stream that runs nothing is told: what it is at changes.
        assert account(told.settings.storage).refusal is None
    assert f"unlisted {lost.unlisted} rows of which the state knows nothing" in shown
    assert "set aside 1 messages of the queue" in shown


def test_of_a_version_whose_log_is_partly_gone_nothing_is_said(settings: Settings) -> None:
    storage = settings.storage
    store = object_store(storage)
    for number in range(1, 4):
        commit(store, storage, "features", number, [Landed("landing/a", "e", 1, datetime.now(UTC))])
    assert open_table(storage, "features", 2) is not None
    obstore.delete(store, f"{storage.prefix}tables/features/_delta_log/{0:020d}.json")
    assert open_table(storage, "features", 0) is None
    assert open_table(storage, "features", 2) is None
