"""Keys and labels that were chosen to do harm are text, whoever shows them, and name no file on this machine."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from conf.settings import Settings
from scripts.fruits import fruits
from scripts.screen import show_status
from scripts.show import show_similar
from tests.integration.features import Rows, draw_vectors
from tests.integration.hand_written import D, HandWritten
from tests.unit.accounts import WELL

LABELS = [
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m\x7f\x08",
    "\u202egpj.dna\u2066",
    "pear\nAll is well.\r",
    "[bold red]apple[/] [/nothing]",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "'; DROP TABLE features; --",
    '"><script>alert(1)</script>',
    "$\\frac{",
    "%s%n{0}",
    "..",
]


def keys(settings: Settings) -> list[str]:
    landing = settings.storage.landing
    return [f"{landing}{label}/../../../escape-{number}.jpg" for number, label in enumerate(LABELS)]


@pytest.fixture(scope="module")
def store(module_settings: Settings) -> Settings:
    """Photographs with such names in features."""
    numbers = range(len(LABELS))
    rows = Rows(numbers, draw_vectors(len(LABELS), D, seed=1)).table()
    for name, values in (("key", keys(module_settings)), ("label", LABELS)):
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
    HandWritten(module_settings.storage).append_rows(rows)
    return module_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, in a folder that nothing is to be written to."""
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setenv("COLUMNS", "400")
    return tmp_path


def run(settings: Settings, *words: str) -> Result:
    sets = [f"--set=storage.{name}={getattr(settings.storage, name)}" for name in ("endpoint", "prefix")]
    done = CliRunner().invoke(fruits, [words[0], "--profile=test", *sets, *words[1:]], catch_exceptions=False)
    assert done.exit_code in (0, 1), done.output
    return done


def is_text(said: str) -> bool:
    return all(line.isprintable() for line in said.split("\n"))


@pytest.mark.parametrize("columns", ["80", "400"], ids=["a line a value", "a table"])
def test_on_a_terminal_a_name_is_letters_and_codes(
    store: Settings, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    said = run(
        store, "query", "SELECT label, key, etag, sha256, size, width, format FROM features", "--format", "table"
    )
    assert is_text(said.stdout)
    assert r"\x1b[2J" in said.stdout
    assert r"\u202egpj.dna" in said.stdout
    assert r"pear\nAll is well.\r" in said.stdout
    assert "[bold red]apple" in said.stdout
    assert not any(line.strip() == "All is well." for line in said.stdout.splitlines())


def test_in_csv_no_text_begins_as_a_formula_and_in_json_it_is_as_it_is(store: Settings, folder: Path) -> None:
    sql = "SELECT label FROM features ORDER BY key"
    wanted = [label for _, label in sorted(zip(keys(store), LABELS, strict=True))]
    assert [row["label"] for row in json.loads(run(store, "query", sql, "--format", "json").stdout)] == wanted
    run(store, "export", "vectors.csv", "--space", "features")
    with Path("vectors.csv").open(encoding="utf-8", newline="") as file:
        exported = [row["label"] for row in csv.DictReader(file)]
    asked = run(store, "query", sql, "--format", "csv").stdout_bytes.decode()
    queried = [row["label"] for row in csv.DictReader(io.StringIO(asked, newline=""))]
    for told in (sorted(exported), sorted(queried)):
        assert told == sorted(f"'{label}" if label[0] in "=@" else label for label in LABELS)


@pytest.mark.parametrize("form", ["csv", "npz", "parquet", "tfrecord"])
def test_an_export_is_one_file(store: Settings, folder: Path, form: str) -> None:
    place = folder / "a" / "b" / "c" / f"vectors.{form}"
    assert run(store, "export", str(place), "--space", "features").exit_code == 0
    assert [path for path in folder.rglob("*") if path.is_file()] == [place]
    if form == "npz":
        with np.load(place, allow_pickle=False) as arrays:
            assert sorted(arrays["key"].tolist()) == sorted(keys(store))


@pytest.mark.parametrize("number", range(len(LABELS)))
def test_a_name_finds_its_photograph_and_nothing_else(store: Settings, folder: Path, number: int) -> None:
    key = keys(store)[number]
    found = run(store, "similar", key, "--space", "features", "-n", "1", "--json")
    assert found.exit_code == 0, found.stderr
    (nearest,) = json.loads(found.stdout)
    assert nearest["key"] in keys(store)
    assert nearest["key"] != key
    shown = run(store, "similar", key, "--space", "features", "--no-pictures")
    assert is_text(shown.stdout)
    missing = run(store, "similar", f"{key}.gone", "--space", "features")
    assert (missing.exit_code, is_text(missing.stderr)) == (1, True)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_status_and_audit_say_names_as_letters_and_codes(store: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "audit"):
        said = run(store, command)
        assert is_text(said.stdout + said.stderr)
    assert r"\x1b[2J" in said.stdout, "of rows that no manifest lists, the first is named"
    for label in LABELS:
        show_status(WELL.__class__(**(vars(WELL) | {"refusal": label, "refreshing": label, "model_id": label})))
        show_similar([{"distance": 0.5, "label": label, "key": label}], [None])
    assert is_text(capsys.readouterr().out)
