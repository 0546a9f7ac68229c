"""Whether a model may stand: it has what is asked for, and the rows have not drifted from it."""

import numpy as np
import pytest

from batch.drift import moved
from batch.pca import PCA
from batch.refresh import _stands
from batch.statistics import Statistics
from tests.unit.test_pca import planted

ROWS = planted(300, 8)
STATISTICS = Statistics.of(ROWS)
FITTED = PCA(4).fit(STATISTICS)


@pytest.mark.parametrize("how", [{}, {"standardize": True, "whiten": True}], ids=str)
@pytest.mark.parametrize("asked", [{"k": 4}, {"variance": 0.95}, {"variance": 0.5}, {"variance": 1.0}], ids=str)
def test_a_model_stands_where_the_same_is_asked_for(asked: dict[str, float], how: dict[str, bool]) -> None:
    fitted = PCA(**asked, **how).fit(STATISTICS)
    assert _stands(fitted, PCA(**asked, **how), STATISTICS, 1e-9)


@pytest.mark.parametrize(
    "asked", [{"k": 5}, {"variance": 0.5}, {"k": 4, "whiten": True}, {"k": 4, "standardize": True}], ids=str
)
def test_a_model_does_not_stand_where_another_is_asked_for(asked: dict[str, float]) -> None:
    assert not _stands(FITTED, PCA(**asked), STATISTICS, 9.0)


@pytest.mark.parametrize(
    "moves", [ROWS + 1, ROWS * 1.3, ROWS * 0.8, ROWS[:, ::-1]], ids=["mean", "more", "less", "axes"]
)
def test_a_model_does_not_stand_where_rows_have_drifted_further(moves: np.ndarray) -> None:
    now = Statistics.of(moves)
    size = moved(now, FITTED).size
    assert size > 0.05
    assert _stands(FITTED, PCA(4), now, size)
    assert not _stands(FITTED, PCA(4), now, size * 0.999)
