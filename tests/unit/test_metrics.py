"""What is told of micro-batches: true, whole, and never at the stream's expense."""

import json
import logging
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore

from conf.errors import ContractError
from conf.settings import Settings, load
from conf.tables import Reason
from scripts.liveness import State
from scripts.session import override
from streaming import reports as module
from streaming.manifests import Landed, Manifests
from streaming.metrics import Totals, as_line, describe
from streaming.outlet import append
from streaming.outlet import replace as replace_file
from streaming.reports import Backlog, Reports, last_batch
from streaming.sink import BatchReport
from tests.waiting import wait_until

LANDED = datetime(2026, 5, 4, 12, tzinfo=UTC)
BATCH = BatchReport(
    batch_id=7,
    manifest=8,
    features=40,
    rejects={"corrupt": 2, "empty": 1},
    bytes=1_000_000,
    decodes=42,
    featurize_s=2.0,
    commit_s=1.0,
    committed_at=LANDED + timedelta(seconds=12.5),
    oldest=LANDED,
    stages={"fetch_s": 0.5, "decode_s": 0.25, "predict_s": 1.75},
)
PHASES = {"triggerExecution": 4300, "latestOffset": 700, "queryPlanning": 20, "walCommit": 100, "addBatch": 3100}
# A sample of the text format: name, labels, number.
SAMPLE = re.compile(r'^([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\d+(?:\.\d+)?(?:e[+-]\d+)?)$')


@dataclass
class Held:
    """As much of a lease as reports look at."""

    until: datetime = datetime(2030, 1, 1, tzinfo=UTC)


def samples(text: str) -> dict[tuple[str, str], float]:
    """Values by name and labels other than the store's; each line must be one that Prometheus takes."""
    found = {}
    described: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            described.append(line.split()[2])
        elif not line.startswith("# TYPE "):
            matched = SAMPLE.match(line)
            assert matched, line
            name, labels, value = matched.groups()
            assert name == described[-1]
            found[name, labels.partition(",")[2]] = float(value)
    assert len(described) == len(set(described))
    assert text.endswith("\n")
    return found


def test_a_line_tells_all_of_a_batch() -> None:
    told = json.loads(as_line(describe(BATCH, PHASES, backlog=5)))
    assert (told["objects"], told["features"], told["rejects"]) == (43, 40, {"corrupt": 2, "empty": 1})
    assert (told["at"], told["oldest_age_seconds"]) == ("2026-05-04T12:00:12.500+00:00", 12.5)
    assert (told["batch_seconds"], told["images_per_second"]) == (4.3, 10.0)
    assert told["seconds"] == {"discover": 0.7, "plan": 0.02, "log_plan": 0.1, "featurize": 2.0, "commit": 1.0}
    assert told["worker_seconds"] == {"fetch": 0.5, "decode": 0.25, "predict": 1.75}
    assert (told["batch_id"], told["manifest"], told["backlog"]) == (7, 8, 5)
    assert as_line(told).count(b"\n") == 1


def test_without_sparks_part_the_sinks_own_counts() -> None:
    told = describe(BATCH, {}, backlog=None)
    assert (told["batch_seconds"], told["images_per_second"], told["backlog"]) == (3.0, 14.333, None)
    assert told["seconds"] == {"featurize": 2.0, "commit": 1.0}


def test_a_photograph_from_the_future_has_no_age() -> None:
    ahead = replace(BATCH, oldest=BATCH.committed_at + timedelta(hours=1))
    assert describe(ahead, {}, None)["oldest_age_seconds"] == 0


