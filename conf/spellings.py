"""How a key may be written in a file, and the search for many such strings in bytes of any length."""

import json
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import numpy as np

# What tells a string's place: its last bytes. The first ones of keys are all the same.
_TAIL = 8


def spellings(text: str) -> set[bytes]:
    """A key as it is, as URLs and events have it, and as JSON does."""
    plain = text.encode("utf-8", "surrogatepass")
    written = {
        quote(plain, safe="/"),
        quote(plain, safe=""),
        quote_plus(plain, safe="/"),
        quote_plus(plain, safe=""),
        json.dumps(text)[1:-1],
    }
    return {plain} | {each.encode() for each in written}


class Needles:
    """Strings to look for, any number of them at the cost of one pass.

    Parameters
    ----------
    strings
        Each of at least `SHORTEST` bytes; a shorter one would be found everywhere.
    longer
        Strings that begin with one of these and are another thing: where one of them stands, nothing is found.
    """

    SHORTEST = _TAIL

    def __init__(self, strings: Iterable[bytes], longer: Iterable[bytes] = ()) -> None:
        self._by_tail: dict[int, dict[int, set[bytes]]] = defaultdict(lambda: defaultdict(set))
        for string in strings:
            if len(string) < _TAIL:
                raise ValueError(f"{string!r} is too short to be looked for")
            self._by_tail[int.from_bytes(string[-_TAIL:], "little")][len(string)].add(string)
        self._tails = np.array(sorted(self._by_tail), np.uint64)
        self._longer = tuple(set(longer))
        lengths = (length for strings in self._by_tail.values() for length in strings)
        self._longest = max([*lengths, *map(len, self._longer)], default=0)

    def first_in(self, data: bytes) -> bytes | None:
        """The first of the strings that bytes hold; None where they hold none."""
        return self._first(data, len(data))

    def first_in_all(self, chunks: Iterable[bytes]) -> bytes | None:
        """The same, of bytes that come in pieces; no more of them is held than a piece and the longest string."""
        rest = b""
        for chunk in chunks:
            rest += chunk
            # Of what stands at the end, only the next piece tells what it is.
            if found := self._first(rest, len(rest) - self._longest):
                return found
            rest = rest[-self._longest :] if self._longest else b""
        return self.first_in(rest)

    def _first(self, data: bytes, until: int) -> bytes | None:
        """The first that begins before a place."""
        for end in self._ends(data):
            for length, strings in self._by_tail[int.from_bytes(data[end - _TAIL : end], "little")].items():
                start = end - length
                if 0 <= start < until and data[start:end] in strings and not data.startswith(self._longer, start):
                    return data[start:end]
        return None

    def _ends(self, data: bytes) -> list[int]:
        """Ends of all places whose last bytes are those of any string, in order."""
        found = [np.empty(0, np.int64)]
        for shift in range(min(_TAIL, max(0, len(data) - _TAIL + 1))):
            words = np.frombuffer(data, "<u8", (len(data) - shift) // _TAIL, shift)
            found.append(np.flatnonzero(np.isin(words, self._tails)) * _TAIL + shift + _TAIL)
        ends: list[int] = np.sort(np.concatenate(found)).tolist()
        return ends
