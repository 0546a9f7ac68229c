"""Killed at points at which something lasts, one after the other: nothing is lost, nothing is doubled."""

import pytest

from scripts.session import override
from tests.chaos.faults import Odds
from tests.chaos.ground import Ground
from tests.chaos.points import POINTS
from tests.chaos.processes import Kill

# Each run takes up what the one before left, and dies a step further on: one micro-batch, killed again and again.
_DEATHS: list[tuple[str, Kill]] = [
    ("offset logged", "machine"),
    ("features committed", "driver"),
    ("photograph archived", "machine"),
]
_MORE_DEATHS: list[tuple[str, Kill]] = [
    ("lease taken", "driver"),
    ("one table begun", "machine"),
    ("manifest written", "machine"),
    ("offset logged", "machine"),
    ("features not committed", "machine"),
    ("features committed", "driver"),
    ("rejects not committed", "jvm"),
    ("rejects committed", "machine"),
    ("batch noted", "machine"),
    ("ledger saved", "machine"),
    ("photograph archived", "machine"),
    ("photograph removed", "driver"),
    ("cleaning noted", "machine"),
]


def test_a_stream_killed_at_some_points_loses_and_doubles_nothing(ground: Ground) -> None:
    _kill_at(ground, _DEATHS)


@pytest.mark.usefixtures("long_form")
def test_a_stream_killed_at_one_point_after_another_loses_and_doubles_nothing(ground: Ground) -> None:
    _kill_at(ground, _MORE_DEATHS)


def _kill_at(ground: Ground, deaths: list[tuple[str, Kill]]) -> None:
    ground.settings = override(ground.settings, "discovery", clean="archive", retention_days=0.0)
    ground.drop(5, bad=3)
    for point, how in deaths:
        # Something that no manifest lists yet, for the points that only come with a new one.
        ground.drop(1)
        ground.die(POINTS[point], how)
        ground.check_no_duplicates()
    ground.drop(8, bad=4)
    # The last run gets to its end through a store that errs, as each client tries again by itself; and no moment is
    # told by the driver's clock.
    ground.faults.odds = Odds(seed=1, probability=0.05, stall_seconds=1.0)
    ground.finish(clock_seconds=3600)
    assert len(ground.faults.met) > 3
    ground.faults.odds = None
    ground.check()
    assert ground.names("landing") == []
    assert len(ground.names("archive")) == len(ground.expected)
