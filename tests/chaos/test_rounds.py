"""The long form: rounds of deaths by chance, each told by its seed.

python -m pytest tests/chaos --rounds 100              seeds 1 to 100
python -m pytest tests/chaos --rounds 1 --seed 42      the round of seed 42 again
"""

import random
from typing import get_args

from scripts.session import override
from tests.chaos.faults import Odds
from tests.chaos.ground import Ground
from tests.chaos.points import POINTS, Nth, Point
from tests.chaos.processes import Kill

# A run of some batches and a refresh makes about as many.
_REQUESTS = 1000


def test_a_round(ground: Ground, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (dice, not keys)
    refresh = chance.random() < 0.3
    if chance.random() < 0.5:
        ground.faults.odds = Odds(seed, probability=0.05, stall_seconds=0.5)
    if chance.random() < 0.3:
        ground.settings = override(ground.settings, "discovery", clean="archive", retention_days=0.0)
    with ground.faults.calm():
        ground.drop(chance.randint(4, 20), bad=chance.randint(0, 8))
    for _ in range(chance.randint(1, 3)):
        ground.risk(_point(chance, ground.faults.requests), chance.choice(get_args(Kill)), refresh=refresh)
        with ground.faults.calm():
            ground.check_no_duplicates()
            if chance.random() < 0.5:
                ground.drop(chance.randint(1, 6), bad=chance.randint(0, 2))
            if chance.random() < 0.3:
                ground.overwrite()
    ground.faults.odds = None
    ground.finish(refresh=refresh)
    ground.check()
    if refresh:
        ground.check_reduced()


def _point(chance: random.Random, requests: int) -> Point | Nth:
    if chance.random() < 0.5:
        return POINTS[chance.choice(list(POINTS))]
    return Nth(chance.choice(("before", "after")), requests + chance.randint(1, _REQUESTS))
