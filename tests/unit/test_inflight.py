"""Messages in flight: which may be deleted, whatever order things are told in."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.inflight import InFlight, Receipt
from streaming.manifests import Landed


def landed(key: str) -> Landed:
    return Landed(key, "e", 1, datetime(2026, 5, 4, tzinfo=UTC))


_MESSAGES = st.lists(st.sets(st.sampled_from("abcdef"), max_size=4), max_size=6)
_TAKEN = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 4)), max_size=8)


@settings(deadline=None)
@given(_MESSAGES, _TAKEN, st.integers(0, 5))
def test_a_message_is_settled_when_all_that_it_told_of_is_in_manifests_that_are_done(
    messages: list[set[str]], taken: list[tuple[str, int]], done: int
) -> None:
    in_flight = InFlight()
    for number, told in enumerate(messages):
        in_flight.add(Receipt(str(number), "first"), 0.0, [landed(key) for key in sorted(told)])
    for key, manifest in taken:
        in_flight.take([landed(key)], manifest)
    in_flight.settle(done)
    first_taken = dict(reversed(taken))
    settled = {str(n) for n, told in enumerate(messages) if all(first_taken.get(key, 9) <= done for key in told)}
    assert {receipt.message for receipt in in_flight.settled()} == settled
    assert {version.key for version in in_flight.untaken()} == set().union(*messages) - set(first_taken)


def test_each_version_is_fresh_once() -> None:
    in_flight = InFlight()
    assert in_flight.add(Receipt("m", "first"), 0.0, [landed("a"), landed("a"), landed("b")]) == [
        landed("a"),
        landed("b"),
    ]
    assert in_flight.add(Receipt("n", "first"), 0.0, [landed("b"), landed("c")]) == [landed("c")]


def test_of_a_message_delivered_again_only_the_newest_receipt_counts() -> None:
    in_flight = InFlight()
    old, new = Receipt("m", "old"), Receipt("m", "new")
    in_flight.add(old, 10.0, [landed("a")])
    assert in_flight.add(new, 20.0, [landed("a")]) == []
    in_flight.renew([old], 99.0)
    in_flight.forget([old])
    assert in_flight.ending(21.0) == [new]
    assert in_flight.ending(20.0) == []


def test_what_a_lost_message_told_of_is_not_fresh_when_it_comes_again() -> None:
    in_flight = InFlight()
    in_flight.add(Receipt("m", "old"), 0.0, [landed("a")])
    in_flight.forget(in_flight.all())
    assert in_flight.untaken() == [landed("a")]
    assert in_flight.add(Receipt("m", "new"), 0.0, [landed("a")]) == []
    in_flight.take([landed("a")], 1)
    in_flight.settle(1)
    assert in_flight.settled() == [Receipt("m", "new")]
