"""The explorer's page as a file, without a browser: what is in it stays where it was put."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from batch.pca import PCA
from scripts.explorer import write
from scripts.overview import Arrivals, Overview
from scripts.sample import Sample
from scripts.terminal import cards, shows_pictures
from tests.unit.accounts import WELL
from tests.unit.image_corpus import file_of

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
HOSTILE = '</script><script>alert(1)</script><!--"\u2028'


class Elements(HTMLParser):
    """Scripts of a page, by their ids, and all its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.tags: list[str] = []
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self._inside = dict(attrs).get("id") or f"script {len(self.scripts)}"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


@pytest.fixture
def sample() -> Sample:
    keys = [f"landing/{HOSTILE}/{number}.jpg" for number in range(3)]
    columns: dict[str, Any] = {name: [1, 2, 3] for name in ("size", "batch_id", "width", "height")}
    columns |= {name: keys for name in ("key", "etag", "sha256", "format")}
    columns |= {"label": [HOSTILE, "pear", HOSTILE], "last_modified": [NOW] * 3}
    return Sample(pa.table(columns), np.array([[0, 1], [5, 5], [2, 1]], np.float32))


@pytest.fixture
def told() -> Overview:
    pca = PCA(2)
    pca.k_, pca.mean_, pca.scree_ = 2, np.zeros(4), np.array([0.5, 0.3, 0.2, 0.0])
    labels = [{"label": HOSTILE, "photographs": 2}, {"label": "pear", "photographs": 1}]
    arrivals = Arrivals("day", 86_400, [{"began": NOW, "photographs": 3}])
    refits = [{"pca_version": 1, "fitted_at": NOW, "mean_shift": None}]
    return Overview(HOSTILE, NOW, WELL, 3, 1, "model", pca, labels, refits, [], arrivals)


def read(place: Path) -> Elements:
    elements = Elements()
    elements.feed(place.read_text(encoding="utf-8"))
    return elements


def test_what_is_put_in_comes_out_and_ends_nothing(told: Overview, sample: Sample, tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    write(place, told, sample, iter([b"one", None]))
    page = read(place)
    assert page.tags.count("script") == 6
    assert "<!--fill:" not in "".join(page.scripts.values())
    # No other script may run: the page's policy has the two by their hashes.
    allowed = re.findall(r"'sha256-([^']+)'", place.read_text(encoding="utf-8"))
    ours = [text for name, text in page.scripts.items() if name.startswith("script ")]
    assert allowed == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in ours]
    about = json.loads(page.scripts["about"])
    assert (about["place"], about["labels"][0]["label"]) == (HOSTILE, HOSTILE)
    assert about["arrivals"]["counts"][0]["began"] == NOW.timestamp() * 1000
    photographs = json.loads(page.scripts["photographs"])
    assert photographs["key"] == sample.rows["key"].to_pylist()
    assert photographs["label"] == [0, 1, 0]
    vectors = np.frombuffer(base64.b64decode(page.scripts["vectors"]), "<f4").reshape(2, 3)
    np.testing.assert_array_equal(vectors.T, sample.vectors)
    assert page.scripts["pictures"].strip().splitlines() == [base64.b64encode(b"one").decode(), "-"]


def test_a_figure_that_is_no_number_is_a_defect_and_not_a_broken_page(
    told: Overview, sample: Sample, tmp_path: Path
) -> None:
    told.pca.scree_ = np.array([np.nan])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "page.html", told, sample, [])


def test_the_most_typical_of_a_label_come_first(sample: Sample) -> None:
    rows = pa.table({"label": ["a", "b", "a", "a"]})
    some = Sample(rows, np.array([[0, 0], [9, 9], [2, 0], [10, 0]], np.float32))
    assert some.typical("a", 2) == [2, 0]
    assert some.typical("b", 2) == [1]
    assert some.typical("c", 2) == []


def test_pictures_go_to_terminals_with_enough_colours() -> None:
    plain, rich = (
        Console(force_terminal=True, color_system="256"),
        Console(force_terminal=True, color_system="truecolor"),
    )
    assert not shows_pictures(plain)
    assert not shows_pictures(Console(force_terminal=False, color_system="truecolor"))
    assert shows_pictures(rich)
    with rich.capture() as captured:
        rich.print(
            cards(
                [file_of(np.full((20, 40, 3), (255, 0, 0), np.uint8), "PNG"), None],
                ["1 red", "2 gone with a long name"],
            )
        )
    drawn = captured.get()
    # Half as high as wide: a quarter of the height above and below is left black.
    assert drawn.count("▀") == 14 * 7
    assert "48;2;0;0;0" in drawn
    assert "gone" in drawn
    assert "2 gone with a…" in drawn
