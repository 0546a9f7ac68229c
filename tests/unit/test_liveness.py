"""What state a stream is in, as its lease tells, and how that is shown."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from conf.lease import Held, Holder
from scripts.accounting import Accounting
from scripts.liveness import State, liveness
from scripts.show import show_accounting

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


def test_a_person_reads_the_state_first_and_then_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    accounting = Accounting(
        stream=liveness(replace(HELD, expired=True)),
        last_batch={
            "at": "2026-05-04T11:00:00.000+00:00",
            "objects": 43,
            "images_per_second": 14.333,
            "oldest_age_seconds": 12.5,
        },
        landed=500,
        waiting=7,
        lag_seconds=5400,
        discovered=493,
        features=400,
        under_way=90,
        backlog=97,
        rejects={"corrupt": 2, "empty": 1},
        last_ingested=MOMENT,
        features_files=4,
        features_bytes=8_000_000,
        current=399,
    )
    show_accounting(asdict(accounting))
    said = capsys.readouterr().out
    first, *rest = said.splitlines()
    assert first.startswith("dead: process 4711 on another-host did not renew its lease")
    shown = " ".join(" ".join(rest).split())
    assert "7 of them wait for a stream, the oldest for 90 min" in shown
    assert "under way 90 a stream takes them up at its next start" in shown
    assert "features 400 of 399 keys, the last at 2026-05-04 12:00:30 UTC; 4 files of 2 MB" in shown
    assert "rejects 3 2 corrupt, 1 empty" in shown
    assert "last batch 43 at 2026-05-04 11:00:00 UTC: 14.3 a second; the oldest could be queried 12 s" in shown
