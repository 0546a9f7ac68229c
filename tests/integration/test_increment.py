"""What changed since a refit, as the log tells: with it, the sums of before become those of all rows that count now."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import obstore
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch import exact, increment, kept
from batch.changes import commit_digest
from batch.increment import AllRows, Increment, since
from batch.kept import Kept
from batch.pinning import Pinned, pin, whole
from batch.snapshot import Snapshot
from batch.statistics import Statistics
from conf.errors import ContractError, DataError
from conf.s3 import delta_options
from conf.settings import Settings
from scripts.session import override
from tests.integration.hand_written import D, HandWritten


def gathered(snapshots: Iterable[Snapshot]) -> Statistics:
    """What the workers would make of some snapshots."""
    batches = [
        batch for part in snapshots for number in range(len(part.parts)) for batch in exact.summarize(part, number)
    ]
    found = exact._merge(batches)
    return found if found.n else Statistics.empty(D)


def updated(before: Statistics, changed: Increment) -> Statistics:
    return before + gathered(changed.came) - gathered(changed.went)


class Table(HandWritten):
    """A features table, and what a refit leaves of it."""

    def pinned(self) -> Pinned:
        return pin(self.storage)

    def left(self) -> Kept:
        """What a refit of all rows leaves."""
        pinned = self.pinned()
        rows = whole(pinned, 2)
        return self.of(pinned, rows, gathered([rows]))

    def of(self, pinned: Pinned, rows: Snapshot, sums: Statistics, refits: int = 0) -> Kept:
        commit = commit_digest(self.store, self.storage, pinned.version)
        assert commit is not None
        return Kept(pinned.table_id, pinned.version, commit, pinned.model_id, rows.superseded, sums, refits, "")

    def since(self, left: Kept) -> Increment:
        found = since(self.store, self.pinned(), left, 2)
        assert isinstance(found, Increment), found
        return found

    def why_all_rows(self, left: Kept) -> str:
        found = since(self.store, self.pinned(), left, 2)
        assert isinstance(found, AllRows), found
        return found.why


def assert_same(found: Statistics, expected: Statistics) -> None:
    assert found.n == expected.n
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=0, atol=1e-9 * max(np.trace(expected.scatter), 1))


UNTOLD = "the log of features does not tell all that has changed since version 1"


@pytest.fixture
def table(settings: Settings) -> Table:
    return Table(settings.storage)


photographs = st.lists(st.integers(0, 40), min_size=1, max_size=8)
operations = st.one_of(
    st.tuples(st.just("append"), photographs),
    st.tuples(st.just("append"), photographs),
    st.tuples(st.just("of another model"), photographs),
    st.tuples(st.just("delete"), st.tuples(st.integers(0, 40), st.none() | st.integers(1, 6))),
    st.tuples(st.just("compact"), st.none() | st.integers(2, 4)),
    st.tuples(st.just("restore"), st.integers(1, 4)),
    st.tuples(st.just("refit"), st.none()),
    st.tuples(st.just("refit"), st.none()),
)


@hypothesis_settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(operations, min_size=3, max_size=12))
def test_running_sums_are_those_of_all_rows_whatever_happens_between(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, Any]]
) -> None:
    # However much has changed: whether it is worth it is another test's matter.
    monkeypatch.setattr(increment, "_MOST", 1e9)
    storage = override(settings, "storage", prefix=f"{settings.storage.prefix}{uuid4().hex}/").storage
    table = Table(storage)
    table.append(range(30))
    left = table.left()
    for what, argument in [*steps, ("refit", None)]:
        if what == "append":
            table.append(argument)
        elif what == "of another model":
            table.append(argument, model="another/model/id")
        elif what == "delete":
            table.delete(*argument)
        elif what == "compact":
            table.compact(argument)
        elif what == "restore":
            table.restore(max(1, table.version - argument))
        else:
            pinned = table.pinned()
            changed = since(table.store, pinned, left, 2)
            rows = whole(pinned, 2)
            expected = table.statistics()
            assert_same(gathered([rows]), expected)
            found = expected
            if isinstance(changed, Increment):
                found = updated(left.statistics, changed)
                assert_same(found, expected)
                assert changed.superseded == rows.superseded
            left = table.of(pinned, rows, found, left.refits + 1)


def test_only_the_files_of_what_came_are_read(table: Table) -> None:
    table.append(range(1000))
    left = table.left()
    table.append(range(1000, 1010))
    changed = table.since(left)
    (came,) = changed.came
    assert sum(split.stop - split.start for splits in came.parts for split in splits) < 20_000
    assert changed.went == ()
    assert gathered(changed.came).n == 10


def test_an_overwritten_photograph_is_taken_away_and_its_successor_added(table: Table) -> None:
    table.append(range(1000))
    for _ in range(4):
        table.append([5])  # files of their own, so that little is to be read
    left = table.left()
    table.append([5])
    changed = table.since(left)
    assert (gathered(changed.came).n, gathered(changed.went).n) == (1, 1)
    assert_same(updated(left.statistics, changed), table.statistics())


def test_where_nothing_came_there_is_nothing_to_read(table: Table) -> None:
    table.append(range(50))
    table.append([99])
    left = table.left()
    assert table.since(left) == Increment((), (), frozenset())
    table.compact()
    assert table.since(left) == Increment((), (), frozenset())


def test_small_files_that_became_one_are_read_as_the_one(table: Table) -> None:
    table.append(range(1000))
    left = table.left()
    for number in range(20):
        table.append([2000 + number])
    table.compact(20)
    changed = table.since(left)
    ((one,),) = changed.came[0].parts
    assert one.key.removeprefix(table.folder) in table.files
    assert_same(updated(left.statistics, changed), table.statistics())


def test_where_much_has_changed_all_is_read(table: Table) -> None:
    table.append(range(100))
    left = table.left()
    table.append(range(100, 400))
    assert table.why_all_rows(left) == "more than half of features has changed since the last refit"


def test_where_most_of_what_counted_has_gone_all_is_read(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(increment, "_worth", lambda *_: True)
    table.append(range(100))
    left = table.left()
    for number in range(60):
        table.delete(number)
    assert table.why_all_rows(left) == "more than half of the rows that the last refit saw count no more"


def test_where_the_log_was_cut_all_is_read(table: Table) -> None:
    table.append(range(1000))
    left = table.left()
    table.append([2000])
    DeltaTable(
        table.storage.table_uri("features", "s3"), storage_options=delta_options(table.storage)
    ).create_checkpoint()
    obstore.delete(table.store, f"{table.folder}_delta_log/{table.version:020}.json")
    assert table.why_all_rows(left) == UNTOLD


def test_where_a_compaction_of_old_and_new_files_was_undone_all_is_read(table: Table) -> None:
    table.append(range(1000))
    left = table.left()
    table.append(range(1000, 1010))
    before = table.version
    table.compact()
    assert table.since(left).rows_added == 10
    table.restore(before)
    assert table.why_all_rows(left) == UNTOLD
    table.restore(before + 1)
    assert table.why_all_rows(left) == UNTOLD


@pytest.mark.parametrize("statement", ["UPDATE", "MERGE"])
def test_where_rows_were_changed_in_place_all_is_read(table: Table, statement: str) -> None:
    table.append(range(1000))
    left = table.left()
    table.rewrite(statement)
    assert table.why_all_rows(left) == UNTOLD


def test_where_what_went_was_deleted_for_good_all_is_read(table: Table) -> None:
    table.append(range(1000))
    table.append([2000, 2001])
    left = table.left()
    table.delete(2000)
    assert table.since(left).rows_removed == 1
    table.vacuum()
    assert table.why_all_rows(left) == "files that the last refit saw have been deleted for good"
    assert_same(table.left().statistics, table.statistics())


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"table_id": "another"}, "features is another table than at the last refit"),
        ({"model_id": "another"}, "the last refit was of another model's features"),
        ({"features_version": 99}, "the log of features has version 99, that of the last refit, no more"),
        ({"commit": "another"}, "the log of features has version 1, that of the last refit, no more"),
    ],
)
def test_sums_of_another_history_are_of_no_use(table: Table, other: dict[str, Any], why: str) -> None:
    table.append(range(1000))
    left = replace(table.left(), **other)
    table.append([2000])
    assert table.why_all_rows(left) == why


def test_what_is_kept_comes_back(table: Table) -> None:
    assert kept.restore(table.store, table.storage) is None
    table.append(range(30))
    table.append(range(10))
    left = replace(table.left(), refits=7)
    assert len(left.superseded) == 10
    kept.save(table.store, table.storage, left)
    found = kept.restore(table.store, table.storage)
    assert found is not None
    assert found.statistics.to_bytes() == left.statistics.to_bytes()
    assert replace(found, statistics=left.statistics) == left


@pytest.mark.parametrize("at", [0, 3, 5, 12, 200, -3])
def test_what_is_damaged_is_told(table: Table, at: int) -> None:
    table.append(range(30))
    data = bytearray(table.left().to_bytes())
    data[at] ^= 0x40
    with pytest.raises((DataError, ContractError), match="statistics"):
        Kept.from_bytes(bytes(data))
    with pytest.raises(DataError, match="statistics"):
        Kept.from_bytes(bytes(data[:at]))
