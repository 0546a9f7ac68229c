"""A process of its own that decodes a corpus, and writes down all that it did: `python -m tests.property.ordeal`.

It imports nothing but what a worker imports, so that what it loads, opens, prints and needs is `decode`'s doing. Its
arguments are a ZIP of objects, a file for the report (a JSON object a line: each object's name before it is decoded, so
that a crash has a name, then what became of it; a summary at the end), and the limit of pixels.
"""

import json
import resource
import sys
import threading
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from streaming.decode import Photograph, decode
from streaming.refusal import Refusal

SIDE = 24
WINDOW = 8
"""This many bytes of an object in a row, in its detail, are no coincidence."""

_WATCHED = ("open", "subprocess.", "os.", "socket.", "tempfile.", "shutil.", "ctypes.", "mmap.", "pty.", "urllib.")


def main(corpus: str, report: str, max_pixels: str) -> None:
    events: list[str] = []
    watching = False

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event.startswith(_WATCHED) and not _is_import(event, args):
            events.append(f"{event} {args!r:.150}")

    warnings.simplefilter("always")  # those that escape are printed, as errors they might pass for damage
    sys.addaudithook(watch)
    with zipfile.ZipFile(corpus) as objects, Path(report).open("w", encoding="utf-8", buffering=1) as lines:
        names = objects.namelist()
        before = _held()
        memory = _peak_memory()
        for name in names:
            data = objects.read(name)
            lines.write(json.dumps({"name": name}) + "\n")
            watching = True
            outcome = _outcome(data, int(max_pixels))
            watching = False
            lines.write(json.dumps({"name": name, "size": len(data), "events": events[:9], **outcome}) + "\n")
            events.clear()
        summary = {
            "grown": _peak_memory() - memory,
            "before": before,
            "after": _held(),
            "modules": sorted(name for name in sys.modules if name.partition(".")[0] == "PIL"),
        }
        lines.write(json.dumps(summary) + "\n")


def _outcome(data: bytes, max_pixels: int) -> dict[str, Any]:
    start = time.process_time()
    outcome: dict[str, Any]
    try:
        photograph = decode(data, SIDE, max_pixels)
        outcome = {"fate": "shown" if _is_square(photograph) else f"shown as {photograph!r:.300}"}
    except Refusal as refusal:
        outcome = {"fate": "refused", "reason": refusal.reason, "detail": refusal.detail}
    except BaseException as error:  # whatever it is, it has no business here
        outcome = {"fate": f"raised {error!r:.300}"}
    outcome["cpu"] = time.process_time() - start
    return outcome | {"leak": _leak(outcome.get("detail", ""), data)}


def _is_import(event: str, args: tuple[Any, ...]) -> bool:
    """Pillow imports some of the standard library only where it needs it."""
    return event == "open" and str(args[0]).endswith((".py", ".pyc")) and args[1] == "r"


def _is_square(photograph: Photograph) -> bool:
    pixels = photograph.pixels
    sides = photograph.width > 0 and photograph.height > 0
    return sides and pixels.shape == (SIDE, SIDE, 3) and pixels.dtype == np.uint8 and bool(pixels.flags.c_contiguous)


def _leak(detail: str, data: bytes) -> str:
    """A piece of the object in its detail."""
    text = detail.encode()
    windows = (text[at : at + WINDOW] for at in range(len(text) - WINDOW + 1))
    return next((window.decode(errors="replace") for window in windows if window in data), "")


def _held() -> dict[str, int]:
    """What may be left behind: file descriptors, threads (native ones too, on Linux), warning filters."""
    counts = {name: sum(1 for _ in Path(f"/proc/self/{name}").glob("*")) for name in ("fd", "task")}
    return counts | {"threads": threading.active_count(), "filters": len(warnings.filters)}


def _peak_memory() -> int:
    """Bytes, at the worst moment so far."""
    status = Path("/proc/self/status")
    if status.exists():  # what `getrusage` says on Linux includes the process that started this one
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
