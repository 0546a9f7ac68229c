"""Between numpy and Arrow without a copy, and without pandas.

pyarrow imports pandas, which costs a Python worker half a second and 60 MB, as soon as it makes an array from a list or
hands one out by `to_numpy`. Buffers do without; the way back is `numpy.from_dlpack`.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def array_of(values: NDArray[Any]) -> pa.Array:
    """Turn numbers of shape (m,) into an Arrow array."""
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def mask_of(chosen: NDArray[np.bool_]) -> pa.BooleanArray:
    """Turn booleans of shape (m,) into an Arrow array, for `filter`."""
    bits = np.packbits(chosen, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(chosen), [None, pa.py_buffer(bits)])


def lists_of(rows: NDArray[Any]) -> pa.ListArray:
    """Turn an array of shape (m, d) into m lists of d numbers."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.ListArray.from_arrays(array_of(offsets), array_of(rows.reshape(-1)))


def binary_of(value: bytes) -> pa.BinaryArray:
    """Turn bytes into an Arrow array of that one value."""
    offsets = np.array([0, len(value)], dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(value)])
