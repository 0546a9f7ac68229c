"""Seen: exact for every version, small, and the same after a restart."""

import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import seen as module
from streaming.manifests import Landed
from streaming.seen import Seen

MOMENT = datetime(2026, 5, 4, tzinfo=UTC)
PAIRS = st.lists(st.tuples(st.text(max_size=4), st.sampled_from("ab")), max_size=60)


def version(key: str, etag: str = "e") -> Landed:
    return Landed(key, etag, 1, MOMENT)


@given(PAIRS, PAIRS)
def test_it_knows_what_it_was_told_and_nothing_else(told: list[tuple[str, str]], asked: list[tuple[str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Merges often, so that the sorted part is asked as well as the recent one.
        patch.setattr(module, "_RECENT", 3)
        seen = Seen(version(*pair) for pair in told)
        for pair in asked:
            assert (version(*pair) in seen) == (pair in told)
        assert len(seen) == len(set(told))


@given(PAIRS)
def test_it_comes_back_the_same(told: list[tuple[str, str]]) -> None:
    seen = Seen.from_bytes(Seen(version(*pair) for pair in told).to_bytes())
    assert len(seen) == len(set(told))
    assert all(version(*pair) in seen for pair in told)
    seen.add([version("one more")])
    assert version("one more") in seen


def test_key_and_etag_are_not_one_string() -> None:
    assert version("a", "bc") not in Seen([version("ab", "c")])


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-1] + b"!", lambda data: b"", bytes.upper]
)
def test_a_damaged_one_is_not_believed(damage: object) -> None:
    data = Seen([version("a"), version("b")]).to_bytes()
    assert callable(damage)
    with pytest.raises((ValueError, KeyError)):
        Seen.from_bytes(damage(data))


def test_a_hundred_thousand_take_little_memory() -> None:
    tracemalloc.start()
    seen = Seen(version(str(number)) for number in range(100_000))
    data = seen.to_bytes()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) < 16 * 100_000 + 200
    assert held - len(data) < 20 * 100_000
