"""Pillow's warnings, switched off while it reads a file: what is wrong with a file goes into its refusal instead."""

import threading
import warnings


class PillowSilence:
    """A context in which warnings that Pillow's modules emit are ignored, even where warnings are errors.

    Python 3.11 has one list of warning filters a process, and `warnings.catch_warnings` restores it wrongly when two
    threads overlap. So the first thread in sets the filter, and the last one out removes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)
