"""Admission: batches last as long as they should, on any machine."""

import pytest

from conf.settings import Stream
from streaming.admission import Admission


class Machine:
    """Featurizes so many photographs a second, behind a fixed second for each batch."""

    def __init__(self, per_second: float, stream: Stream, tasks: int = 2) -> None:
        self.now = 0.0
        self.per_second = per_second
        self.admission = Admission(stream, tasks, lambda: self.now)

    def batch(self, waiting: int) -> tuple[int, float]:
        """Photographs and seconds of the next batch, where so many wait."""
        files = min(waiting, self.admission.limits().files)
        self.admission.admitted(files, more=files < waiting)
        seconds = 1 + files / self.per_second
        self.now += seconds
        return files, seconds


@pytest.mark.parametrize("per_second", [0.5, 20, 120, 10_000])
def test_under_a_backlog_batches_grow_to_a_minute_and_stay(per_second: float) -> None:
    machine = Machine(per_second, Stream(max_files=10**9))
    seconds = [machine.batch(10**9)[1] for _ in range(20)]
    assert seconds[0] < 300
    assert all(50 < lasted < 70 for lasted in seconds[10:])


def test_a_quick_machine_starts_small_and_is_large_soon() -> None:
    machine = Machine(120, Stream())
    files = [machine.batch(10**9)[0] for _ in range(8)]
    assert files[0] == 128
    assert files == sorted(files)
    assert files[6] > 5000


def test_after_a_backlog_a_batch_is_again_a_few_seconds() -> None:
    machine = Machine(120, Stream())
    for _ in range(8):
        machine.batch(10**9)
    machine.batch(3)
    files, seconds = machine.batch(10**9)
    assert seconds < 6
    assert files > 300


def test_the_fixed_limits_hold_whatever_was_measured() -> None:
    machine = Machine(10_000, Stream(max_files=50, max_bytes=7))
    assert [machine.batch(10**9)[0] for _ in range(5)] == [50] * 5
    assert machine.admission.limits().size == 7


def test_a_machine_that_slows_down_gets_less() -> None:
    machine = Machine(120, Stream())
    for _ in range(8):
        before, _ = machine.batch(10**9)
    machine.per_second = 6
    machine.batch(10**9)
    after, seconds = machine.batch(10**9)
    assert after < before / 10
    assert seconds < 70


def test_a_look_that_takes_long_makes_no_end_of_a_backlog() -> None:
    machine = Machine(120, Stream())
    for _ in range(8):
        full, _ = machine.batch(10**9)
    # The look was cut short: less was found than a batch may hold, and more waits.
    machine.admission.limits()
    machine.admission.admitted(100, more=True)
    machine.now += 1 + 100 / 120
    assert machine.admission.limits().files > full / 3


def test_batches_of_a_look_that_finds_little_for_long_change_nothing() -> None:
    machine = Machine(120, Stream())
    first = machine.admission.limits()
    for _ in range(8):
        machine.admission.admitted(1, more=True)
        machine.now += 1
        assert machine.admission.limits() == first


def test_nothing_waiting_changes_nothing() -> None:
    machine = Machine(120, Stream())
    first = machine.admission.limits()
    machine.now += 1000
    assert machine.admission.limits() == first
