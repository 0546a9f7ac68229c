"""The audit: clean where all is accounted for, and each invariant that is broken on purpose is found."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from obstore.store import ObjectStore

from batch.refresh import run as refresh
from conf import forgetting
from conf.delta import data_files, open_table
from conf.errors import ContractError, StorageError
from conf.forgetting import Asked, Plan, Request
from conf.holders import Hold, holds, log_key
from conf.lease import Lease
from conf.s3 import object_store
from conf.settings import Settings, Storage
from scripts.auditing.audit import Audit, audit
from scripts.auditing.pins import asking, pin
from scripts.auditing.vectors import check_vectors
from scripts.drop import drop
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.fruits import fruits
from scripts.session import override
from streaming import leaving
from streaming.ledger import Saved, save
from streaming.manifests import Landed, Manifests
from streaming.reprocess import matching, rejected, relist
from streaming.seen import Seen
from streaming.stream import run as stream
from tests.integration.delta_log import append, commit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TODAY = datetime(2026, 5, 4, tzinfo=UTC)
FIRST, SECOND = Hold(LONG_AGO, "stream", "a1", 7, "a-host"), Hold(LONG_AGO + timedelta(days=1), "refresh", "b2", 8, "b")
STRANGER = Landed("landing/apple/stranger.jpg", "0", 1, LONG_AGO)


@dataclass(frozen=True)
class Store:
    """A store by hand: two manifests of three entries, one entry of each refused, and a third manifest under way."""

    storage: Storage
    store: ObjectStore

    @classmethod
    def make(cls, storage: Storage) -> "Store":
        made = cls(storage, object_store(storage))
        made.held_by(FIRST, SECOND)
        for number in (1, 2, 3):
            made.list(number)
        for number in (1, 2):
            *good, bad = entries(number)
            made.write("features", number, *good)
            made.write("rejects", number, bad)
        made.done(2)
        made.publish(1, *entries(1)[:2], *entries(2)[:2])
        made.fit(1)
        return made

    def list(self, number: int) -> None:
        assert Manifests(self.store, self.storage.state_key("manifests")).create(number, entries(number))

    def done(self, manifest: int) -> None:
        self.put("checkpoint/commits/1", b"v1\n{}")
        self.put("checkpoint/offsets/1", b"v1\n{}\n" + json.dumps({"manifest": manifest}).encode())

    def write(self, table: str, manifest: int, *versions: Landed, by: Hold = FIRST) -> None:
        commit(self.store, self.storage, table, manifest, versions, signed_by(by))

    def publish(self, pca_version: int, *versions: Landed) -> None:
        columns = {"key": [v.key for v in versions], "etag": [v.etag for v in versions]}
        rows = pa.table({**columns, "pca_version": pa.array([pca_version] * len(versions), pa.int64())})
        append(self.store, self.storage, "reduced", rows, info=signed_by(SECOND))

    def fit(self, pca_version: int) -> None:
        rows = pa.table({"pca_version": pa.array([pca_version], pa.int64())})
        append(self.store, self.storage, "pca_models", rows, info=signed_by(SECOND))

    def put(self, name: str, body: bytes) -> None:
        obstore.put(self.store, self.storage.state_key(name), body)

    def delete(self, name: str) -> None:
        obstore.delete(self.store, self.storage.state_key(name))

    def lose_log_of(self, *holders: Hold) -> None:
        for hold in holders:
            obstore.delete(self.store, log_key(self.storage, hold))

    def held_by(self, *holders: Hold) -> None:
        for hold in holders:
            obstore.put(self.store, log_key(self.storage, hold), b"")

    def sum_up(self, last: int, rebuilt: int = 0) -> None:
        seen = Seen(version for number in range(1, last + 1) for version in entries(number))
        save(self.store, self.storage.state_key("seen"), Saved(last, 3 * last, rebuilt, seen))

    def audit(self) -> Audit:
        return audit(self.storage, 100)


def entries(number: int) -> list[Landed]:
    return [Landed(f"landing/apple/{number}-{i}.jpg", f"{number}{i}", 10, LONG_AGO) for i in range(3)]


def signed_by(hold: Hold) -> dict[str, object]:
    return {"operation": "WRITE", "engineInfo": "by hand", "userMetadata": hold.signature()}


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store.make(settings.storage)


def codes(found: Audit) -> list[str]:
    return [finding.code for finding in found.findings]


def test_a_store_in_order_has_no_finding_and_is_told_as_it_is(store: Store) -> None:
    found = store.audit()
    assert codes(found) == []
    entries = found.entries
    assert (entries.listed, entries.features, entries.rejects, entries.under_way) == (9, 4, 2, 3)
    assert (found.vectors.reduced, found.vectors.pca_versions) == (4, (1,))
    assert found.versions == {"features": 1, "rejects": 1, "reduced": 0, "pca_models": 0}
    assert found.holders == (FIRST, SECOND)
    made = {(one.table, one.version): one for one in found.commits}
    assert len(made) == 6
    second = made["features", 1]
    assert second.by is not None
    assert (second.operation, second.rows, second.by.hold, second.engine) == ("WRITE", 2, FIRST, "by hand")


def test_an_empty_store_is_in_order(settings: Settings) -> None:
    found = audit(settings.storage, 100)
    assert (codes(found), found.versions, found.commits) == ([], {}, ())


def _lack_a_row(store: Store) -> None:
    store.list(4)
    store.write("features", 4, *entries(4)[:2])
    store.done(4)
    store.write("features", 3, *entries(3))


def _double_a_row(store: Store) -> None:
    store.write("features", 2, entries(2)[0])


def _be_in_both_tables(store: Store) -> None:
    store.write("rejects", 1, entries(1)[0])


def _add_a_row(store: Store) -> None:
    store.write("features", 2, STRANGER)


def _add_a_row_to_what_is_under_way(store: Store) -> None:
    store.write("features", 3, STRANGER)


def _add_a_row_of_no_manifest(store: Store) -> None:
    store.write("features", 9, STRANGER)


def _lose_a_manifest(store: Store) -> None:
    store.delete("manifests/000000000001.jsonl")


def _cut_a_manifest(store: Store) -> None:
    store.put("manifests/000000000001.jsonl", b'{"contract":1,"manifest":1,"entries":3,"created_at":"2020"}\n')


def _mix_models(store: Store) -> None:
    store.write("features", 3, *entries(3))
    store.publish(2, entries(3)[0])
    store.fit(2)


def _lose_the_model(store: Store) -> None:
    store.write("features", 3, *entries(3))
    store.publish(2, entries(3)[0])


def _reduce_what_is_not_there(store: Store) -> None:
    store.publish(1, Landed("landing/apple/1-2.jpg", "12", 1, LONG_AGO))


def _reduce_twice(store: Store) -> None:
    store.publish(1, entries(1)[0])


BROKEN: list[tuple[Callable[[Store], None], list[str], str]] = [
    (_lack_a_row, ["missing"], "landing/apple/4-2.jpg (manifest 4)"),
    (_double_a_row, ["doubled"], "landing/apple/2-0.jpg (manifest 2)"),
    (_be_in_both_tables, ["doubled"], "landing/apple/1-0.jpg (manifest 1)"),
    (_add_a_row, ["foreign"], "landing/apple/stranger.jpg (manifest 2)"),
    (_add_a_row_to_what_is_under_way, ["foreign"], "landing/apple/stranger.jpg (manifest 3)"),
    (_add_a_row_of_no_manifest, ["unlisted"], "landing/apple/stranger.jpg (manifest 9)"),
    (_lose_a_manifest, ["manifest_gone", "unlisted"], "in no sum of manifests: 1."),
    (_cut_a_manifest, ["manifest_damaged", "unlisted"], "lists 0 of 3 objects"),
    (_mix_models, ["mixed"], "4 of PCA version 1, 1 of PCA version 2"),
    (_lose_the_model, ["mixed", "model_lost"], "4 of PCA version 1, 1 of PCA version 2"),
    (_reduce_what_is_not_there, ["orphaned"], "landing/apple/1-2.jpg"),
    (_reduce_twice, ["reduced_doubled"], "landing/apple/1-0.jpg"),
]


@pytest.mark.parametrize(("break_it", "wanted", "names"), BROKEN)
def test_what_is_broken_on_purpose_is_found_and_named(
    store: Store, break_it: Callable[[Store], None], wanted: list[str], names: str
) -> None:
    break_it(store)
    found = store.audit()
    assert codes(found) == wanted
    assert names in found.findings[0].says
    assert found.findings[0].do


def test_operations_explains_every_finding_of_the_table_above() -> None:
    explained = OPERATIONS.read_text(encoding="utf-8")
    for code in {code for _, codes, _ in BROKEN for code in codes}:
        assert f"| `{code}` | failed |" in explained
    assert "| `forgetting` | note |" in explained
    for code in ("unsigned", "unlogged", "wrong_job", "late"):
        assert f"| `{code}` | warning |" in explained


def test_the_sum_of_all_manifests_vouches_for_rows_whose_manifest_is_gone(store: Store) -> None:
    store.sum_up(2)
    store.delete("manifests/000000000001.jsonl")
    found = store.audit()
    assert (codes(found), found.entries.vouched) == ([], 3)
    store.write("features", 1, STRANGER)
    assert codes(store.audit()) == ["unlisted"]


def test_what_was_given_up_when_the_state_was_made_anew_is_not_missing(store: Store) -> None:
    store.sum_up(3, rebuilt=3)
    store.done(5)
    for number in (4, 5):
        store.list(number)
        store.write("features", number, *entries(number))
    found = store.audit()
    assert (codes(found), found.entries.given_up) == ([], 3)


def begin_to_forget(store: Store, *versions: Landed) -> Request:
    names = tuple(version.name for version in versions)
    request = Request.new(Asked(keys=tuple(key for key, _ in names)), names)
    forgetting.ask(store.store, store.storage, replace(request, plan=Plan(versions=names, rows=names)))
    return request


def test_entries_that_were_forgotten_leave_no_gap_and_what_is_under_way_is_passed_over(store: Store) -> None:
    storage = store.storage
    request = begin_to_forget(store, entries(1)[0])
    leaving.begin(store.store, storage, request.id, 1)
    assert Manifests(store.store, storage.state_key("manifests")).forget(1, {entries(1)[0].name}) == 1
    found = store.audit()
    assert [(one.code, one.severity) for one in found.findings] == [("forgetting", "note")]
    assert (found.entries.forgotten, found.entries.going) == (1, 1)
    assert run_command(storage).exit_code == 0
    leaving.end(store.store, storage, request.id)
    forgotten(store, request)
    (finding,) = store.audit().findings
    assert (finding.code, finding.severity) == ("foreign", "failed"), "a row that should have gone"


def forgotten(store: Store, request: Request) -> None:
    obstore.delete(store.store, [forgetting.request_path(store.storage, request)])


@pytest.mark.parametrize(
    ("break_it", "code", "named"),
    [
        (_lack_a_row, "missing", entries(4)[2]),
        (_add_a_row, "foreign", STRANGER),
        (_add_a_row_of_no_manifest, "unlisted", STRANGER),
        (_reduce_what_is_not_there, "orphaned", entries(1)[2]),
    ],
)
def test_a_request_that_waits_hides_what_it_names_and_no_loss_of_anybody_else(
    store: Store, break_it: Callable[[Store], None], code: str, named: Landed
) -> None:
    break_it(store)
    forgetting.ask(store.store, store.storage, Request.new(Asked(keys=(named.key,)), [named.name]))
    found = store.audit()
    assert [(one.code, one.severity) for one in found.findings] == [("forgetting", "note"), (code, "failed")]
    request = begin_to_forget(store, entries(2)[1])
    assert codes(store.audit()) == ["forgetting", code]
    forgotten(store, request)
    begin_to_forget(store, named)
    assert codes(store.audit()) == ["forgetting"]


def test_a_model_that_goes_while_reduced_moves_on_is_not_lost(store: Store) -> None:
    then = pin(store.storage, store.store)
    then = replace(then, tables={name: table for name, table in then.tables.items() if name != "pca_models"})
    with asking(then) as connection:
        assert [one.code for one in check_vectors(then, connection)[1]] == ["model_lost"]
        store.publish(2)
        take_out = {"remove": {"path": "0.parquet", "dataChange": True, "deletionTimestamp": 0}}
        log = store.storage.table_key("reduced", f"_delta_log/{2:020}.json")
        obstore.put(store.store, log, json.dumps(take_out).encode())
        assert check_vectors(then, connection)[1] == []


def test_commits_that_nobody_signed_who_held_a_lease_are_found(store: Store) -> None:
    # One that says nothing of itself; delta-rs's history does not even count it.
    commit(store.store, store.storage, "rejects", 3, entries(3))
    (finding,) = store.audit().findings
    assert (finding.code, finding.severity) == ("unsigned", "warning")
    assert "1 commit that nobody signed: rejects version 2" in finding.says


@pytest.mark.parametrize("stranger", [replace(FIRST, run="c3"), replace(FIRST, pid=9), replace(FIRST, since=TODAY)])
def test_a_signature_that_is_in_no_log_of_the_leases_is_found(store: Store, stranger: Hold) -> None:
    store.write("features", 3, *entries(3), by=stranger)
    (finding,) = store.audit().findings
    assert (finding.code, finding.severity) == ("unlogged", "warning")
    assert "1 commit by a holder whom the log of the leases does not have: features version 2" in finding.says


@pytest.mark.parametrize(("lost", "commits"), [((FIRST, SECOND), 6), ((FIRST,), 4), ((SECOND,), 2)])
def test_a_log_of_the_leases_that_is_gone_or_cut_is_a_finding(
    store: Store, lost: tuple[Hold, ...], commits: int
) -> None:
    store.lose_log_of(*lost)
    (finding,) = store.audit().findings
    assert (finding.code, finding.severity) == ("unlogged", "warning")
    assert finding.says.startswith(f"{commits} commits ")


def test_a_job_that_writes_a_table_which_is_not_its_own_is_found(store: Store) -> None:
    store.write("features", 3, *entries(3), by=SECOND)
    (finding,) = store.audit().findings
    assert (finding.code, finding.severity) == ("wrong_job", "warning")
    assert "1 commit by a job whose table it is not: features version 2" in finding.says


def test_a_commit_after_its_lease_was_taken_over_is_found(store: Store) -> None:
    store.held_by(replace(FIRST, run="c3", since=LONG_AGO + timedelta(days=2)))
    (finding,) = store.audit().findings
    assert (finding.code, finding.severity) == ("late", "warning")
    assert "4 commits by a holder whose lease another had taken over" in finding.says


def test_of_those_that_took_a_lease_within_one_second_none_is_taken_for_late(store: Store) -> None:
    for run in ("0a", "b2", "ff"):
        store.held_by(replace(SECOND, run=run))
    assert store.audit().findings == ()


def test_so_many_commits_are_looked_at_as_was_asked(store: Store) -> None:
    assert [(one.table, one.version) for one in audit(store.storage, 1).commits] == [
        ("features", 1),
        ("rejects", 1),
        ("reduced", 0),
        ("pca_models", 0),
    ]
    assert audit(store.storage, 0).commits == ()


def run_command(storage: Storage, *words: str) -> Result:
    sets = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("endpoint", "prefix")]
    return CliRunner().invoke(fruits, ["audit", "--profile", "test", *sets, *words], catch_exceptions=False)


def test_the_command_ends_with_what_it_found(store: Store) -> None:
    clean = run_command(store.storage)
    assert (clean.exit_code, clean.stdout.splitlines()[-1]) == (0, "All is well.")
    assert "in no log" not in clean.stdout
    store.lose_log_of(FIRST)
    unknown = run_command(store.storage)
    assert unknown.exit_code == 1
    assert "stream, process 7 on a-host, who is in no log of leases" in " ".join(unknown.stdout.split())
    store.held_by(FIRST)
    hostile = Landed("landing/apple/\x1b[2J\nnothing is wrong.jpg", "0", 1, LONG_AGO)
    store.write("features", 2, hostile)
    said = run_command(store.storage)
    assert said.exit_code == 1
    assert "\x1b" not in said.stdout
    assert r"\x1b[2J\nnothing is wrong.jpg" in " ".join(said.stdout.split())
    told = run_command(store.storage, "--json")
    assert told.exit_code == 1
    found: dict[str, Any] = json.loads(told.stdout)
    assert [one["code"] for one in found["findings"]] == ["foreign"]
    assert found["commits"][0]["by"]["hold"]["run"] == "a1"


def test_a_damaged_checkpoint_is_one_message(store: Store) -> None:
    store.put("checkpoint/offsets/1", b"nothing")
    with pytest.raises(ContractError, match=r"Checkpoint file .* is damaged"):
        store.audit()


def test_a_data_file_that_is_gone_is_named(store: Store) -> None:
    opened = open_table(store.storage, "features")
    assert opened
    lost = min(data_files(opened, store.storage))
    obstore.delete(store.store, lost)
    with pytest.raises(StorageError, match=rf"^{re.escape(lost)} is gone, a data file of features .* Restore"):
        store.audit()


def test_the_log_of_leases_has_each_that_was_taken(settings: Settings) -> None:
    for job in ("stream", "refresh", "stream"):
        with Lease(settings.storage, 30, job) as lease:  # type: ignore[arg-type]
            now = lease.hold
        assert holds(object_store(settings.storage), settings.storage)[-1].since <= now.since
    log = holds(object_store(settings.storage), settings.storage)
    assert sorted(hold.job for hold in log) == ["refresh", "stream", "stream"]
    assert len({hold.run for hold in log}) == 3


def test_a_live_store_is_in_order_at_every_moment_and_all_its_commits_are_signed(
    spark: "SparkSession", settings: Settings
) -> None:
    settings = override(settings, "stream", max_files=4)
    objects = [*draw_photos(24, seed=5), *draw_bad_objects(seed=5)]
    drop(settings.storage, iter([(f"{one.label}/{one.name}", one.data) for one in objects]))
    looks: list[Audit] = []
    ended = Event()

    def look() -> None:
        while not ended.is_set():
            looks.append(audit(settings.storage, 1000))

    looking = Thread(target=look)
    looking.start()
    try:
        stream(spark, settings, once=True)
        refresh(spark, override(settings, "pca", k=2))
        store = object_store(settings.storage)
        relist(settings.storage, store, matching(["*"])(settings.storage, store))
        relist(settings.storage, store, rejected()(settings.storage, store))
        stream(spark, settings, once=True)
        refresh(spark, override(settings, "pca", k=2))
    finally:
        ended.set()
        looking.join()
    assert [codes(found) for found in looks if found.findings] == []
    assert len({found.entries.features for found in looks}) > 2
    last = audit(settings.storage, 1000)
    assert codes(last) == []
    assert (last.entries.under_way, last.entries.listed) == (0, last.entries.features + last.entries.rejects)
    assert last.vectors.pca_versions == (2,)
    assert [one for one in last.commits if one.by is None] == []
    jobs = {one.table: one.by.hold.job for one in last.commits if one.by}
    assert jobs == {"features": "stream", "rejects": "stream", "reduced": "refresh", "pca_models": "refresh"}
    writes = [one for one in last.commits if one.table == "features" and one.rows]
    assert all(one.by and one.by.batch is not None for one in writes)
    assert len(last.holders) == 4
