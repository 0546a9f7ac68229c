"""What tells a vector of features wherever it stands: a digest of all its numbers, and how it begins as bytes."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEAD = 16
# A beginning that is all one number, or nearly, may be anything.
_LEAST_DISTINCT = 4


def digest(vector: NDArray[Any]) -> str:
    """Of its numbers, as single precision has them: the same for a copy in double precision."""
    return hashlib.blake2b(np.ascontiguousarray(vector, "<f4").tobytes(), digest_size=16).hexdigest()


def digests(vectors: Iterable[NDArray[Any]]) -> set[str]:
    """Of each."""
    return {digest(vector) for vector in vectors}


def heads(vectors: Iterable[NDArray[Any]]) -> set[str]:
    """Of each its first numbers, in single and in double precision, in hex; of those that tell it from others."""
    firsts = (np.asarray(vector[:_HEAD], "<f4") for vector in vectors if len(vector) >= _HEAD)
    telling = [first for first in firsts if len(np.unique(first)) >= _LEAST_DISTINCT]
    return {as_bytes.tobytes().hex() for first in telling for as_bytes in (first, first.astype("<f8"))}
