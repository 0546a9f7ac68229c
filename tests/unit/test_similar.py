"""The nearest rows are those that a look at all distances finds."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.similar import Nearest
from conf.errors import DataError


def batch(numbers: range) -> pa.RecordBatch:
    told = {name: [f"{name}-{number:04}" for number in numbers] for name in ("key", "etag", "label", "sha256")}
    return pa.RecordBatch.from_pydict(told)


@given(n=st.integers(1, 30), cuts=st.lists(st.integers(0, 200), max_size=5), seed=st.integers(0, 99))
def test_the_nearest_are_found_however_rows_come(n: int, cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, vector = rng.standard_normal((200, 8), np.float32), rng.standard_normal(8, np.float32)
    nearest = Nearest(vector, n)
    bounds = [0, *sorted(cuts), 200]
    for first, last in pairwise(bounds):
        nearest.add(batch(range(first, last)), rows[first:last])
    distances = np.linalg.norm(rows.astype(np.float64) - vector, axis=1)
    expected = np.argsort(distances)[:n]
    assert [neighbour.key for neighbour in nearest.found] == [f"key-{number:04}" for number in expected]
    np.testing.assert_allclose([neighbour.distance for neighbour in nearest.found], distances[expected], rtol=1e-6)


def test_a_row_and_its_twin_are_at_no_distance_however_far_from_0() -> None:
    vector = np.full(8, 1e4, np.float32)
    nearest = Nearest(vector, 2)
    nearest.add(batch(range(2)), np.stack([vector, vector + np.float32(0.01)]))
    assert nearest.found[0].distance == 0
    assert nearest.found[1].distance == pytest.approx(0.01 * 8**0.5, rel=0.05)


def test_vectors_of_another_length_are_told() -> None:
    with pytest.raises(DataError, match="they are of two models"):
        Nearest(np.zeros(8, np.float32), 1).add(batch(range(3)), np.zeros((3, 9), np.float32))