def test_prometheus_counts_add_up_and_gauges_are_of_the_last() -> None:
    totals = Totals("fruits/")
    totals.add(describe(BATCH, PHASES, backlog=5))
    totals.add(describe(replace(BATCH, features=10, rejects={"gone": 1}, featurize_s=3.0), {}, backlog=0))
    found = samples(totals.text(datetime.fromtimestamp(1_900_000_000, UTC)))
    photographs = {labels: value for (name, labels), value in found.items() if name == "fruits_photographs_total"}
    assert photographs.pop('outcome="featurized",reason=""') == 50
    assert photographs == {
        f'outcome="rejected",reason="{reason}"': {"corrupt": 2, "empty": 1, "gone": 1}.get(reason, 0)
        for reason in Reason
    }
    assert found["fruits_bytes_total", ""] == 2_000_000
    assert found["fruits_batches_total", ""] == 2
    assert found["fruits_busy_seconds_total", ""] == pytest.approx(4.3 + 4.0)
    assert found["fruits_stage_seconds", 'stage="featurize"'] == 3.0
    assert ("fruits_stage_seconds", 'stage="discover"') not in found
    assert found["fruits_worker_seconds", 'stage="predict"'] == 1.75
    assert found["fruits_batch_timestamp_seconds", ""] == (LANDED + timedelta(seconds=12.5)).timestamp()
    assert (found["fruits_oldest_age_seconds", ""], found["fruits_backlog", ""]) == (12.5, 0)
    assert found["fruits_lease_until_timestamp_seconds", ""] == 1_900_000_000


def test_before_the_first_batch_what_is_not_known_is_left_out() -> None:
    found = samples(Totals("fruits/").text(None))
    assert {name for name, _ in found} == {
        "fruits_photographs_total",
        "fruits_bytes_total",
        "fruits_batches_total",
        "fruits_busy_seconds_total",
        "fruits_lease_until_timestamp_seconds",
    }
    assert set(found.values()) == {0}


def test_a_prefix_of_odd_characters_stays_a_label() -> None:
    text = Totals('fruits/a"b\\c/').text(None)
    assert samples(text)
    assert 'store="fruits/a\\"b\\\\c/"' in text


def test_the_operators_guide_explains_every_field_metric_and_state() -> None:
    guide = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    told = describe(BATCH, PHASES | {"commitOffsets": 1}, backlog=0)
    totals = Totals("fruits/")
    totals.add(told)
    metrics = {name for name, _ in samples(totals.text(None))}
    stages = {*told["seconds"], *told["worker_seconds"]}
    for name in {*told, *stages, *metrics, *State}:
        assert re.search(rf"`{name}[`{{]", guide), name


def test_a_rotated_file_begins_anew_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    append(path, b"1\n")
    append(path, b"2\n")
    path.rename(tmp_path / "batches.jsonl.1")
    append(path, b"3\n")
    assert [file.read_bytes() for file in sorted(tmp_path.iterdir())] == [b"3\n", b"1\n2\n"]


