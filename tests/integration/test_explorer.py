"""The explorer's page, where people look at it: in a browser, from its file, with no network; and the report."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch.refresh import run as refresh
from bench.browser import PLACES, browser, chromium, show
from conf.s3 import object_store
from conf.settings import Settings
from scripts.drop import drop
from scripts.explorer import write
from scripts.findings import Finding, Severity
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.fruits import fruits
from scripts.overview import overview
from scripts.pages import write as write_pages
from scripts.sample import Sample, sample
from scripts.session import override
from scripts.sql import tables
from streaming.stream import run as stream
from streaming.thumbnails import SIDE
from tests.integration.tables import rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from pyspark.sql import SparkSession

PHOTOS = list(draw_photos(24, seed=21))
MANY = 50_000
# What would run, or end the element it is in, if it were taken for anything but text.
HOSTILE = 'a"b<img src=x onerror=document.title=1>/</script><!--x,=1+1.jpg'
GONE = PHOTOS[3]
Explore = Callable[..., Result]
# Kept for whoever wants to look: what the page was like.
SHOTS = Path(os.environ.get("FRUITS_SCREENSHOTS", Path(__file__).parents[2] / "dist" / "screenshots"))

needs_browser = pytest.mark.skipif(
    chromium() is None, reason="no Chromium: install it (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def store(spark: "SparkSession", module_settings: Settings) -> Settings:
    """Two refits; some bad objects; one photograph with a hostile name, and one that is not there any more."""
    storage = module_settings.storage
    drop(storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in PHOTOS[:16]))
    stream(spark, module_settings, once=True)
    refresh(spark, override(module_settings, "pca", k=6))
    drop(storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in PHOTOS[16:]))
    drop(storage, ((f"{bad.label}/{bad.name}", bad.data) for bad in draw_bad_objects(1)))
    drop(storage, [(HOSTILE, PHOTOS[0].data)])
    stream(spark, module_settings, once=True)
    refresh(spark, override(module_settings, "pca", k=6))
    obstore.delete(object_store(storage), f"{storage.landing}{GONE.label}/{GONE.name}")
    return module_settings


@pytest.fixture(scope="module")
def explore(store: Settings) -> Explore:
    given = [f"--set=storage.{name}={getattr(store.storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return lambda *words: CliRunner().invoke(fruits, ["explore", "--profile", "test", *given, *map(str, words)])


@pytest.fixture(scope="module")
def place(explore: Explore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "explorer.html"
    said = explore(place, "--components", "4")
    assert said.exit_code == 0, said.output
    assert said.stdout.strip() == place.as_uri()
    return place


@pytest.fixture(scope="module")
def opened() -> Iterator["Browser"]:
    with browser() as started:
        yield started


@pytest.fixture
def page(opened: "Browser", place: Path) -> Iterator["Page"]:
    shown = show(opened, place)
    errors = watch(shown)
    yield shown
    shown.context.close()
    assert not errors


def watch(page: "Page") -> list[str]:
    """What goes wrong in a page from now on."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: errors.append(asked.url) if not asked.url.startswith(("data:", "blob:")) else None)
    return errors


def keep(page: "Page", name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def photographs(settings: Settings) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in rows(settings, "reduced")}


def places(page: "Page") -> np.ndarray[Any, Any]:
    return np.array(page.evaluate(PLACES))


def lasso(page: "Page", left: float, top: float, right: float, bottom: float) -> None:
    """Draw around a rectangle."""
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in [(right, top), (right, bottom), (left, bottom), (left, top)]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def point_in_the_middle(page: "Page") -> None:
    """Move the mouse over the middle of the map until a photograph appears, where the mouse is."""
    box = page.locator("#plot").bounding_box()
    assert box is not None
    for y in np.linspace(0.3, 0.7, 12):
        for x in np.linspace(0.3, 0.7, 25):
            at = box["x"] + x * box["width"], box["y"] + y * box["height"]
            page.mouse.move(*at)
            if not page.is_visible("#tip"):
                continue
            page.wait_for_timeout(300)  # what is drawn may lag behind the mouse
            if page.is_visible("#tip"):
                tip = page.locator("#tip").bounding_box()
                assert tip is not None
                assert np.hypot(tip["x"] - at[0], tip["y"] - at[1]) < 60
                return
    raise AssertionError("no photograph appears")


def around_half(found: np.ndarray[Any, Any]) -> tuple[float, float, float, float]:
    """A rectangle with half of the points, whose sides pass none closely."""
    across = np.sort(found[:, 0])
    gaps = np.diff(across)
    middle = len(across) // 4 + int(np.argmax(gaps[len(gaps) // 4 : -len(gaps) // 4]))
    right = (across[middle] + across[middle + 1]) / 2
    return found[:, 0].min() - 5, found[:, 1].min() - 5, right, found[:, 1].max() + 5


