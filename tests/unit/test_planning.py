"""Whether a model may stand: it has what is asked for, and the rows have not drifted from it."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from batch.drift import moved
from batch.increment import AllRows
from batch.models import Model
from batch.pca import PCA
from batch.planning import Plan
from batch.statistics import Statistics
from tests.unit.test_pca import planted

ROWS = planted(300, 8)
STATISTICS = Statistics.of(ROWS)
FITTED = PCA(4).fit(STATISTICS)


def model(pca: PCA, version: int = 3) -> Model:
    return Model(version, "net/weights/recipe", 7, "exact", datetime(2026, 5, 1, tzinfo=UTC), pca)


def plan(
    published: PCA | None, asked: PCA, if_drift: float | None, wanted: PCA | None = None, keeps_sums: bool = True
) -> Plan:
    unknown: Any = None  # which rows and tables there are is another test's matter
    return Plan(
        pinned=unknown,
        tables=unknown,
        left=None,
        changed=AllRows("that was asked for"),
        published=model(published) if published else None,
        complete=False,
        due=False,
        asked=asked,
        keeps_sums=keeps_sums,
        if_drift=if_drift,
        wanted=model(wanted, 1) if wanted else None,
    )


@pytest.mark.parametrize("how", [{}, {"standardize": True, "whiten": True}], ids=str)
@pytest.mark.parametrize("asked", [{"k": 4}, {"variance": 0.95}, {"variance": 0.5}, {"variance": 1.0}], ids=str)
def test_a_model_stands_where_the_same_is_asked_for(asked: dict[str, float], how: dict[str, bool]) -> None:
    fitted = PCA(**asked, **how).fit(STATISTICS)
    found = plan(fitted, PCA(**asked, **how), 1e-9).standing(STATISTICS)
    assert found
    assert found.pca is fitted


@pytest.mark.parametrize(
    "asked", [{"k": 5}, {"variance": 0.5}, {"k": 4, "whiten": True}, {"k": 4, "standardize": True}], ids=str
)
def test_a_model_does_not_stand_where_another_is_asked_for(asked: dict[str, float]) -> None:
    found = plan(FITTED, PCA(**asked), 9.0)
    assert found.standing(STATISTICS) is None
    assert found.standing() is None


def test_nothing_stands_that_is_not_there_or_that_nobody_asked_to() -> None:
    assert plan(None, PCA(4), 9.0).standing(STATISTICS) is None
    assert plan(FITTED, PCA(4), None).standing(STATISTICS) is None


@pytest.mark.parametrize(
    "moves", [ROWS + 1, ROWS * 1.3, ROWS * 0.8, ROWS[:, ::-1]], ids=["mean", "more", "less", "axes"]
)
def test_a_model_does_not_stand_where_rows_have_drifted_further(moves: np.ndarray) -> None:
    now = Statistics.of(moves)
    size = moved(now, FITTED).size
    assert size > 0.05
    assert plan(FITTED, PCA(4), size).standing(now)
    assert plan(FITTED, PCA(4), size * 0.999).standing(now) is None
    # Where the rows are not known, it may yet stand.
    assert plan(FITTED, PCA(4), 0.0).standing()


def test_the_model_asked_for_by_its_version_stands_whatever_the_rows() -> None:
    found = plan(FITTED, PCA(5), None, wanted=FITTED).standing(Statistics.of(ROWS + 9))
    assert found
    assert found.pca_version == 1


@pytest.mark.parametrize("wanted", [None, 3])
@pytest.mark.parametrize(("seen", "now", "expected"), [(7, 7, True), (7, 8, False)])
def test_without_sums_the_version_tells_whether_anything_has_changed(
    seen: int, now: int, expected: bool, wanted: int | None
) -> None:
    found = replace(
        plan(FITTED, PCA(4), None, keeps_sums=False),
        tables=SimpleNamespace(features_version=seen),
        pinned=SimpleNamespace(version=now),
        wanted=model(PCA(4).fit(STATISTICS), wanted) if wanted else None,
    )
    assert found.up_to_date is expected
    # Where sums are kept and of no use, features may have the same number in another history.
    assert not replace(found, keeps_sums=True).up_to_date
    assert not replace(found, wanted=model(FITTED, 2)).up_to_date