def with_little_room(path: Path, call: str) -> str:
    """What comes of a call in a process whose files may have 100 bytes: in this one, pytest's own log would be cut."""
    script = f"""
import resource
from pathlib import Path
from streaming.outlet import append, replace
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
path = Path({str(path)!r})
try:
    {call}
except OSError as error:
    print(error)
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_a_line_that_has_no_room_leaves_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    append(path, b"x" * 79 + b"\n")
    assert "no room for 80 bytes" in with_little_room(path, "append(path, b'y' * 80)")
    append(path, b"z\n")
    assert path.read_bytes() == b"x" * 79 + b"\nz\n"


def test_a_file_that_has_no_room_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "fruits.prom"
    replace_file(path, b"old")
    assert "File too large" in with_little_room(path, "replace(path, b'n' * 200)")
    assert path.read_bytes() == b"old"


def told_of(settings: Settings, store: Any, *batches: BatchReport) -> None:
    with Reports(settings, store, Held()) as reports:  # type: ignore[arg-type]
        for batch in batches:
            reports.add(batch)


def to_files(tmp_path: Path) -> Settings:
    names = {"metrics_file": str(tmp_path / "batches.jsonl"), "prometheus_file": str(tmp_path / "fruits.prom")}
    return override(load("local", ["storage.prefix=p/"]), "stream", **names)


def test_each_batch_is_a_line_and_the_newest_is_in_the_store(tmp_path: Path) -> None:
    settings, store = to_files(tmp_path), MemoryStore()
    batches = [replace(BATCH, batch_id=number, manifest=number + 1) for number in range(3)]
    told_of(settings, store, *batches)
    lines = [json.loads(line) for line in (tmp_path / "batches.jsonl").read_text().splitlines()]
    assert [line["batch_id"] for line in lines] == [0, 1, 2]
    assert last_batch(store, settings.storage) == lines[-1]
    assert [meta["path"] for meta in obstore.list(store).collect()] == ["p/state/progress.json"]
    found = samples((tmp_path / "fruits.prom").read_text())
    assert (found["fruits_batches_total", ""], found["fruits_lease_until_timestamp_seconds", ""]) == (3, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["batches.jsonl", "fruits.prom"]


def test_where_a_platform_collects_stdout_the_lines_go_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    told_of(load("local", ["stream.metrics_file=-"]), MemoryStore(), BATCH, replace(BATCH, batch_id=8))
    assert [json.loads(line)["batch_id"] for line in capfd.readouterr().out.splitlines()] == [7, 8]
    assert list(tmp_path.iterdir()) == []


def test_unless_asked_for_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told_of(load("local"), MemoryStore(), BATCH)
    assert list(tmp_path.iterdir()) == []


def test_while_nothing_lands_the_lease_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFRESH_SECONDS", 0.02)
    lease = Held(datetime.fromtimestamp(1000, UTC))
    name = "fruits_lease_until_timestamp_seconds", ""
    with Reports(to_files(tmp_path), MemoryStore(), lease):  # type: ignore[arg-type]
        told = tmp_path / "fruits.prom"
        wait_until(lambda: told.exists() and samples(told.read_text())[name] == 1000, step=0.02)
        lease.until = datetime.fromtimestamp(2000, UTC)
        wait_until(lambda: samples(told.read_text())[name] == 2000, step=0.02)


def test_a_place_that_fails_is_one_warning_until_it_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streaming.outlet")
    folder, bucket = tmp_path / "later", tmp_path / "bucket"
    settings = to_files(folder)
    bucket.mkdir()
    # A file where the store wants a folder.
    (bucket / "p").write_bytes(b"")
    store = LocalStore(bucket)
    with Reports(settings, store, Held()) as reports:  # type: ignore[arg-type]
        for number in range(3):
            reports.add(replace(BATCH, batch_id=number))
        wait_until(lambda: len(caplog.records) >= 3)
        for number in range(3, 6):
            reports.add(replace(BATCH, batch_id=number))
        wait_until(reports._batches.empty)
        warned = sorted(record.getMessage().split(" is not written")[0] for record in caplog.records)
        assert warned == sorted(
            [*map(str, (folder / "batches.jsonl", folder / "fruits.prom")), "p/state/progress.json"]
        )
        folder.mkdir()
        (bucket / "p").unlink()
        reports.add(replace(BATCH, batch_id=6))
    told = [json.loads(line)["batch_id"] for line in (folder / "batches.jsonl").read_text().splitlines()]
    assert told[-1] == 6
    assert (last_batch(store, settings.storage) or {})["batch_id"] == 6
    assert sum("written again" in record.getMessage() for record in caplog.records) == 3
    assert len(caplog.records) == 6


def test_a_store_that_hangs_holds_up_neither_batches_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(module.obstore, "put", lambda *_: released.wait(60))
    monkeypatch.setattr(module, "_GOODBYE_SECONDS", 0.1)
    begun = datetime.now(UTC)
    reports = Reports(load("local"), MemoryStore(), Held())  # type: ignore[arg-type]
    with reports:
        for _ in range(100):
            reports.add(BATCH)
    assert datetime.now(UTC) - begun < timedelta(seconds=5)
    released.set()
    reports._teller.join()


def test_the_backlog_is_what_later_manifests_list() -> None:
    store = MemoryStore()
    manifests = Manifests(store, "state/manifests")
    for number, count in enumerate((3, 1, 400), 1):
        manifests.create(number, [Landed(f"landing/{i}.jpg", "e", 1, LANDED) for i in range(count)])
    backlog = Backlog(manifests)
    assert [backlog.after(number) for number in range(4)] == [404, 401, 400, 0]
    obstore.put(store, "state/manifests/000000000004.jsonl", b"{")
    assert backlog.after(3) is None
    with pytest.raises(ContractError, match="damaged"):
        manifests.count(4)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_progress_is_no_progress(body: bytes) -> None:
    store, storage = MemoryStore(), load("local").storage
    assert last_batch(store, storage) is None
    obstore.put(store, "state/progress.json", body)
    assert last_batch(store, storage) is None