@needs_browser
def test_it_shows_every_photograph_and_asks_no_network(opened: "Browser", place: Path, store: Settings) -> None:
    context = opened.new_context(viewport={"width": 1400, "height": 1000}, offline=True)
    page = context.new_page()
    errors = watch(page)
    page.goto(place.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    assert errors == [place.as_uri()]
    # None of plotly's own buttons sends anything anywhere.
    assert {button.get_attribute("data-title") for button in page.locator(".modebar-btn").all()} == {
        "Download plot as a PNG",
        "Zoom",
        "Zoom in",
        "Zoom out",
        "Reset axes",
    }
    assert page.title() == "Fruits! explorer"
    assert len(places(page)) == len(photographs(store)) == 25
    keep(page, "explorer-light")
    said = page.inner_text("#map-says")
    assert "25 photographs" in said
    assert "24 of them have their picture" in said
    counts = {row["label"] for row in photographs(store).values()}
    assert page.locator("#legend li").count() == len(counts)
    assert "6 components of 1,280 are kept" in page.inner_text("#components-says")
    assert page.locator("#drift-table tbody tr").count() == 2
    refused = {row["reason"] for row in rows(store, "rejects")}
    assert all(reason in page.inner_text("#rejects-table") for reason in refused)
    assert "25 photographs were featurized" in page.inner_text("#arrivals-says")
    context.close()


@needs_browser
def test_a_photograph_appears_where_one_points_and_its_neighbours_on_a_click(page: "Page", store: Settings) -> None:
    x, y = places(page)[0]
    page.mouse.move(x - 40, y - 40)
    page.mouse.move(x, y, steps=4)
    page.wait_for_selector("#tip:not([hidden])")
    assert page.locator("#tip img, #tip .missing").count() == 1
    key = page.inner_text("#tip div").splitlines()[-1]
    page.mouse.click(x, y)
    page.wait_for_selector("#near")
    assert key in page.inner_text("#one")
    vectors = {name: np.array(row["reduced"][:4]) for name, row in photographs(store).items()}
    distances = {name: np.linalg.norm(vector - vectors[key]) for name, vector in vectors.items() if name != key}
    near = sorted(distances, key=lambda name: distances[name])
    shown = [button.get_attribute("title") for button in page.locator("#near button").all()]
    # The hostile one is a copy of another: two at one distance may stand in either order.
    np.testing.assert_allclose([distances[name] for name in shown], [distances[name] for name in near[:8]], rtol=1e-4)
    keep(page, "explorer-neighbours")
    page.locator("#near button").nth(1).click()
    assert str(shown[1]) in page.inner_text("#one")


@needs_browser
def test_pictures_are_small_and_of_their_photograph(page: "Page") -> None:
    image = PHOTOS[5]
    page.fill("#find", f"{image.label}/{image.name}")
    page.press("#find", "Enter")
    size = page.locator("#one img").first.evaluate(
        "(img) => img.decode().then(() => [img.naturalWidth, img.naturalHeight])"
    )
    assert max(size) == SIDE
    page.fill("#find", f"{GONE.label}/{GONE.name}")
    page.press("#find", "Enter")
    assert "gone from the store" in page.locator("#one .missing").first.inner_text()


@needs_browser
def test_axes_colours_and_depth_change(page: "Page", store: Settings) -> None:
    before = places(page)
    page.select_option("#axis-x", "2")
    third = sorted(row["reduced"][2] for row in photographs(store).values())
    drawn = page.evaluate(
        "document.getElementById('plot').data.flatMap((trace) => Array.from(trace.x)).sort((a, b) => a - b)"
    )
    np.testing.assert_allclose(drawn, third, rtol=1e-6)
    assert not np.allclose(before[:, 0], places(page)[:, 0])
    assert "component 3" in (page.text_content("#plot .xtitle") or "")
    for colour, title in [("batch", "micro-batch"), ("landed", "landed"), ("label", "")]:
        page.select_option("#colour", colour)
        assert page.locator("#plot .colorbar").count() == bool(title)
    page.select_option("#axis-z", "3")
    page.wait_for_selector("#plot .gl-container canvas")
    assert page.is_hidden("#tip")
    assert page.evaluate("document.getElementById('plot').data[0].type") == "scatter3d"
    assert page.is_disabled("#lasso")
    # What is up stays up.
    second = sorted(row["reduced"][1] for row in photographs(store).values())
    upward = "document.getElementById('plot').data.flatMap((trace) => Array.from(trace.z)).sort((a, b) => a - b)"
    np.testing.assert_allclose(page.evaluate(upward), second, rtol=1e-6)
    point_in_the_middle(page)
    keep(page, "explorer-deep")
    page.select_option("#axis-z", "")
    x, y = places(page)[0]
    page.mouse.move(x - 30, y)
    page.mouse.move(x, y, steps=4)
    page.wait_for_selector("#tip:not([hidden])")


@needs_browser
def test_what_the_lasso_holds_is_what_the_csv_has(page: "Page", store: Settings, tmp_path: Path) -> None:
    page.click("#lasso")
    found = places(page)
    box = around_half(found)
    lasso(page, *box)
    inside = int((found[:, 0] < box[2]).sum())
    page.wait_for_selector("#chosen:not([hidden])")
    assert f"{inside} photographs." in page.inner_text("#chosen-says")
    assert page.locator("#chosen tbody tr").count() == inside
    keep(page, "explorer-lasso")
    with page.expect_download() as download:
        page.click("#csv")
    download.value.save_as(tmp_path / "chosen.csv")
    with (tmp_path / "chosen.csv").open(encoding="utf-8", newline="") as file:
        told = list(csv.DictReader(file))
    assert len(told) == inside
    known, seen = photographs(store), {row["key"]: row for row in rows(store, "features")}
    right = max(known[row["key"]]["reduced"][0] for row in told)
    assert {row["key"] for row in told} == {key for key, row in known.items() if row["reduced"][0] <= right}
    for row in told:
        key = row["key"]
        assert [row[name] for name in ("etag", "label", "sha256")] == [
            known[key][name] for name in ("etag", "label", "sha256")
        ]
        vector = [np.float32(row[f"component_{axis + 1}"]) for axis in range(4)]
        assert vector == [np.float32(value) for value in known[key]["reduced"][:4]]
        assert int(row["batch_id"]) == seen[key]["batch_id"]
        assert row["last_modified"][:19] == seen[key]["last_modified"].isoformat()[:19]
    page.click("#clear")
    assert page.is_hidden("#chosen")
    page.select_option("#axis-y", "label")
    rows_of_labels = {round(y) for _, y in places(page)}
    assert len(rows_of_labels) == len({row["label"] for row in known.values()})


@needs_browser
def test_labels_hide_and_the_keyboard_is_enough(page: "Page", store: Settings) -> None:
    label = PHOTOS[5].label
    page.get_by_role("button", name=f"Only {label}").click()
    alike = [key for key, row in photographs(store).items() if row["label"] == label]
    assert len(places(page)) == len(alike)
    page.click("#all")
    page.focus("#find")
    page.keyboard.type(label)
    assert f"{len(alike)} found" in page.inner_text("#found")
    for number in range(1, len(alike) + 1):
        page.keyboard.press("Enter")
        assert page.inner_text("#found") == f"{number} of {len(alike)}"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert f"{len(alike)} photographs." in page.inner_text("#chosen-says")
    page.locator("#chosen tbody button").first.focus()
    page.keyboard.press("Enter")
    assert label in page.inner_text("#one")
    # Whoever does not see it hears what the picture is of, and each control by its name.
    assert page.get_attribute("#plot", "aria-labelledby") == "map-title map-says"
    unnamed = "(e) => !e.labels?.length && !e.textContent.trim() && !e.getAttribute('aria-label')"
    assert not [e for e in page.locator("button, input, select").all() if e.evaluate(unnamed)]


@needs_browser
def test_a_hostile_name_is_text(page: "Page", store: Settings) -> None:
    page.fill("#find", "onerror")
    page.click("#take")
    assert HOSTILE in page.inner_text("#chosen")
    page.locator("#chosen tbody button").first.click()
    assert page.title() == "Fruits! explorer"
    assert page.locator("img:not(.picture)").count() == 0


@needs_browser
def test_light_and_dark_are_told_apart(opened: "Browser", place: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = show(opened, place, scheme)
        drawn = "document.querySelector('#plot')._fullLayout.paper_bgcolor"
        ground = f"getComputedStyle(document.body).backgroundColor + {drawn}"
        grounds.append(page.evaluate(ground))
        page.click("#theme")
        grounds.append(page.evaluate(ground))
        keep(page, f"explorer-from-{scheme}")
        page.context.close()
    assert grounds[0] == grounds[3] != grounds[1] == grounds[2]


@needs_browser
def test_it_bears_fifty_thousand(opened: "Browser", store: Settings, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with tables(store.storage) as asked:
        told, few = overview(store, asked), sample(asked, 25, 6)
    taken = rng.integers(0, len(few), MANY)
    vectors = (few.vectors[taken] + rng.normal(0, 0.5, (MANY, 6))).astype(np.float32)
    write(tmp_path / "many.html", told, Sample(few.rows.take(pa.array(taken)), vectors), [])
    page = show(opened, tmp_path / "many.html")
    errors = watch(page)
    found = places(page)
    assert len(found) == MANY
    x, y = found[0]
    page.mouse.move(x - 40, y)
    page.mouse.move(x, y, steps=4)
    page.wait_for_selector("#tip:not([hidden])")
    page.click("#lasso")
    left, top, right, bottom = around_half(found)
    lasso(page, left, top, right, bottom)
    page.wait_for_selector("#chosen:not([hidden])")
    held = int(page.inner_text("#chosen-says").split()[0].replace(",", ""))
    assert held == pytest.approx((found[:, 0] < right).sum(), rel=0.01)
    assert page.locator("#chosen tbody tr").count() == 100
    keep(page, "explorer-many")
    page.context.close()
    assert not errors


def test_a_file_for_embedding_atlas_has_what_the_page_has(explore: Explore, store: Settings, tmp_path: Path) -> None:
    place = tmp_path / "photographs.parquet"
    said = explore(place, "--format", "parquet", "--pictures", "10")
    assert said.stdout.strip() == f"uvx embedding-atlas {place} --x x --y y --image image"
    found = pq.ParquetFile(place).read().to_pylist()
    known = photographs(store)
    assert {row["key"] for row in found} == known.keys()
    for row in found:
        assert (row["x"], row["y"]) == tuple(known[row["key"]]["reduced"][:2])
        assert row["pca_version"] == 2
    pictures = [row["image"] for row in found if row["image"]]
    assert 9 <= len(pictures) <= 10
    assert all(picture["bytes"][8:12] == b"WEBP" for picture in pictures)


def test_a_limit_takes_the_same_ones_each_time(explore: Explore, tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        place = tmp_path / f"{name}.parquet"
        said = explore(place, "--format", "parquet", "--limit", "7", "--pictures", "0")
        assert "7 of 25 photographs" in said.stderr
        keys.append([row["key"] for row in pq.ParquetFile(place).read().to_pylist()])
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 7


def report(settings: Settings, *words: object) -> Result:
    given = [f"--set=storage.{name}={getattr(settings.storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return CliRunner().invoke(fruits, ["report", "--profile", "test", *given, *map(str, words)])


def test_a_report_is_two_pages_of_the_same_figures(store: Settings, tmp_path: Path) -> None:
    said = report(store, tmp_path / "report.pdf")
    assert (said.exit_code, said.stdout.strip()) == (0, (tmp_path / "report.pdf").as_uri()), said.output
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert (pdf[:5], pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ")) == (b"%PDF-", 2)
    assert report(store, tmp_path / "report.html").exit_code == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    words = html.partition('<div class="words">')[2].partition("</div>")[0]
    assert "25 photographs of 13 labels have a vector; all are in the map below." in words
    assert "PCA version 2 keeps 6 of 1,280 dimensions" in words
    for reason, count in Counter(row["reason"] for row in rows(store, "rejects")).items():
        assert f"{count} {reason}" in words
    # The map, and of each photograph of the twelve labels with most of them a picture, but of the one that is gone.
    labels = Counter(row["label"] for row in photographs(store).values())
    assert html.count("<image") == 1 + sum(count for _, count in labels.most_common(12)) - 1


def test_a_report_bears_any_label(store: Settings, tmp_path: Path) -> None:
    with tables(store.storage) as asked:
        told, few = overview(store, asked), sample(asked, 25, 6)
    for name in ("$x_1$", "苹果", "<b>&amp;", "", "x" * 300):
        rows = few.rows.set_column(2, "label", pa.array([name] * len(few)))
        refused = Finding("refused", Severity.FAILED, f"No stream can start. {name} " * 9, "see the docs")
        accounting = replace(told.accounting, findings=(refused,) * 9)
        changed = replace(told, accounting=accounting, labels=[{"label": name, "photographs": len(few)}])
        write_pages(tmp_path / "report.html", "html", changed, Sample(rows, few.vectors), {name: []})
        drawn = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert (escape(name[:17]) or "(no label)") in drawn


def test_what_cannot_be_reported_is_one_message(settings: Settings, tmp_path: Path) -> None:
    for words, status, says in [
        ([tmp_path / "report.docx"], 2, "tells no format: end it in .pdf, .html"),
        ([tmp_path / "report.pdf"], 1, "Run `fruits stream`, then `fruits refresh`."),
    ]:
        said = report(settings, *words)
        assert (said.exit_code, says in said.stderr) == (status, True), said.output


def test_what_cannot_be_done_is_one_message(explore: Explore, settings: Settings, tmp_path: Path) -> None:
    for words, says in [
        ([tmp_path], "is a folder: name a file in it"),
        ([tmp_path / "no" / "page.html"], f"There is no folder {tmp_path / 'no'}"),
        (
            [f"--set=storage.prefix={settings.storage.prefix}", tmp_path / "page.html"],
            "Run `fruits stream`, then `fruits refresh`.",
        ),
    ]:
        said = explore(*words)
        assert (said.exit_code, says in said.stderr) == (1, True), said.output
    assert not list(tmp_path.iterdir())
