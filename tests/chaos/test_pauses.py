"""A stream that stands still for longer than its lease, while another takes its place."""

import signal
import time
from collections.abc import Callable
from threading import Event

import pytest

from tests.chaos.driver import Answer
from tests.chaos.ground import Ground
from tests.chaos.points import POINTS, Trap
from tests.waiting import wait_until


@pytest.mark.usefixtures("long_form")
def test_a_stream_that_wakes_up_after_its_lease_commits_nothing(ground: Ground) -> None:
    ground.drop(5, bad=3)
    answer = _paused(ground, "photograph read")
    assert answer.error == "LeaseError", answer.message
    assert "was lost to another stream" in answer.message
    ground.check()


@pytest.mark.usefixtures("long_form")
def test_a_stream_that_wakes_up_between_its_look_at_the_lease_and_its_commit_is_refused_by_the_table(
    ground: Ground,
) -> None:
    ground.drop(5, bad=3)
    answer = _paused(ground, "features written")
    ground.check()
    assert answer.error == "LeaseError", answer.message


@pytest.mark.usefixtures("long_form")
def test_a_commit_that_is_under_way_all_the_while_is_that_of_the_same_batch(ground: Ground) -> None:
    """What the lease cannot rule out: the store is asked before and hears of it after another stream has gone on."""
    ground.drop(5, bad=3)
    arrives = Event()
    answer = _paused(ground, "features not committed", underway=arrives, meanwhile=lambda: ground.drop(9, bad=3))
    assert answer.error == "LeaseError", answer.message
    ground.check()


def _paused(
    ground: Ground, point: str, *, underway: Event | None = None, meanwhile: Callable[[], None] = lambda: None
) -> Answer:
    """Stop a driver at a point, let another do all the work, and let the first go on; what that one says then."""
    with ground.driver() as first:
        stopped = Event()

        def stop() -> None:
            first.signal(signal.SIGSTOP)
            stopped.set()
            if underway:
                underway.wait(ground.patience)

        ground.faults.hook = Trap(POINTS[point], stop, lost=False)
        assert stopped.wait(ground.patience)
        ground.faults.hook = None
        wait_until(lambda: (held := ground.lease()) is not None and held.expired, ground.patience)
        meanwhile()
        ground.finish()
        ground.check()
        if underway:
            underway.set()
            time.sleep(1)
        first.signal(signal.SIGCONT)
        answer = first.wait(ground.patience)
    assert answer is not None
    assert (answer.features, answer.rejects) == (0, 0)
    return answer
