"""Pillow and its libraries, kept from writing to the log: what is wrong with a file goes into its refusal instead."""

import ctypes
import logging
import threading
import warnings
from pathlib import Path

import PIL


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


def silence_libraries() -> None:
    """Stop what Pillow logs and what libtiff prints about damaged files, for the whole process.

    Pillow's log records still reach handlers that somebody set up. libtiff writes past Python, to file descriptor 2,
    and Pillow leaves it at that: so libtiff, where it came in Pillow's wheel, is told directly.
    """
    logging.getLogger(PIL.__name__).addHandler(logging.NullHandler())
    package = Path(PIL.__file__).parent
    for library in (*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")):
        set_handler = ctypes.CDLL(str(library)).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
