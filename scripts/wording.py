"""Figures as a person reads them: lengths of time, moments, counts."""

from collections.abc import Mapping
from datetime import datetime

# How many seconds each unit has; one is used from two of it on.
_UNITS = {"days": 86_400, "h": 3600, "min": 60}


def printable(text: str, keep: str = "") -> str:
    """Text that others chose, such as a key, with a code for whatever would move a cursor, or hide or turn letters."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)


def duration(seconds: float) -> str:
    """In the largest unit that there are two of."""
    for unit, size in _UNITS.items():
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(moment: datetime) -> str:
    """To the second, of a moment in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def count(number: int, noun: str) -> str:
    """Such as `1 row`, `2 rows` and `2 batches`."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number} {noun}{ending}"


def by_reason(counts: Mapping[str, int]) -> str:
    """Such as `3 corrupt, 1 empty`."""
    return ", ".join(f"{number} {reason}" for reason, number in counts.items())
