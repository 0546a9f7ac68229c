"""What is wrong with a store, and what `fruits status` says to do about it: each rule by itself."""

import shlex
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conf.settings import Settings, load
from scripts.findings import Severity, need_a_hand
from scripts.fruits import COMMANDS, fruits
from scripts.liveness import Liveness, State
from scripts.rules import find
from scripts.session import override
from tests.unit.accounts import MOMENT, RUNNING, WELL

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
STOPPED, DEAD, NEVER = (Liveness(state, None, None, "") for state in (State.STOPPED, State.DEAD, State.NEVER_RAN))
WAITING: dict[str, Any] = {"waiting": 7, "lag_seconds": 5400, "backlog": 7}
BUSY = WAITING | {"last_batch": {"at": MOMENT.isoformat()}, "landed_per_second": 20.0}
OTHER = "mobilenet_v2/0123456789ab/rgb224-bilinear"
MANY, FEW = {"corrupt": 101}, {"corrupt": 100}

CASES: list[tuple[dict[str, Any], dict[str, Severity]]] = [
    ({"stream": DEAD}, {"dead": Severity.FAILED}),
    ({"stream": STOPPED, **WAITING}, {"stopped": Severity.WARNING}),
    ({"stream": NEVER, **WAITING}, {"never_ran": Severity.WARNING}),
    ({"stream": NEVER, "features": 0, "landed": 0}, {"empty": Severity.WARNING}),
    ({"stream": replace(RUNNING, seconds_left=9)}, {"lease_lapses": Severity.WARNING}),
    (WAITING, {"stuck": Severity.FAILED}),
    ({"under_way": 7, "backlog": 7, "under_way_seconds": 601}, {"stuck": Severity.FAILED}),
    (BUSY, {"growing": Severity.WARNING}),
    ({"refusal": "The tables lack 3 rows.", "unlisted": 3}, {"refused": Severity.FAILED}),
    ({"unlisted": 3}, {"unlisted": Severity.FAILED}),
    ({"rejects_last_day": {"crashed": 1}}, {"crashed": Severity.WARNING, "rejects": Severity.NOTE}),
    ({"rejects_last_hour": MANY, "rejects_last_day": MANY}, {"many_rejects": Severity.WARNING}),
    ({"rejects_last_hour": MANY, "rejects_last_day": None}, {"many_rejects": Severity.WARNING}),
    ({"rejects_last_hour": FEW, "rejects_last_day": FEW}, {"rejects": Severity.NOTE}),
    ({"rejects_last_hour": {"gone": 101}, "rejects_last_day": {"gone": 101}}, {"rejects": Severity.NOTE}),
    ({"pca_version": None, "reduced": 0}, {"no_reduced": Severity.NOTE}),
    ({"pca_model_id": OTHER}, {"reduced_of_another_model": Severity.WARNING}),
    ({"features_since_pca": 50}, {"behind": Severity.NOTE}),
    ({"features_since_pca": 51}, {"stale": Severity.WARNING}),
    ({"features_since_pca": 1, "published_at": MOMENT - timedelta(hours=25)}, {"stale": Severity.WARNING}),
    ({"features_since_pca": None}, {"stale": Severity.WARNING}),
    ({"model_id": OTHER, "pca_model_id": OTHER}, {"other_model": Severity.WARNING}),
    ({"set_aside": 1}, {"set_aside": Severity.WARNING}),
    ({"forgetting": 1}, {"forgetting": Severity.WARNING}),
    ({"dropped_again": 2}, {"dropped_again": Severity.WARNING}),
    ({"features_files": 101, "features_bytes": 101 * 2**20}, {"small_files": Severity.WARNING}),
    ({"landed": 100_001}, {"long_listing": Severity.WARNING}),
]
NOTHING: list[dict[str, Any]] = [
    {},
    {"stream": STOPPED},
    {"stream": replace(RUNNING, seconds_left=10)},
    # It has just been started, and its first micro-batch is under way.
    WAITING | {"stream": replace(RUNNING, since=MOMENT - timedelta(seconds=500))},
    # After an hour with nothing to do, photographs land, and then the stream has them.
    {"waiting": 1, "lag_seconds": 1.0, "backlog": 1},
    {"under_way": 7, "backlog": 7, "under_way_seconds": 20},
    {"under_way": 7, "backlog": 7},
    BUSY | {"landed_per_second": 14.0},
    BUSY | {"lag_seconds": 60},
    {"rejects": {"corrupt": 1000}},
    {"rejects_last_hour": None, "rejects_last_day": None},
    {"features_since_pca": 51, "refreshing": "process 4712 on a-host"},
    {"features_since_pca": None, "last_ingested": WELL.published_at},
    {"features": 0, "pca_version": None},
    {"features_files": 100, "features_bytes": 100 * 2**20},
    {"features_files": 1000, "features_bytes": 1000 * 2**25},
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load("local")


@pytest.mark.parametrize(("figures", "wanted"), CASES, ids=[next(iter(codes)) for _, codes in CASES])
def test_each_rule_finds_its_own_and_no_other(
    figures: dict[str, Any], wanted: dict[str, Severity], settings: Settings
) -> None:
    found = find(replace(WELL, **figures), settings)
    assert {one.code: one.severity for one in found} == wanted
    assert all(one.says.endswith((".", "?")) and one.do for one in found)


@pytest.mark.parametrize("figures", NOTHING)
def test_what_is_as_it_should_be_is_not_found(figures: dict[str, Any], settings: Settings) -> None:
    assert find(replace(WELL, **figures), settings) == ()


def test_a_long_listing_is_nothing_with_a_queue_or_where_the_zone_is_cleaned(settings: Settings) -> None:
    for values in ({"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"}, {"clean": "delete"}):
        assert find(replace(WELL, landed=200_000), override(settings, "discovery", **values)) == ()


def test_a_stream_told_to_take_longer_a_batch_hangs_later(settings: Settings) -> None:
    patient = override(settings, "stream", backlog_seconds=600)
    quiet = WAITING | {"last_batch": {"at": (MOMENT - timedelta(minutes=45)).isoformat()}}
    assert [len(find(replace(WELL, **quiet), each)) for each in (settings, patient)] == [1, 0]


def test_what_no_event_told_of_waits_for_the_next_listing(settings: Settings) -> None:
    queue = override(settings, "discovery", queue_url="https://sqs.eu-west-1.amazonaws.com/1/q")
    quiet = replace(WELL, **WAITING | {"last_batch": {"at": (MOMENT - timedelta(hours=3)).isoformat()}})
    patience = 3600 + 600
    found = [find(replace(quiet, lag_seconds=patience + more), queue) for more in (0, 1)]
    assert [[one.code for one in each] for each in found] == [[], ["stuck"]]


def test_one_photograph_waits_and_two_wait(settings: Settings) -> None:
    for stream in (RUNNING, STOPPED):
        one, two = (
            find(replace(WELL, stream=stream, **WAITING | {"backlog": backlog}), settings)[0].says for backlog in (1, 2)
        )
        assert "1 photograph waits" in one
        assert "2 photographs wait" in two


def test_what_matters_most_comes_first_and_notes_need_no_hand(settings: Settings) -> None:
    bad = find(replace(WELL, set_aside=1, features_since_pca=1, unlisted=1), settings)
    assert [one.severity for one in bad] == [Severity.FAILED, Severity.WARNING, Severity.NOTE]
    assert need_a_hand(bad)
    assert not need_a_hand(find(replace(WELL, features_since_pca=1), settings))


def test_every_command_that_is_recommended_exists(settings: Settings) -> None:
    commands = [
        shlex.split(one.do[one.do.index("fruits ") :])
        for figures, _ in CASES
        for one in find(replace(WELL, **figures), settings)
        if "fruits " in one.do and "photos/" not in one.do
    ]
    assert len({words[1] for words in commands}) >= 4
    for _, name, *words in commands:
        assert name in COMMANDS
        # Parsed, and not run: a profile that is not there ends it before it does anything.
        said = CliRunner().invoke(fruits, [name, *words, "--profile", "nowhere"])
        assert (said.exit_code, "no profile 'nowhere'" in said.output) == (1, True), said.output


def test_operations_explains_every_finding(settings: Settings) -> None:
    explained = OPERATIONS.read_text(encoding="utf-8")
    for _, wanted in CASES:
        for code, severity in wanted.items():
            assert f"| `{code}` | {severity} |" in explained
