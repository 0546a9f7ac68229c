"""A PCA refresh killed at each step: readers have the old vectors or the new ones, and the next refresh heals.

python -m pytest tests/chaos/test_refresh.py --rounds 10       seeds 1 to 10, five deaths each
"""

import random
import resource
from typing import Any

import numpy as np
import pytest

from batch.models import load
from scripts.session import override
from tests.chaos.ground import Ground
from tests.chaos.points import REFRESH_POINTS, Nth, Point, Trap
from tests.integration.hand_written import HandWritten
from tests.integration.tables import rows

_ROWS = 60
_DEATHS = 5
# A refresh makes about as many.
_REQUESTS = 150
# Enough for a lease, too little for a row.
_SMALL_FILE_BYTES = 600
_WAYS: list[dict[str, Any]] = [{}, {"full": True}, {"if_drift": 9.0}, {"model_version": 1}]


class Refreshing:
    """A features table, and refreshes of it in processes of their own."""

    def __init__(self, ground: Ground) -> None:
        ground.settings = override(ground.settings, "pca", k=3, full_every=4)
        self.ground = ground
        self.table = HandWritten(ground.settings.storage)
        self.table.append(range(_ROWS))
        self.published = {-1}
        """Versions of features that `reduced` may be of; -1: there is none."""

    def change(self, chance: random.Random) -> None:
        """New photographs, overwritten and deleted ones."""
        self.table.append(range(len(self.table.history) * 100, len(self.table.history) * 100 + chance.randint(1, 5)))
        if chance.random() < 0.5:
            self.table.append([chance.randrange(_ROWS)])
        if chance.random() < 0.5:
            self.table.delete(chance.randrange(_ROWS))

    def die(self, point: Point | Nth, **how: Any) -> bool:
        """A refresh that is killed at a point, should it come there."""
        answer, killed = self.ground.risk(point, "machine", stream=False, refresh=True, refresh_options=how)
        assert killed or (answer is not None and answer.error is None), answer
        self.published = {self.table.version} | (self.published if killed else set())
        self.check()
        return killed

    def finish(self, **how: Any) -> None:
        """A refresh that nobody kills."""
        self.ground.finish(stream=False, refresh=True, refresh_options=how)
        self.published = {self.table.version}
        self.check()

    def check(self) -> None:
        """`reduced` has what one model makes of all rows that counted at one version, which it may be of."""
        found = {row["key"]: row for row in rows(self.ground.settings, "reduced")}
        assert len(found) == len(rows(self.ground.settings, "reduced")), "a key is there twice"
        of = [version for version in self.published if _etags(found) == _etags(self._counted(version))]
        assert of, f"reduced is of none of the versions {self.published}"
        self.published = set(of)
        versions = {row["pca_version"] for row in found.values()}
        assert len(versions) <= 1, "vectors of two models"
        for version in versions:
            counted = self._counted(of[0])
            expected = load(self.ground.settings.storage, version).pca.transform(
                np.array([counted[key]["features"] for key in found], np.float32)
            )
            np.testing.assert_allclose([row["reduced"] for row in found.values()], expected, atol=1e-5)

    def check_model(self) -> None:
        """The newest model is that of all rows that count."""
        newest = max(row["pca_version"] for row in rows(self.ground.settings, "pca_models"))
        pca = load(self.ground.settings.storage, newest).pca
        features = np.array([row["features"] for row in self.table.counting().values()], np.float64)
        assert pca.n_samples_ == len(features)
        np.testing.assert_allclose(pca.mean_, features.mean(axis=0), rtol=1e-9)
        values = np.linalg.eigvalsh(np.cov(features, rowvar=False))[::-1]
        np.testing.assert_allclose(pca.explained_variance_, values[:3], rtol=1e-9)

    def _counted(self, version: int) -> dict[str, dict[str, Any]]:
        return self.table.history[version] if version >= 0 else {}


def _etags(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {key: row["etag"] for key, row in found.items()}


def test_killed_between_its_commits_and_after_them_a_refresh_heals(ground: Ground) -> None:
    refreshing = Refreshing(ground)
    chance = random.Random(0)  # noqa: S311 (dice, not keys)
    assert refreshing.die(REFRESH_POINTS["reduced not published"])
    assert refreshing.published == {-1}
    assert refreshing.die(REFRESH_POINTS["sums not left"])
    assert refreshing.published == {refreshing.table.version}
    refreshing.change(chance)
    refreshing.finish()
    refreshing.check_model()


def test_a_round(ground: Ground, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (dice, not keys)
    refreshing = Refreshing(ground)
    if chance.random() < 0.7:
        refreshing.finish()
    killed = 0
    while killed < _DEATHS:
        how = chance.choice(_WAYS) if rows(ground.settings, "pca_models") else {}
        point: Point | Nth = chance.choice(list(REFRESH_POINTS.values()))
        if chance.random() < 0.4:
            point = Nth(chance.choice(("before", "after")), ground.faults.requests + chance.randint(1, _REQUESTS))
        killed += refreshing.die(point, **how)
        refreshing.change(chance)
    refreshing.finish()
    refreshing.check_model()


@pytest.mark.usefixtures("long_form")
@pytest.mark.parametrize("point", REFRESH_POINTS)
def test_killed_at_each_step(ground: Ground, point: str) -> None:
    refreshing = Refreshing(ground)
    chance = random.Random(1)  # noqa: S311 (dice, not keys)
    if point != "PCA's table begun":
        refreshing.finish()
        refreshing.change(chance)
    assert refreshing.die(REFRESH_POINTS[point])
    refreshing.finish()
    refreshing.check_model()


@pytest.mark.usefixtures("long_form")
@pytest.mark.parametrize("point", ["features read", "PCA model published"])
def test_a_store_without_room_is_one_message_and_publishes_nothing(ground: Ground, point: str) -> None:
    refreshing = Refreshing(ground)
    refreshing.finish()
    refreshing.change(random.Random(2))  # noqa: S311 (dice, not keys)
    pid = ground.server().pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_SMALL_FILE_BYTES, before[1]))

    ground.faults.hook = Trap(REFRESH_POINTS[point], fill, lost=False)
    try:
        answer = ground.run(stream=False, refresh=True)
    finally:
        ground.faults.hook = None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert answer.error is not None
    assert answer.explained, answer.message
    refreshing.check()
    assert refreshing.published != {refreshing.table.version}
    refreshing.finish()
    refreshing.check_model()
