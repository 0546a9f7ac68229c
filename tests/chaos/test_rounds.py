"""The long form: rounds of deaths by chance, each told by its seed.

python -m pytest tests/chaos --rounds 100              seeds 1 to 100
python -m pytest tests/chaos --rounds 1 --seed 42      the round of seed 42 again
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import get_args

from scripts.session import override
from tests.chaos.faults import Odds
from tests.chaos.ground import Ground
from tests.chaos.points import POINTS, Nth, Point, reachable
from tests.chaos.processes import Kill

_VICTIMS: list[Kill | None] = [*get_args(Kill), None]
# A run of some batches and a refresh makes about as many.
_REQUESTS = 1000


def test_a_round(ground: Ground, seed: int, record_property: Callable[[str, object], None]) -> None:
    chance = random.Random(seed)  # noqa: S311 (dice, not keys)
    refresh, clean = chance.random() < 0.3, chance.random() < 0.3
    if chance.random() < 0.5:
        ground.faults.odds = Odds(seed, probability=0.05, stall_seconds=0.5)
    if clean:
        ground.settings = override(ground.settings, "discovery", clean="archive", retention_days=0.0)
    with ground.faults.calm():
        ground.drop(chance.randint(4, 20), bad=chance.randint(1, 8))
    killed: Counter[str] = Counter()
    for _ in range(chance.randint(1, 3)):
        victim = chance.choice(_VICTIMS)
        point = _point(chance, reachable(clean=clean, refresh=refresh), ground.faults.requests)
        killed[victim or "store"] += _strike(ground, victim, point, refresh=refresh)
        with ground.faults.calm():
            ground.check_no_duplicates()
            if chance.random() < 0.7:
                ground.drop(chance.randint(1, 6), bad=chance.randint(0, 2))
            if chance.random() < 0.3:
                ground.overwrite()
    ground.faults.odds = None
    if not killed.total():
        # Nobody came to where death was waiting.
        ground.drop(2)
        killed["machine"] += _strike(ground, "machine", POINTS["offset logged"], refresh=refresh)
        assert killed["machine"]
    record_property("killed", killed)
    ground.finish(refresh=refresh)
    ground.check()
    if refresh:
        ground.check_reduced()


def _strike(ground: Ground, victim: Kill | None, point: Point | Nth, *, refresh: bool) -> bool:
    """Kill at a point, None the store; tells whether it came to that. Whoever can still speak says one message."""
    if victim:
        answer, killed = ground.risk(point, victim, refresh=refresh)
    else:
        answer, killed = ground.risk_store(point, refresh=refresh)
    assert answer is None or answer.explained, answer.message
    return killed


def _point(chance: random.Random, points: list[Point], requests: int) -> Point | Nth:
    if chance.random() < 0.5:
        return chance.choice(points)
    return Nth(chance.choice(("before", "after")), requests + chance.randint(1, _REQUESTS))
