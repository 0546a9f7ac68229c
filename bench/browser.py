"""A page as people see it: in the Chromium of this machine, driven by Playwright, with nobody watching."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

WINDOW = (1400, 1000)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Software rendering: what a page must bear on a machine without a graphics card, as on this side of a container.
_WORDS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]


def chromium() -> str | None:
    """Where this machine's Chromium is; None where it has none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window. RuntimeError where this machine has none."""
    if (program := chromium()) is None:
        raise RuntimeError("There is no Chromium on this machine. Install it (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=_WORDS)
        try:
            yield started
        finally:
            started.close()


def show(browser: Browser, place: Path, scheme: str = "light") -> Page:
    """An explorer's page, opened from its file, once it is drawn."""
    width, height = WINDOW
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        accept_downloads=True,
        offline=True,
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(place.absolute().as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    return page


# Where a photograph of the map is in the window; of the one drawn topmost, the row.
PLACES = """() => {
  const plot = document.getElementById("plot"), { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
  return plot.data.filter((trace) => trace.hoverinfo === "none").flatMap((trace) => Array.from(trace.x, (x, at) =>
    [box.left + xaxis._offset + xaxis.l2p(x), box.top + yaxis._offset + yaxis.l2p(trace.y[at])]));
}"""
