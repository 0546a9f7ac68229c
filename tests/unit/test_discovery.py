"""Discovery: everything once, in bounded pieces, whatever the order it lands in."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.discovery import Discovery, Seen, is_photograph
from streaming.manifests import Landed

MOMENT = datetime(2026, 5, 4, tzinfo=UTC)


def landed(key: str, etag: str = "e", size: int = 10) -> Landed:
    return Landed(f"landing/{key}", etag, size, MOMENT)


def drain(discovery: Discovery) -> Iterator[tuple[Landed, ...]]:
    while piece := discovery.next_piece():
        discovery.mark_seen(piece)
        yield piece


@given(st.lists(st.tuples(st.text(max_size=5), st.sampled_from("ab"), st.integers(0, 300)), unique_by=lambda e: e[:2]))
def test_every_version_once_in_pieces_within_limits(entries: list[tuple[str, str, int]]) -> None:
    versions = [landed(*entry) for entry in entries]
    pieces = list(drain(Discovery(lambda: iter(versions), Seen(), max_files=3, max_bytes=200)))
    assert [version for piece in pieces for version in piece] == versions
    for piece in pieces:
        assert len(piece) <= 3
        assert len(piece) == 1 or sum(version.size for version in piece) <= 200


def test_what_manifests_list_is_not_found_again_after_a_restart() -> None:
    versions = [landed("a"), landed("b")]
    assert list(drain(Discovery(lambda: iter(versions), Seen(versions[:1]), 10, 1000))) == [(versions[1],)]


def test_an_overwritten_object_is_a_new_version() -> None:
    zone = [landed("a", "old")]
    discovery = Discovery(lambda: iter(zone), Seen(), 10, 1000)
    assert len(list(drain(discovery))) == 1
    zone[0] = landed("a", "new")
    assert list(drain(discovery)) == [(landed("a", "new"),)]


def test_a_late_key_is_found_wherever_it_sorts() -> None:
    zone = [landed("m")]
    discovery = Discovery(lambda: iter(zone), Seen(), 10, 1000)
    list(drain(discovery))
    zone.insert(0, landed("a"))
    assert list(drain(discovery)) == [(landed("a"),)]


def test_a_backlog_is_listed_no_further_than_one_piece_needs() -> None:
    pulled = 0

    def endless() -> Iterator[Landed]:
        nonlocal pulled
        while True:
            pulled += 1
            yield landed(str(pulled))

    discovery = Discovery(endless, Seen(), max_files=5, max_bytes=10**9)
    assert len(discovery.next_piece()) == 5
    assert pulled == 5


def test_one_object_larger_than_the_limit_is_a_piece_of_its_own() -> None:
    versions = [landed("small"), landed("huge", size=10**12), landed("small too")]
    pieces = list(drain(Discovery(lambda: iter(versions), Seen(), 10, 1000)))
    assert [[version.key for version in piece] for piece in pieces] == [
        ["landing/small"],
        ["landing/huge"],
        ["landing/small too"],
    ]


@pytest.mark.parametrize(
    "path", ["apple/1.jpg", "1.jpg", "a b/ü+%20#.jpeg", "deep/er/apple/1.JPG", "apple/no-extension"]
)
def test_what_is_dropped_is_meant_as_a_photograph(path: str) -> None:
    assert is_photograph(path)


@pytest.mark.parametrize(
    "path", ["apple/", "", "_SUCCESS", "apple/.DS_Store", "_tmp/1.jpg", ".hidden/1.jpg", "apple/_x.jpg"]
)
def test_markers_and_hidden_files_are_not(path: str) -> None:
    # An empty path is the landing zone's own folder marker, "landing/".
    assert not is_photograph(path)
