"""Rows of features as matrices: what is odd about one of them is said with the photograph's key."""

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batch.arrow import array_of, binary_of, lists_of, mask_of
from batch.snapshot import vectors
from conf.errors import DataError


def batch_of(*features: list[float | None]) -> pa.RecordBatch:
    columns: dict[str, Any] = {
        "key": [f"landing/pear/{n}.jpg" for n in range(len(features))],
        "features": pa.array(features, pa.list_(pa.float32())),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_features_become_a_matrix_without_a_copy() -> None:
    batch = batch_of([1, 2, 3], [4, 5, 6])
    rows = vectors(batch)
    np.testing.assert_array_equal(rows, [[1, 2, 3], [4, 5, 6]])
    assert rows.dtype == np.float32
    assert rows.ctypes.data == batch.column("features").flatten().buffers()[1].address


def test_a_slice_gives_its_own_rows() -> None:
    np.testing.assert_array_equal(vectors(batch_of([1, 2], [3, 4], [5, 6]).slice(1, 1)), [[3, 4]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_number_that_is_none_names_the_photograph(bad: float | None) -> None:
    with pytest.raises(DataError, match=r"features of landing/pear/1\.jpg hold NaN or infinity, as 2 of 4 do"):
        vectors(batch_of([1, 2], [3, bad], [5, 6], [bad, 7]))


def test_another_length_names_the_photograph() -> None:
    with pytest.raises(DataError, match=r"of landing/pear/2\.jpg are 3 numbers, of others 2"):
        vectors(batch_of([1, 2], [3, 4], [5, 6, 7]))
    with pytest.raises(DataError, match=r"of landing/pear/0\.jpg are 2 numbers, of others 3"):
        vectors(batch_of([1, 2], [3, 4]), length=3)


def test_arrow_arrays_hold_what_numpy_held() -> None:
    assert array_of(np.arange(6)[::-2]).to_pylist() == [5, 3, 1]
    assert mask_of(np.arange(11) % 3 == 0).to_pylist() == [n % 3 == 0 for n in range(11)]
    assert lists_of(np.arange(6.0).reshape(3, 2)).to_pylist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert binary_of(b"sums").to_pylist() == [b"sums"]


def test_workers_stay_light() -> None:
    """What a worker imports, and what it does to rows, brings none of the driver's or of pandas' megabytes."""
    work = """
import sys, numpy as np, pyarrow as pa
from batch import exact, projection
from batch.arrow import array_of, binary_of, lists_of, mask_of
from batch.snapshot import vectors
lists = lists_of(np.ones((3, 4), np.float32))
key = array_of(np.arange(3))
batch = pa.RecordBatch.from_arrays([key, lists], ["key", "features"]).filter(mask_of(np.array([True, True, False])))
assert vectors(batch).shape == (2, 4)
binary_of(b"sums")
print(*sys.modules.keys() & {"pandas", "pyspark", "duckdb", "deltalake", "boto3", "tensorflow"})
"""
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
