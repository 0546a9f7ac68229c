"""Damage: good files cut, flipped and spliced, and bytes that never were a file."""

from collections.abc import Iterator

import numpy as np

from tests.property.containers import joints
from tests.property.objects import SMALL, Hostile


def _format(name: str) -> str:
    return name.partition(" ")[0]


def cut() -> Iterator[Hostile]:
    """Good files cut before, at and behind each of their joints."""
    for name, data in SMALL.items():
        ends = {at + shift for at in joints(data, _format(name)) for shift in (-1, 0, 1, 3)}
        for end in sorted(end for end in ends if 0 <= end < len(data)):
            yield Hostile(f"{name}, cut at {end}", data[:end], "either" if end > len(data) - 16 else "refused")


def flipped(seed: int) -> Iterator[Hostile]:
    """Good files with bits flipped, few or many, more often near the front, where the headers are."""
    for number, (name, data) in enumerate(SMALL.items()):
        rng = np.random.default_rng((seed, 1, number))
        for turn in range(30):
            damaged = np.frombuffer(data, np.uint8).copy()
            where = (rng.random(1 << int(rng.integers(0, 8))) ** 3 * len(data)).astype(int)
            damaged[where] ^= (1 << rng.integers(0, 8, where.size)).astype(np.uint8)
            yield Hostile(f"{name}, flipped {seed}/{turn}", damaged.tobytes(), "either")


def spliced(seed: int) -> Iterator[Hostile]:
    """The front of one file on the rest of another; parts repeated, removed, or overwritten by zeros, ones or noise."""
    rng = np.random.default_rng((seed, 2))
    names = list(SMALL)
    for turn in range(150):
        first, second = (SMALL[names[int(rng.integers(len(names)))]] for _ in range(2))
        start, end = sorted(int(at) for at in rng.integers(0, len(first), 2))
        part = first[start:end]
        middle = [
            b"",
            part * int(rng.integers(2, 9)),
            bytes(len(part)),
            b"\xff" * len(part),
            rng.bytes(len(part)),
            second[start:end],
            part[::-1],
        ][turn % 7]
        front = second[: int(rng.integers(4, 40))] + first[40:start] if turn % 3 == 0 else first[:start]
        yield Hostile(f"spliced {seed}/{turn}", front + middle + first[end:], "either")


def noise(seed: int) -> Iterator[Hostile]:
    """Random bytes of many lengths, bare and behind every signature."""
    rng = np.random.default_rng((seed, 3))
    starts = [b"", *(data[:size] for data in SMALL.values() for size in (4, 12, 30))]
    for number, start in enumerate(starts):
        for size in (0, 1, 7, 64, 1_000, 20_000)[number % 2 :: 2]:
            yield Hostile(f"noise {seed}/{number} of {size}", start + rng.bytes(size), "either" if start else "refused")
