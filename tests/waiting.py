"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable


def wait_until(happened: Callable[[], object], seconds: float = 120, step: float = 0.1) -> None:
    """Return when it has; fail where it has not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not after {seconds} s"
        time.sleep(step)
