"""`fruits status` as people and machines read it, of figures that are given."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from conf.errors import StorageError
from conf.settings import load
from scripts.accounting import Accounting
from scripts.fruits import fruits
from scripts.liveness import State
from scripts.rules import find
from scripts.screen import Screen
from tests.unit.accounts import RUNNING, WELL

SCHEMA = Path(__file__).parents[2] / "docs" / "status.schema.json"
DEAD = replace(RUNNING, state=State.DEAD, says="process 4711 on a-host did not renew its lease")
BAD = replace(
    WELL,
    stream=DEAD,
    waiting=7,
    lag_seconds=5400,
    under_way=90,
    backlog=97,
    backlog_seconds=6.8,
    rejects={"corrupt": 2, "empty": 1},
    rejects_last_hour={},
    rejects_last_day={"corrupt": 2},
    features_since_pca=400,
)

WORDS = ["status", "--set", "storage.endpoint=http://127.0.0.1:1"]
Asks = Callable[..., Result]


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> Asks:
    """The command, on a store with these figures."""

    def ask(figures: Accounting, *words: str) -> Result:
        monkeypatch.setattr("scripts.rules.account", lambda _: figures)
        return CliRunner().invoke(fruits, [*WORDS, *words])

    return ask


def drawn(figures: Accounting, room: int | None = None) -> list[str]:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(Screen(replace(figures, findings=find(figures, load("local"))), room), end="")
    return captured.get().splitlines()


def words(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def test_a_person_reads_the_state_first_what_waits_and_at_last_what_to_do() -> None:
    lines = drawn(BAD)
    assert lines[0].startswith("dead: process 4711 on a-host did not renew its lease")
    said = words(lines)
    assert "waiting 7 the oldest for 90 min; 97 to do, which takes about 7 s" in said
    assert "under way 90 a stream takes them up at its next start" in said
    assert "features 500 of 499 keys, the last at 2026-05-04 12:00:30 UTC; 4 files of 2 MB" in said
    assert "rejects 3 2 corrupt, 1 empty; 0 in the last hour, 2 in the last day" in said
    assert "PCA version 3, fitted 2026-05-04 11:00:30 UTC, published 2026-05-04 11:00:30 UTC, 400 features" in said
    assert "at 2026-05-04 11:00:00 UTC, 14.3 a second, the oldest could be queried 12 s after it landed" in said
    # A word tells how much each matters, and the command to type is a line of its own.
    assert "failed The stream is dead, and 97 photographs wait. -> fruits stream warning reduced lacks" in said
    assert [line.strip() for line in lines if "->" in line][:2] == ["-> fruits stream", "-> fruits refresh"]
    assert "All is well" not in said


def test_words_in_brackets_are_shown_as_they_are() -> None:
    refused = replace(WELL, refusal="The state of s3://[/fruits] is [bold]lost[/bold].")
    assert "No stream can start. The state of s3://[/fruits] is [bold]lost[/bold]." in words(drawn(refused))


def test_all_is_well_where_nothing_is_wrong_and_notes_do_not_change_that() -> None:
    assert drawn(WELL)[-1] == "All is well."
    assert "All is well. Worth knowing: note reduced lacks 1 of 500 features" in words(
        drawn(replace(WELL, features_since_pca=1))
    )


@pytest.mark.parametrize("figures", [WELL, BAD])
def test_it_is_one_screen(figures: Accounting) -> None:
    lines = drawn(figures)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("room", [3, 8, 12])
def test_in_a_low_window_figures_make_room_for_findings(room: int) -> None:
    lines = drawn(BAD, room=room)
    assert len(lines) <= room
    assert lines[0].startswith("dead")
    if room >= 8:
        assert "-> fruits stream" in words(lines)


def test_before_the_first_batch_there_is_less_to_say() -> None:
    empty = Accounting(RUNNING, None, 0, 0, None, 0, 0, 0, 0)
    assert "`fruits refresh` makes them" in words(drawn(empty))


@pytest.mark.parametrize(("figures", "ends"), [(WELL, 0), (BAD, 1), (replace(WELL, features_since_pca=1), 0)])
def test_check_ends_with_1_where_something_needs_a_hand(status: Asks, figures: Accounting, ends: int) -> None:
    assert status(figures).exit_code == 0
    checked = status(figures, "--check")
    assert (checked.exit_code, checked.output) == (ends, status(figures).output)
    assert status(figures, "--check", "--json").exit_code == ends


def test_check_and_watch_exclude_each_other(status: Asks) -> None:
    said = status(WELL, "--check", "--watch")
    assert (said.exit_code, "give one" in said.output) == (2, True)


@pytest.mark.parametrize("figures", [WELL, BAD, Accounting(RUNNING, None, 0, 0, None, 0, 0, 0, 0)])
def test_json_is_as_its_schema_says(status: Asks, figures: Accounting) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    found = json.loads(status(figures, "--json").output)
    jsonschema.validate(found, schema, format_checker=jsonschema.FormatChecker())
    # Nothing is in it that the schema does not explain.
    assert set(found) == set(schema["properties"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found | {"landed": "many"}, schema)


def test_the_schema_in_docs_is_of_this_version_and_explains_every_field(status: Asks) -> None:
    text = SCHEMA.read_text(encoding="utf-8")
    assert text == status(WELL, "--schema").output, "fruits status --schema > docs/status.schema.json"
    schema = json.loads(text)
    parts = [schema, *(part for part in schema["$defs"].values() if "properties" in part)]
    unexplained = [
        name for part in parts for name, told in part["properties"].items() if not {"description", "$ref"} & set(told)
    ]
    assert (len(parts), unexplained) == (4, [])


def test_names_of_json_are_a_contract() -> None:
    # Of the first version: add, never rename.
    first = """stream last_batch landed waiting lag_seconds discovered features under_way backlog rejects unlisted
        set_aside model_id last_ingested features_files features_bytes current reduced pca_version features_since_pca"""
    assert set(first.split()) <= set(json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"])


def test_it_is_told_again_and_again_until_ctrl_c_also_after_a_look_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []

    def look(_: object) -> Accounting:
        if len(looks) in (2, 3):
            raise StorageError("No answer from bucket.")
        return WELL

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("scripts.rules.account", look)
    monkeypatch.setattr("time.sleep", sleep)
    said = CliRunner().invoke(fruits, [*WORDS, "--json", "--watch"])
    assert (said.exit_code, looks) == (0, [5.0] * 5)
    assert [json.loads(line)["landed"] for line in said.stdout.splitlines()] == [500] * 3
    assert said.stderr.splitlines() == ["No answer from bucket."] * 2
