"""Manifests: written once, read back the same, never guessed at."""

from datetime import UTC, datetime, timedelta

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from conf.errors import ContractError
from streaming.manifests import Landed, Listed, Manifests

MOMENT = datetime(2026, 5, 4, 3, 2, 1, 123000, tzinfo=UTC)


def manifests() -> Manifests:
    return Manifests(MemoryStore(), "state/manifests")


@given(
    st.lists(st.tuples(st.text(min_size=1), st.text(alphabet="0123456789abcdef-", min_size=1), st.integers(0, 2**50)))
)
def test_any_keys_come_back_exactly(entries: list[tuple[str, str, int]]) -> None:
    written = [Landed(key, etag, size, MOMENT) for key, etag, size in entries]
    kept = manifests()
    assert kept.create(7, written)
    assert kept.read(7) == tuple(Listed(key, etag, size, MOMENT, 7) for key, etag, size in entries)


def test_a_manifest_is_never_replaced() -> None:
    kept = manifests()
    assert kept.create(1, [Landed("landing/a.jpg", "e1", 1, MOMENT)])
    assert not kept.create(1, [Landed("landing/b.jpg", "e2", 2, MOMENT)])
    assert [version.key for version in kept.read(1)] == ["landing/a.jpg"]


def test_they_are_found_by_number() -> None:
    kept = manifests()
    for number in (1, 2, 1_000_000):
        kept.create(number, [])
    assert sorted(kept.numbers()) == [1, 2, 1_000_000]
    assert sorted(kept.numbers(after=2)) == [1_000_000]
    assert kept.exists(2)
    assert not kept.exists(3)
    written = kept.written_at(2)
    assert written is not None
    assert abs(datetime.now(UTC) - written) < timedelta(hours=1)
    assert kept.written_at(3) is None


def test_a_missing_one_says_what_was_lost() -> None:
    with pytest.raises(ContractError, match=r"000000000003\.jsonl is gone"):
        manifests().read(3)


def test_one_cut_short_is_not_read_as_a_shorter_list() -> None:
    store = MemoryStore()
    kept = Manifests(store, "m")
    kept.create(1, [Landed(f"landing/{i}.jpg", "e", 1, MOMENT) for i in range(3)])
    whole = bytes(obstore.get(store, "m/000000000001.jsonl").bytes())
    obstore.put(store, "m/000000000001.jsonl", b"".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(ContractError, match="lists 2 of 3 objects"):
        kept.read(1)


def test_one_of_another_contract_is_refused() -> None:
    store = MemoryStore()
    obstore.put(store, "m/000000000001.jsonl", b'{"contract":99,"manifest":1,"entries":0}\n')
    with pytest.raises(ContractError, match="contract 99; this version reads 1"):
        Manifests(store, "m").read(1)


def test_one_cut_within_a_line_is_damaged_not_a_defect() -> None:
    store = MemoryStore()
    kept = Manifests(store, "m")
    kept.create(1, [Landed("landing/1.jpg", "e", 1, MOMENT)])
    whole = bytes(obstore.get(store, "m/000000000001.jsonl").bytes())
    obstore.put(store, "m/000000000001.jsonl", whole[:-10])
    with pytest.raises(ContractError, match="damaged"):
        kept.read(1)
