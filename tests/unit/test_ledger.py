"""The ledger: a restart costs little, and knows exactly what the manifests list."""

from datetime import UTC, datetime

import obstore
import pytest
from obstore.store import MemoryStore

from conf.errors import ContractError, StateError
from conf.settings import Storage
from streaming import forgotten, leaving
from streaming import ledger as module
from streaming.ledger import Ledger, Saved, save, saved_numbers
from streaming.manifests import Landed, Manifests
from streaming.seen import Seen

MOMENT = datetime(2026, 5, 4, tzinfo=UTC)
STORAGE = Storage(bucket="fruits")


def version(number: int) -> Landed:
    return Landed(f"landing/{number}.jpg", "e", 1, MOMENT)


def write(store: MemoryStore, count: int) -> None:
    """One manifest each for as many object versions, entered as a stream does."""
    ledger = Ledger(store, STORAGE)
    for number in range(ledger.last + 1, ledger.last + 1 + count):
        ledger.manifests.create(number, [version(number)])
        ledger.add(number, [version(number)])


@pytest.fixture(autouse=True)
def saved_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANIFESTS_BETWEEN", 10)


def assert_knows(store: MemoryStore, count: int) -> None:
    ledger = Ledger(store, STORAGE)
    assert (ledger.last, ledger.listed, len(ledger)) == (count, count, count)
    assert all(version(number) in ledger for number in range(1, count + 1))
    assert version(count + 1) not in ledger


def test_a_restart_knows_all_and_reads_only_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    write(store, 25)
    assert saved_numbers(store, "state/seen") == [20]
    read: list[int] = []
    whole = Manifests.load
    monkeypatch.setattr(Manifests, "load", lambda self, number: read.append(number) or whole(self, number))
    assert_knows(store, 25)
    assert sorted(read) == [21, 22, 23, 24, 25]


def test_what_was_saved_and_lost_or_damaged_is_read_from_the_manifests(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    write(store, 12)
    path = "state/seen/000000000010"
    obstore.put(store, path, bytes(obstore.get(store, path).bytes())[:-3])
    assert_knows(store, 12)
    assert "damaged" in caplog.text
    obstore.delete(store, path)
    assert_knows(store, 12)


def test_a_version_listed_again_counts_again() -> None:
    store = MemoryStore()
    write(store, 3)
    ledger = Ledger(store, STORAGE)
    ledger.manifests.create(4, [version(2)])
    ledger.add(4, [version(2)])
    assert (ledger.listed, len(ledger)) == (4, 3)


def test_a_gap_is_refused() -> None:
    store = MemoryStore()
    write(store, 5)
    obstore.delete(store, "state/manifests/000000000003.jsonl")
    with pytest.raises(ContractError, match=r"000000000003\.jsonl is gone"):
        Ledger(store, STORAGE)


def test_where_a_rebuilt_ledger_begins_is_kept() -> None:
    store = MemoryStore()
    save(store, "state/seen", Saved(7, 3, 7, Seen([version(1), version(2)])))
    write(store, 12)
    ledger = Ledger(store, STORAGE)
    assert (saved_numbers(store, "state/seen"), ledger.last, ledger.rebuilt) == ([17], 19, 7)
    assert ledger.listed == 3 + 12
    assert version(1) in ledger
    with pytest.raises(StateError, match=r"of 21 manifests the last 2 are gone.*--rebuild-state"):
        ledger.check(21)


def test_what_is_forgotten_is_in_no_list_and_no_sum_and_still_counts_as_listed() -> None:
    store = MemoryStore()
    write(store, 12)
    (gone, later), manifests = (version(3), version(11)), Manifests(store, "state/manifests")
    forgotten.remember(store, STORAGE, [gone.name, later.name])
    leaving.begin(store, STORAGE, "a request", 2)
    for _ in range(2):
        # Done again, nothing changes.
        module.forget(store, STORAGE, [gone.name, later.name])
        for number in range(1, 13):
            manifests.forget(number, {gone.name, later.name})
        leaving.begin(store, STORAGE, "a request", 2)
    assert [manifests.count(number) for number in (3, 4)] == [1, 1]
    assert (manifests.read(3), len(manifests.read(4))) == ((), 1)
    ledger = Ledger(store, STORAGE)
    assert (ledger.last, ledger.listed, len(ledger)) == (12, 12, 10)
    # What it has of them, it cannot have without the secret.
    assert gone in ledger
    assert later in ledger
    obstore.put(store, "state/forgotten/secret", b"another")
    with pytest.raises(StateError, match="could be taken in again"):
        Ledger(store, STORAGE)
    obstore.delete(store, ["state/forgotten/versions"])
    assert gone not in Ledger(store, STORAGE)
    assert [module.listed_up_to(store, STORAGE, number) for number in (10, 12)] == [8, 10]
    leaving.end(store, STORAGE, "a request")
    leaving.end(store, STORAGE, "a request")
    assert module.listed_up_to(store, STORAGE, 12) == 10
