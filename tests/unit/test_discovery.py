"""Discovery: everything once, in bounded pieces, whatever the order it lands in."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import discovery as module
from streaming.admission import Limits
from streaming.discovery import Discovery, Relisting
from streaming.listing import Listing
from streaming.manifests import Landed
from streaming.seen import Seen

MOMENT = datetime(2026, 5, 4, tzinfo=UTC)


def landed(key: str, etag: str = "e", size: int = 10) -> Landed:
    return Landed(f"landing/{key}", etag, size, MOMENT)


class Zone:
    """Arrivals that are shown as they are, as often as is looked."""

    def __init__(self, look: Callable[[], Iterable[Landed]]) -> None:
        self._look = look
        self.told: list[tuple[Landed, int]] = []

    def look(self) -> Iterator[Landed]:
        return iter(self._look())

    def taken(self, versions: Iterable[Landed], manifest: int) -> None:
        self.told.extend((version, manifest) for version in versions)

    def done(self, manifest: int) -> None: ...

    def close(self) -> None: ...


class Known(Seen):
    last = 7


class Drained:
    """A discovery whose pieces become manifests at once."""

    def __init__(self, look: Callable[[], Iterable[Landed]], files: int = 10, size: int = 1000) -> None:
        self.seen = Known()
        self.now = 0.0
        self.zone = Zone(look)
        self.discovery = Discovery(self.zone, self.seen, lambda: self.now)
        self.limits = Limits(files, size, seconds=1.0)

    def pieces(self) -> Iterator[tuple[Landed, ...]]:
        while piece := self.discovery.next_piece(self.limits):
            self.seen.add(piece)
            yield piece


@given(st.lists(st.tuples(st.text(max_size=5), st.sampled_from("ab"), st.integers(0, 300)), unique_by=lambda e: e[:2]))
def test_every_version_once_in_pieces_within_limits(entries: list[tuple[str, str, int]]) -> None:
    versions = [landed(*entry) for entry in entries]
    pieces = list(Drained(lambda: versions, files=3, size=200).pieces())
    assert [version for piece in pieces for version in piece] == versions
    for piece in pieces:
        assert len(piece) <= 3
        assert len(piece) == 1 or sum(version.size for version in piece) <= 200


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("12")), max_size=30), st.integers(1, 4))
def test_what_is_heard_of_twice_is_taken_once(heard: list[tuple[str, str]], files: int) -> None:
    versions = [landed(*version) for version in heard]
    taken = [version for piece in Drained(lambda: versions, files=files).pieces() for version in piece]
    assert taken == list(dict.fromkeys(versions))


def test_what_manifests_list_is_not_found_again_after_a_restart() -> None:
    versions = [landed("a"), landed("b")]
    drained = Drained(lambda: versions)
    drained.seen.add(versions[:1])
    assert list(drained.pieces()) == [(versions[1],)]


def test_an_overwritten_object_is_a_new_version() -> None:
    zone = [landed("a", "old")]
    drained = Drained(lambda: zone)
    assert len(list(drained.pieces())) == 1
    zone[0] = landed("a", "new")
    assert list(drained.pieces()) == [(landed("a", "new"),)]


def test_a_late_key_is_found_wherever_it_sorts() -> None:
    zone = [landed("m")]
    drained = Drained(lambda: zone)
    list(drained.pieces())
    zone.insert(0, landed("a"))
    assert list(drained.pieces()) == [(landed("a"),)]


def test_a_backlog_is_looked_at_no_further_than_one_piece_needs() -> None:
    pulled = 0

    def endless() -> Iterator[Landed]:
        nonlocal pulled
        while True:
            pulled += 1
            yield landed(str(pulled))

    assert len(next(Drained(endless, files=5, size=10**9).pieces())) == 5
    assert pulled == 5


def test_a_backlog_of_many_pieces_is_looked_at_once() -> None:
    looks = 0

    def backlog() -> Iterator[Landed]:
        nonlocal looks
        looks += 1
        for number in range(20):
            yield landed(str(number))

    pieces = Drained(backlog, files=5).pieces()
    assert [len(next(pieces)) for _ in range(4)] == [5, 5, 5, 5]
    assert looks == 1


def test_one_object_larger_than_the_limit_is_a_piece_of_its_own() -> None:
    versions = [landed("small"), landed("huge", size=10**12), landed("small too")]
    assert [[version.key for version in piece] for piece in Drained(lambda: versions).pieces()] == [
        ["landing/small"],
        ["landing/huge"],
        ["landing/small too"],
    ]


def test_what_is_found_does_not_wait_for_the_end_of_a_long_look() -> None:
    drained = Drained(lambda: slowly())

    def slowly() -> Iterator[Landed]:
        for number in range(8):
            drained.now += 0.4
            yield landed(str(number))

    pieces = drained.pieces()
    assert [len(piece) for piece in pieces] == [3, 3, 2]


def test_nor_while_nothing_but_what_is_known_comes() -> None:
    drained = Drained(lambda: slowly())
    drained.seen.add([landed(str(number)) for number in range(1, 100)])

    def slowly() -> Iterator[Landed]:
        for number in range(101):
            drained.now += 0.4
            yield landed(str(number))

    pieces = drained.pieces()
    assert [version.key for version in next(pieces)] == ["landing/0"]
    assert drained.now < 2
    assert [version.key for version in next(pieces)] == ["landing/100"]


def test_a_page_that_is_slow_to_come_is_taken_whole() -> None:
    drained = Drained(lambda: slowly())

    def slowly() -> Iterator[Landed]:
        drained.now += 5
        yield from (landed(str(number)) for number in range(8))

    assert [len(piece) for piece in drained.pieces()] == [8]


def test_what_is_known_already_is_told_to_be_taken() -> None:
    drained = Drained(lambda: [landed("a"), landed("b")])
    drained.seen.add([landed("a")])
    next(drained.pieces())
    assert drained.zone.told == [(landed("a"), 7)]


class Shown(Listing):
    """A listing of what there is, without a store."""

    def __init__(self, versions: list[Landed]) -> None:
        self.versions = versions
        self.listings = 0

    def look(self) -> Iterator[Landed]:
        self.listings += 1
        return iter(self.versions)


def test_beside_a_queue_the_zone_is_listed_now_and_then_and_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RELISTED", 2)
    now = 0.0
    listing, event = Shown([landed(str(number)) for number in range(5)]), landed("event")
    arrivals = Relisting(Zone(lambda: [event]), listing, 60, lambda: now)
    # At the start all of it, for what came before there was a queue.
    assert list(arrivals.look()) == [event, *listing.versions]
    assert list(arrivals.look()) == [event]
    now = 61.0
    parts = [list(arrivals.look()) for _ in range(4)]
    assert parts == [
        [event, *listing.versions[:2]],
        [event, *listing.versions[2:4]],
        [event, listing.versions[4]],
        [event],
    ]
    assert listing.listings == 2
