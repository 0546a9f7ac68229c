"""The README and a page beside it as a new user follows them: every block runs, in order, in one shell."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.fruit_photos import draw_photos
from tests.integration.doc_blocks import BIN, blocks, follow

ROOT = Path(__file__).parents[2]


def fruits(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BIN / "fruits", *words], cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A copy of the tree's top level in which all blocks were run, with what they printed."""
    # The copy borrows this tree's .venv, which must be ready, or the copy's make would install the copy into it.
    subprocess.run(["make", "--silent", "setup"], cwd=ROOT, check=True)
    folder = tmp_path_factory.mktemp("clone")
    for entry in ROOT.iterdir():
        if entry.name not in (".git", ".fruits"):
            (folder / entry.name).symlink_to(entry)
    try:
        yield folder, follow(ROOT / "README.md", folder)
    finally:
        fruits(folder, "local", "down")


def test_every_block_runs_and_says_what_the_text_says(followed: tuple[Path, str]) -> None:
    folder, said = followed
    assert "PCA version" in said
    assert '"reason": "truncated"' in said
    assert "408 ['key', 'etag', 'label', 'sha256', 'pca_version', 'features_version', 'reduced']" in said
    assert "command line" in said
    assert (folder / "reduced.parquet").read_bytes()[:4] == b"PAR1"


def test_everything_that_was_dropped_is_accounted_for(followed: tuple[Path, str]) -> None:
    status = json.loads(fruits(followed[0], "status", "--json").stdout)
    assert (status["features"], status["waiting"], status["under_way"]) == (408, 0, 0)
    assert status["landed"] == 408 + sum(status["rejects"].values())
    assert (status["reduced"], status["features_since_pca"]) == (408, 0)


def test_a_second_demo_finds_what_the_first_one_left(followed: tuple[Path, str]) -> None:
    again = fruits(followed[0], "demo", "--count", "40", "--json")
    assert again.returncode == 0, again.stderr
    done = json.loads(again.stdout)
    assert done["before"]["features"] == done["accounting"]["features"] == 408
    assert [stream["features"] for stream in done["streams"]] == [0, 0]
    assert set(done["stages"]) >= {"first wave", "start Spark", "stream 1", "refresh 1", "query"}


def test_a_question_has_the_same_answer_in_every_format(followed: tuple[Path, str]) -> None:
    sql = "SELECT label, count(*) AS n FROM features WHERE label = 'pear' GROUP BY label"
    as_csv = fruits(followed[0], "query", sql).stdout
    as_json = json.loads(fruits(followed[0], "query", sql, "--format", "json").stdout)
    as_table = fruits(followed[0], "query", sql, "--format", "table").stdout
    assert as_csv.splitlines()[0] == "label,n"
    assert as_csv.splitlines()[1] == f"pear,{as_json[0]['n']}"
    assert str(as_json[0]["n"]) in as_table


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT * FROM featurs", "featurs"),
        ("SELEC 1", "SELEC"),
        ("DROP TABLE features", "Ask one question"),
        ("", "Ask one question"),
        ("COPY (FROM features) TO 'here.csv'", "Ask one question"),
    ],
)
def test_a_wrong_question_is_one_message(followed: tuple[Path, str], sql: str, says: str) -> None:
    asked = fruits(followed[0], "query", sql)
    assert asked.returncode == 1
    assert says in asked.stderr
    assert "Traceback" not in asked.stderr


def test_the_french_readme_has_no_command_of_its_own() -> None:
    english = {line for _, code in blocks(ROOT / "README.md") for line in code.splitlines()}
    assert {line for _, code in blocks(ROOT / "README.fr.md") for line in code.splitlines()} <= english


def test_the_page_for_those_who_come_from_notebooks_runs(tmp_path: Path) -> None:
    for photo in draw_photos(8, seed=7):
        file = tmp_path / "photos" / photo.label / photo.name
        file.parent.mkdir(parents=True)
        file.write_bytes(photo.data)
    said = follow(ROOT / "docs/from-notebook-to-service.md", tmp_path)
    assert "features=8" in said
    assert "'90%': " in said
    assert "|landing/" in said
    # What Keras saved there is what `model.weights` wants.
    load = (
        "from pathlib import Path; from streaming import network; network.load('mobilenet_v2', Path('mine.weights.h5'))"
    )
    loaded = subprocess.run([sys.executable, "-c", load], cwd=tmp_path, capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
