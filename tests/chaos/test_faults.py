"""A store that errs, stalls and loses answers, and one that ends and comes back."""

import pytest

from tests.chaos.faults import FAULTS, Odds
from tests.chaos.ground import Ground
from tests.chaos.points import POINTS
from tests.integration.tables import rows

pytestmark = pytest.mark.usefixtures("long_form")


def test_a_store_that_errs_often_is_one_message_at_worst(ground: Ground) -> None:
    ground.drop(12, bad=6)
    ground.faults.odds = Odds(seed=1, probability=0.2, stall_seconds=0.5)
    answer = ground.run()
    # A run that ends early may not come to meet all of them.
    assert len(ground.faults.met) >= len(FAULTS) // 2
    ground.faults.odds = None
    ground.check_no_duplicates()
    ground.finish()
    ground.check()
    assert answer.explained, answer.message


def test_a_store_that_ends_and_comes_back_loses_and_doubles_nothing(ground: Ground) -> None:
    ground.drop(5, bad=3)
    answer, killed = ground.risk_store(POINTS["photograph read"])
    assert killed
    assert {row["reason"] for row in rows(ground.settings, "rejects")}.isdisjoint({"gone", "replaced"})
    ground.check_no_duplicates()
    ground.finish()
    ground.check()
    assert answer.explained, answer.message
