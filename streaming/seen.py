"""The object versions that manifests list already: 16 bytes each, in memory as at rest."""

import hashlib
import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streaming.manifests import Landed

_BYTES = 16
# New ones wait in a set until they are worth a merge into the sorted rest.
_RECENT = 65_536


class Seen:
    """A set of object versions, each kept as a 128-bit hash of its key and etag.

    Of a million versions, two share a hash with a probability of 1e-27. Most of the set is two sorted arrays, which
    take 16 bytes a version where a Python set takes a hundred.

    Parameters
    ----------
    versions
        What is in it.
    secret
        What the hash is keyed with, if it is: without it nobody can tell whether a version is in the set.
    """

    def __init__(self, versions: Iterable[Landed] = (), secret: bytes = b"") -> None:
        self._secret = secret
        self._high: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._low: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: set[bytes] = set()
        self.add(versions)

    def __len__(self) -> int:
        return len(self._high) + len(self._recent)

    def __contains__(self, version: Landed) -> bool:
        return self.has(version.key, version.etag)

    def has(self, key: str, etag: str) -> bool:
        """Whether a version of which key and etag are all that is known is in it."""
        return self._holds(self._digest(key, etag))

    def add(self, versions: Iterable[Landed]) -> None:
        """Remember these versions."""
        self.add_named((version.key, version.etag) for version in versions)

    def add_named(self, names: Iterable[tuple[str, str]]) -> None:
        """Remember versions of which key and etag are all that is known."""
        for key, etag in names:
            digest = self._digest(key, etag)
            if not self._holds(digest):
                self._recent.add(digest)
                if len(self._recent) > _RECENT:
                    self._merge()

    def discard_named(self, names: Iterable[tuple[str, str]]) -> int:
        """Forget these versions; tells how many of them were there."""
        self._merge()
        gone = {self._digest(key, etag) for key, etag in names}
        rows = self._rows()
        kept = rows[[row.tobytes() not in gone for row in rows]]
        self._keep(kept.tobytes())
        return len(rows) - len(kept)

    def to_bytes(self) -> bytes:
        """The set as bytes: a line that describes them, then the sorted hashes."""
        self._merge()
        digests = self._rows().tobytes()
        header = {"versions": len(self), "blake2b": hashlib.blake2b(digests, digest_size=16).hexdigest()}
        return json.dumps(header).encode() + b"\n" + digests

    @classmethod
    def from_bytes(cls, data: bytes, secret: bytes = b"") -> "Seen":
        """The set that `to_bytes` was asked of, whose hash was keyed with the same.

        Raises
        ------
        ValueError
            Where a byte is missing or another.
        """
        header, _, digests = data.partition(b"\n")
        if json.loads(header)["blake2b"] != hashlib.blake2b(digests, digest_size=16).hexdigest():
            raise ValueError("the hashes are not those that were written")
        seen = cls(secret=secret)
        seen._keep(digests)
        return seen

    def _holds(self, digest: bytes) -> bool:
        if digest in self._recent:
            return True
        high, low = np.frombuffer(digest, ">u8")
        at = int(np.searchsorted(self._high, high))
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return True
            at += 1
        return False

    def _merge(self) -> None:
        self._keep(self._rows().tobytes() + b"".join(self._recent))
        self._recent.clear()

    def _keep(self, digests: bytes) -> None:
        rows = np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        self._high, self._low = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])

    def _rows(self) -> NDArray[np.uint64]:
        """The merged ones, a row of two numbers each, their bytes in the order of the hash's."""
        return np.column_stack((self._high, self._low)).astype(">u8")

    def _digest(self, key: str, etag: str) -> bytes:
        return hashlib.blake2b(f"{key}\0{etag}".encode(), digest_size=_BYTES, key=self._secret).digest()
