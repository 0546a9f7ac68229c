"""The first directory of a TIFF file, entry by entry, without reading what the entries point to."""

from collections.abc import Iterator
from typing import Final, NamedTuple

_TYPE_SIZES: Final = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # others: 1


class Entry(NamedTuple):
    """A tag, the number of its type, how many values it holds, and where they end (None: inside the entry)."""

    tag: int
    type: int
    values: int
    end: int | None


class Directory(NamedTuple):
    """How many entries a directory announces, where it ends (with the pointer to the next), and its entries."""

    length: int
    end: int
    entries: Iterator[Entry]


def first_directory(data: bytes) -> Directory | None:
    """Find the first directory of a TIFF or BigTIFF file; None where the file ends before it says where that is."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little" if data.startswith(b"I") else "big")

    # BigTIFF, whose version is 43, has offsets and counts of eight bytes where TIFF has four and two.
    word, head = (8, 8) if 43 in data[2:4] else (4, 2)
    if len(data) < 2 * word:
        return None
    start = number(word, word) + head
    length, step = number(start - head, head), 4 + 2 * word

    def entries() -> Iterator[Entry]:
        for at in range(start, start + length * step, step):
            kind, count = number(at + 2, 2), number(at + 4, word)
            size = _TYPE_SIZES.get(kind, 1) * count
            end = number(at + 4 + word, word) + size if size > word else None
            yield Entry(number(at, 2), kind, count, end)

    return Directory(length, start + length * step + word, entries())
