"""The command line where it needs neither Spark nor S3."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from conf.settings import flatten, load
from conf.tables import Reason
from scripts.drop import name_files
from scripts.fruits import COMMANDS, fruits
from scripts.reference import PLACE, Entry, document, entries


def test_help_loads_neither_tensorflow_nor_spark() -> None:
    code = (
        "import sys; from scripts.fruits import fruits; fruits(['--help'], standalone_mode=False); "
        "print([m for m in ('tensorflow', 'keras', 'pyspark', 'duckdb', 'boto3', 'pyarrow') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
    assert all(name in said for name in COMMANDS)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_command_has_help_with_an_example_of_its_own(entry: Entry) -> None:
    said = CliRunner().invoke(fruits, [*entry.name.split()[1:], "--help"])
    assert said.exit_code == 0
    below = isinstance(entry.command, click.Group) and entry.name != "fruits"
    assert below or entry.examples
    for example in entry.examples:
        assert re.search(rf"\b{entry.name}( |\)|$)", example)
        assert example in said.output


def test_the_reference_is_what_the_commands_say_now() -> None:
    assert PLACE.read_text(encoding="utf-8") == document(), f"{PLACE} is not of today: run `make docs`"


def test_no_command_is_left_out_of_the_reference() -> None:
    said = document()
    assert len(entries()) > len(COMMANDS)
    for entry in entries()[1:]:
        assert f"\n## {entry.name}\n" in said
        options = [option for option in entry.command.params if isinstance(option, click.Option)]
        assert [option.opts[0] for option in options if option.opts[0] not in said] == []
    assert all(f"`FRUITS_{name.upper().replace('.', '__')}`" in said for name, _ in flatten(load("local")))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Say what"),
        (["a.jpg", "--resume"], "Say what"),
        (["--resume", "--dry-run"], "leave out --dry-run"),
        (["--sha256", "ab"], "is no sha256"),
        (["--prefix", "", "--yes"], "would be everything"),
    ],
)
def test_what_to_forget_is_said_in_one_way(words: list[str], says: str) -> None:
    said = CliRunner().invoke(fruits, ["forget", *words])
    assert (said.exit_code, says in said.output) == (2, True), said.output


def test_the_shell_completes_commands_and_options() -> None:
    for words, at, completes in [("fruits str", "1", "stream"), ("fruits export --sp", "2", "--space")]:
        asked = {"_FRUITS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": at}
        said = CliRunner().invoke(fruits, [], prog_name="fruits", env=asked)
        assert said.output.splitlines() == [f"plain,{completes}"]


@pytest.mark.parametrize(
    "words", [["nonsense"], ["query"], ["stream", "--twice"], ["refresh", "--solver", "magic"], ["drop", "/not/there"]]
)
def test_misuse_exits_with_2(words: list[str]) -> None:
    assert CliRunner().invoke(fruits, words).exit_code == 2


def test_k_and_variance_together_are_misuse() -> None:
    said = CliRunner().invoke(fruits, ["refresh", "-k", "3", "--variance", "0.9"])
    assert (said.exit_code, "exclude each other" in said.output) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model-version", "2", "-k", "3"], "--model-version refits nothing: leave out"),
        (["--model-version", "2", "--if-drift", "0.1"], "--model-version refits nothing: leave out"),
        (["--model-version", "0"], "x>=1"),
        (["--if-drift", "-1"], "x>=0"),
        (["--if-drift", "nan"], "nan is no number to go by"),
        (["-k", "0"], "0 is not in the range x>=1"),
        (["--variance", "1.5"], "1.5 is not in the range 0<x<=1"),
        (["--variance", "nan"], "nan is no number to go by"),
        (["--if-drift", "0.1", "--solver", "mllib"], "which the solver mllib does not keep"),
        (["--dry-run", "--every", "15m"], "--dry-run does nothing, however often"),
    ],
)
def test_wishes_that_make_no_sense_are_misuse(words: list[str], says: str) -> None:
    said = CliRunner().invoke(fruits, ["refresh", *words])
    assert (said.exit_code, says in said.output) == (2, True)


def test_a_place_where_no_model_can_be_written_is_told_at_once(tmp_path: Path) -> None:
    for place, words, says in [
        (tmp_path, [], f"{tmp_path} is a folder: name a file in it"),
        (tmp_path, ["--format", "mllib"], f"{tmp_path} is there already: name a new folder."),
        (tmp_path / "no" / "pca.npz", [], f"There is no folder {tmp_path / 'no'}: make it"),
        ("s3://bucket/pca", ["--format", "mllib"], "There is no folder s3:/bucket: make it, or name another place on"),
    ]:
        said = CliRunner().invoke(fruits, ["model", str(place), *words])
        assert (said.exit_code, says in said.output) == (1, True), said.output


@pytest.mark.parametrize("every", ["15", "m", "-5m", "0s", "1w", "15 m", "1e3s"])
def test_an_interval_that_is_none_is_misuse(every: str) -> None:
    said = CliRunner().invoke(fruits, ["refresh", "--every", every])
    assert (said.exit_code, "is no time: write 90s, 15m, 1.5h or 1d." in said.output) == (2, True)


@pytest.mark.parametrize("reason", [*Reason])
def test_a_reason_is_named_as_the_tables_name_it(reason: Reason) -> None:
    said = CliRunner().invoke(fruits, ["reprocess", "--reason", reason.value])
    assert "Say what: one of --rejects" in said.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["config", "--profile", "nowhere"], "no profile 'nowhere'"),
        (["config", "--set", "stream.max_files=many"], "stream.max_files"),
        (["config", "--set", "strem.max_files=5"], "perhaps stream is meant"),
        (["config", "--set", "stream.max_file=5"], "perhaps stream.max_files is meant"),
        (["config", "--set", "storage.bucket=x", "--set", "storage.bucket.name=y"], "goes below bucket"),
    ],
)
def test_a_nonsense_setting_exits_with_1_and_one_message(words: list[str], says: str) -> None:
    said = CliRunner().invoke(fruits, words)
    assert said.exit_code == 1
    assert says in said.output
    assert said.exception is None or isinstance(said.exception, SystemExit)


def test_config_says_where_a_value_comes_from() -> None:
    said = CliRunner().invoke(
        fruits, ["config", "--json", "--set", "pca.k=7"], env={"FRUITS_STREAM__MAX_FILES": "9"}, catch_exceptions=False
    )
    found = json.loads(said.output)
    assert found["pca.k"] == {"value": 7, "from": "command line"}
    assert found["stream.max_files"] == {"value": 9, "from": "environment"}
    assert found["storage.bucket"] == {"value": "fruits", "from": "profile local.toml"}
    assert found["images.max_pixels"]["from"] == "default"


def test_dropped_files_are_named_by_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "harvest"
    for name in (
        "loose.jpg",
        "apple/1.jpg",
        "train/pear/1.jpg",
        "test/pear/1.jpg",
        ".git/x",
        "apple/.DS_Store",
        "_tmp/a",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert sorted(name for _, name in name_files(folder)) == [
        "apple/1.jpg",
        "harvest/loose.jpg",
        "test/pear/1.jpg",
        "train/pear/1.jpg",
    ]
    assert [name for _, name in name_files(folder / "loose.jpg")] == ["harvest/loose.jpg"]
    assert [name for _, name in name_files(folder / "loose.jpg", "kiwi")] == ["kiwi/loose.jpg"]


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("SELECT lab", ["SELECT label", "SELECT label "]),
        ("SELECT label FROM re", ["SELECT label FROM rejects", "SELECT label FROM reduced"]),
        ("SELECT max(wid", ["SELECT max(width", "SELECT max(width "]),
        ("SELECT nothing_like_it", []),
    ],
)
def test_the_shell_completes_names_of_tables_and_columns(begun: str, offered: list[str]) -> None:
    found = ShellComplete(fruits, {}, "fruits", "_FRUITS_COMPLETE").get_completions(["query"], begun)
    assert set(offered) <= {item.value for item in found}
    assert bool(found) == bool(offered)


def test_the_shell_completes_files_of_sql() -> None:
    (item,) = ShellComplete(fruits, {}, "fruits", "_FRUITS_COMPLETE").get_completions(["query"], "repo")
    assert (item.type, item.value) == ("file", "repo")


def test_a_command_misspelt_is_told_which_is_meant() -> None:
    said = CliRunner().invoke(fruits, ["explor"])
    assert (said.exit_code, "No such command 'explor'. Did you mean explore?" in said.output) == (2, True)
    assert "Did you mean" not in CliRunner().invoke(fruits, ["zzzz"]).output
