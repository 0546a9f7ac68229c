"""The explorer's page with many photographs: how long it takes to write, to open, and to answer a hand on the mouse.

    python -m bench.explorer                        50,000 photographs, half a gigabyte of disk
    python -m bench.explorer --rows 5000 --json

Vectors are drawn, and there are no pictures. The browser is this machine's Chromium, rendering in software: what a page
takes on a machine without a graphics card.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.refresh import run
from bench.browser import PLACES, browser, show
from bench.features import append_features
from bench.pca import bench_settings
from conf.settings import Settings
from conf.spark import session
from scripts.embedded_s3 import serve
from scripts.explorer import write
from scripts.overview import overview
from scripts.sample import sample
from scripts.session import connect, override
from scripts.sql import tables

if TYPE_CHECKING:
    from playwright.sync_api import Page

_COMPONENTS = 32
_DIMENSIONS = 256
_STEPS = 60
# How often the screen is drawn, from here on.
_COUNT_FRAMES = """() => {
  window.frames_ = 0;
  const count = () => { window.frames_ += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.explorer", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="photographs (default 50,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fruits-bench-") as folder, serve(Path(folder) / "s3") as server:
        settings = connect(bench_settings(Path(folder), len(os.sched_getaffinity(0))), server)
        settings = override(settings, "pca", k=_COMPONENTS, variance=None)
        spark = session(settings, Path(folder) / "spark.log")
        try:
            append_features(spark, settings, range(asked.rows), _DIMENSIONS)
            run(spark, settings, full=True)
        finally:
            spark.stop()
        figures = measure(settings, Path(folder) / "explorer.html")
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<22} {value:.3g}")


def measure(settings: Settings, place: Path) -> dict[str, Any]:
    """Write the page, then use it."""
    begun = time.perf_counter()
    with tables(settings.storage) as asked:
        told = overview(settings, asked)
        chosen = sample(asked, 10**9, _COMPONENTS)
        write(place, told, chosen, [])
    figures: dict[str, Any] = {
        "photographs": len(chosen),
        "write_seconds": time.perf_counter() - begun,
        "megabytes": place.stat().st_size / 1e6,
    }
    with browser() as started:
        begun = time.perf_counter()
        page = show(started, place)
        figures["open_seconds"] = time.perf_counter() - begun
        figures |= _use(page)
    return figures


def _use(page: "Page") -> dict[str, float]:
    box = page.locator("#plot").bounding_box()
    assert box is not None  # noqa: S101 - it has been drawn
    left, top = box["x"] + box["width"] / 3, box["y"] + box["height"] / 3
    page.evaluate(_COUNT_FRAMES)
    page.mouse.move(left, top)
    page.mouse.down()
    begun, before = time.perf_counter(), page.evaluate("frames_")
    for step in range(_STEPS):
        page.mouse.move(left + 3 * step, top + 2 * step)
    moved = time.perf_counter() - begun
    shown = page.evaluate("frames_") - before
    page.mouse.up()
    return {
        "frames_a_second_moving": shown / moved,
        "hover_seconds": _hover(page),
        "axis_seconds": _timed(
            page, "document.getElementById('axis-x')", "x.value = '2'; x.dispatchEvent(new Event('change'))"
        ),
        "neighbours_seconds": _timed(
            page,
            "document.getElementById('find')",
            "x.value = 'landing'; x.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }))",
        ),
    }


def _hover(page: "Page") -> float:
    """From a mouse that moves onto a photograph to its words."""
    places = page.evaluate(PLACES)
    x, y = next(place for place in places if 300 < place[0] < 800 and 400 < place[1] < 800)
    page.mouse.move(x - 60, y - 60)
    begun = time.perf_counter()
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    return time.perf_counter() - begun


def _timed(page: "Page", element: str, act: str) -> float:
    """From an act to the next frame that is drawn."""
    script = f"""() => new Promise((done) => {{
      const x = {element}, begun = performance.now();
      {act};
      requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - begun) / 1000)));
    }})"""
    seconds: float = page.evaluate(script)
    return seconds


if __name__ == "__main__":
    main()
