"""Other ends than the driver's: of a worker, of the JVM, of the room on a disk. Each is one message, or none at all."""

import os
import resource
import signal

import pytest

from scripts.session import override
from tests.chaos.ground import Ground
from tests.chaos.points import POINTS, Trap
from tests.integration.tables import rows

pytestmark = pytest.mark.usefixtures("long_form")

# Enough for what the stream remembers, too little for the features of eight photographs, or for a broadcast network.
_SMALL_FILE_BYTES = 10_000
_MEDIUM_FILE_BYTES = 5_000_000


def test_a_worker_that_is_killed_costs_a_repetition_of_its_task(ground: Ground) -> None:
    ground.settings = override(ground.settings, "spark", master="local[2,4]")
    ground.drop(5, bad=3)
    with ground.driver() as driver:

        def kill() -> None:
            for pid in driver.workers():
                os.kill(pid, signal.SIGKILL)

        trap = Trap(POINTS["photograph read"], kill, lost=False)
        ground.faults.hook = trap
        answer = driver.wait(ground.patience)
    assert trap.sprung
    assert answer is not None
    assert answer.error is None, answer.message
    ground.check()


def test_a_jvm_that_is_killed_is_one_message(ground: Ground) -> None:
    ground.drop(5, bad=3)
    answer = ground.die(POINTS["features committed"], "jvm")
    held = ground.lease()
    ground.finish()
    ground.check()
    assert held is not None
    assert held.holder is None, "the lease was not given back"
    assert answer is not None
    assert answer.explained, answer.message


def test_a_store_without_room_is_one_message_and_rejects_nothing(ground: Ground) -> None:
    ground.drop(5, bad=3)
    pid = ground.server().pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_SMALL_FILE_BYTES, before[1]))

    ground.faults.hook = Trap(POINTS["photograph read"], fill, lost=False)
    try:
        answer = ground.run()
    finally:
        ground.faults.hook = None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert answer.error is not None
    assert rows(ground.settings, "rejects") == []
    ground.finish()
    ground.check()
    assert answer.explained, answer.message


def test_a_driver_without_room_is_one_message_and_rejects_nothing(ground: Ground) -> None:
    ground.drop(5, bad=3)
    answer = ground.run(file_bytes=_MEDIUM_FILE_BYTES)
    assert answer.error is not None
    assert rows(ground.settings, "rejects") == []
    ground.finish()
    ground.check()
    assert answer.explained, answer.message
