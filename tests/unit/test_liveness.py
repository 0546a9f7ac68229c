"""What state a stream is in, as its lease tells, and how that is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from conf.lease import Held, Holder
from scripts.liveness import State, liveness

MOMENT = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
ELSEWHERE = Holder("run", "another-host", 4711, "another-boot/pid:[1]/99")
HELD = Held('"e"', ELSEWHERE, MOMENT - timedelta(seconds=30), MOMENT, expired=False)


@pytest.mark.parametrize(
    ("lease", "state", "says"),
    [
        (None, State.NEVER_RAN, "no stream has worked here yet"),
        (HELD, State.RUNNING, "process 4711 on another-host has the lease until 2026-05-04 12:00:30 UTC"),
        (replace(HELD, holder=None), State.STOPPED, "it ended at 2026-05-04 12:00:00 UTC and gave its lease back"),
        # Given back long ago is stopped, not dead.
        (replace(HELD, holder=None, expired=True), State.STOPPED, "it ended at 2026-05-04 12:00:00 UTC"),
        (replace(HELD, expired=True), State.DEAD, "which ran out at 2026-05-04 12:00:30 UTC"),
        (replace(HELD, holder=Holder.this_process()), State.RUNNING, "has the lease"),
        (
            replace(HELD, holder=replace(Holder.this_process(), pid=2**22 + 1)),
            State.DEAD,
            "has ended and not given its lease back",
        ),
    ],
)
def test_a_lease_tells_the_state(lease: Held | None, state: State, says: str) -> None:
    found = liveness(lease)
    assert (found.state, says in found.says) == (state, True)
    assert "`fruits stream`" in found.says or state is State.RUNNING


def test_without_a_lease_what_was_listed_tells_that_a_stream_has_worked() -> None:
    found = liveness(None, worked=True)
    assert (found.state, "lease.json was deleted" in found.says) == (State.STOPPED, True)


def test_a_stream_that_runs_tells_since_when_and_how_much_of_its_lease_is_left() -> None:
    found = liveness(replace(HELD, now=MOMENT - timedelta(seconds=8), since=MOMENT - timedelta(hours=3)))
    assert (found.seconds, found.seconds_left, found.renewed) == (30, 8, HELD.written)
    assert "another-host, up since 2026-05-04 09:00:30 UTC, has the lease until" in found.says
