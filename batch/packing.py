"""The bytes in which PCA statistics travel from worker to driver and are kept. No pickle: any version may read them.

Little-endian: magic, layout version and crc32 of what follows (8 bytes); n and d (16); mean (8 d); the upper triangle
of the scatter row by row (4 d (d + 1)). At 1,280 features 6.6 MB, half of the full square.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from conf.errors import ContractError, DataError

_MAGIC, _VERSION = b"FST", 1
_HEAD = struct.Struct("<3sBI")
_SHAPE = struct.Struct("<QQ")
_PREFIX = _HEAD.size + _SHAPE.size  # 24 bytes keep the float64 that follow aligned


def pack(n: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> bytes:
    """Pack a count, a mean (d,) and a symmetric scatter (d, d)."""
    d = len(mean)
    floats = np.concatenate([mean, scatter[_upper(d)]]).astype("<f8", copy=False)
    body = _SHAPE.pack(n, d) + floats.tobytes()
    return _HEAD.pack(_MAGIC, _VERSION, zlib.crc32(body)) + body


def unpack(data: bytes | memoryview) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Unpack count, mean (d,) and scatter (d, d), as fresh arrays.

    Raises DataError where the bytes are damaged or no statistics, ContractError where another layout wrote them.
    """
    _check(memoryview(data))
    n, d = _SHAPE.unpack_from(data, _HEAD.size)
    floats = np.frombuffer(data, "<f8", offset=_PREFIX)
    scatter = np.empty((d, d))
    scatter[_upper(d)] = floats[d:]
    scatter.T[_upper(d)] = floats[d:]
    return n, floats[:d].astype(np.float64), scatter


def _upper(d: int) -> NDArray[np.bool_]:
    # A mask: three times as fast as the indices of numpy.triu_indices, which are larger than the triangle itself.
    return np.triu(np.ones((d, d), dtype=np.bool_))


def _check(data: memoryview) -> None:
    if len(data) < _PREFIX or data[: len(_MAGIC)] != _MAGIC:
        raise DataError(f"{len(data)} bytes that are no PCA statistics: fit from the features again")
    _, version, checksum = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise ContractError(f"PCA statistics of layout {version}, expected {_VERSION}: fit from the features again")
    _, d = _SHAPE.unpack_from(data, _HEAD.size)
    expected, found = _PREFIX + 8 * d + 4 * d * (d + 1), zlib.crc32(data[_HEAD.size :])
    if len(data) != expected or found != checksum:
        raise DataError(
            f"damaged PCA statistics: {len(data)} of {expected} bytes, checksum {found:08x} where {checksum:08x} was "
            "written: fit from the features again"
        )
