"""The pictures of the documentation, made anew from a demo of their own: `make pictures`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from bench.browser import browser, show

_HERE = Path(__file__).parent
_FRUITS = Path(sys.executable).with_name("fruits")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fruits-pictures-") as folder:
        place = Path(folder) / "explorer.html"
        for words in (["demo"], ["explore", str(place)]):
            subprocess.run([_FRUITS, *words], cwd=folder, check=True, stdout=sys.stderr)
        explorer(place, _HERE / "explorer.png")


def explorer(place: Path, picture: Path) -> None:
    """The map, with one photograph chosen."""
    with browser() as started:
        page = show(started, place)
        page.fill("#find", "kiwi/")
        page.press("#find", "Enter")
        page.fill("#find", "")
        page.wait_for_selector("#near")
        page.screenshot(path=picture)
    # A hundred colours do, at a third of the size.
    Image.open(picture).convert("RGB").quantize(128).save(picture, optimize=True)
    print(os.path.relpath(picture))


if __name__ == "__main__":
    main()
