"""Lengths of time as a person reads them."""

# How many seconds each unit has; one is used from two of it on.
_UNITS = {"days": 86_400, "h": 3600, "min": 60}


def duration(seconds: float) -> str:
    """In the largest unit that there are two of."""
    for unit, size in _UNITS.items():
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
