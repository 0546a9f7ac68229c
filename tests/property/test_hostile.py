"""Hostile objects, thousands of them, cost a refusal each and nothing else.

They are decoded by one process of its own, whose time, memory, output, files and modules are then looked at. The drawn
families are drawn once; for a long run, say how often, such as

    HOSTILE_ROUNDS=200 .venv/bin/pytest tests/property
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conf.tables import Reason
from tests.property.hostile import hostile_objects
from tests.property.objects import CANARY, MAX_PIXELS

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "1"))
LONGEST = 120 + 30 * ROUNDS
"""Seconds for the whole corpus, which takes a tenth of that."""

CPU_SECONDS = 2.0
BYTES_A_PIXEL = 16
FRAME_OF_A_GIF = 170_000_000
"""What the largest frame takes that Pillow makes room for before its size is known."""
SLACK = 64_000_000

READERS = {"Avif", "Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP"}


@dataclass(frozen=True)
class Ordeal:
    """What became of each object, what was printed, and what the process held, loaded and needed in all."""

    outcomes: Mapping[str, Mapping[str, Any]]
    fates: Mapping[str, str]
    printed: str
    status: int | None
    last: str
    summary: Mapping[str, Any]

    @property
    def refusals(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: outcome for name, outcome in self.outcomes.items() if outcome["fate"] == "refused"}


@pytest.fixture(scope="module")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> Ordeal:
    folder = tmp_path_factory.mktemp("hostile")
    corpus, report, output = folder / "corpus.zip", folder / "report", folder / "output"
    fates: dict[str, str] = {}
    with zipfile.ZipFile(corpus, "w") as objects:
        for hostile in hostile_objects(ROUNDS):
            assert hostile.name not in fates
            fates[hostile.name] = hostile.fate
            objects.writestr(hostile.name, hostile.data)
    command = [sys.executable, "-B", "-m", "tests.property.ordeal", str(corpus), str(report), str(MAX_PIXELS)]
    with output.open("w") as printed:
        try:
            status = subprocess.run(command, cwd=ROOT, stdout=printed, stderr=printed, timeout=LONGEST).returncode
        except subprocess.TimeoutExpired:
            status = None
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    outcomes = {line["name"]: line for line in lines if "fate" in line}
    return Ordeal(outcomes, fates, output.read_text(), status, lines[-1].get("name", ""), lines[-1])


def named(outcomes: Mapping[str, Mapping[str, Any]], field: str) -> dict[str, Any]:
    return {name: outcome[field] for name, outcome in outcomes.items() if outcome[field]}


def test_no_object_ends_the_process(ordeal: Ordeal) -> None:
    assert ordeal.status == 0, f"status {ordeal.status} at {ordeal.last!r}: {ordeal.printed}"
    assert len(ordeal.outcomes) == len(ordeal.fates) > 1_000


def test_each_is_shown_or_refused_as_it_should_be(ordeal: Ordeal) -> None:
    allowed = {"shown": {"shown"}, "refused": {"refused"}, "either": {"shown", "refused"}}
    wrong = {
        name: outcome for name, outcome in ordeal.outcomes.items() if outcome["fate"] not in allowed[ordeal.fates[name]]
    }
    assert not wrong


def test_reasons_are_of_the_closed_list(ordeal: Ordeal) -> None:
    reasons = {outcome["reason"] for outcome in ordeal.refusals.values()}
    assert reasons <= set(Reason)
    assert len(reasons) == 6, "the corpus reaches each reason that decoding has"


def test_details_are_one_short_line_without_bytes_of_the_object(ordeal: Ordeal) -> None:
    for name, outcome in ordeal.refusals.items():
        detail = outcome["detail"]
        assert 0 < len(detail) <= 200, name
        assert detail.isprintable(), name
        assert not any(sign in detail for sign in ("'", '"', "\\x", CANARY.decode())), (name, detail)
    assert not named(ordeal.refusals, "leak")


def test_no_object_takes_long(ordeal: Ordeal) -> None:
    assert not {name: outcome["cpu"] for name, outcome in ordeal.outcomes.items() if outcome["cpu"] > CPU_SECONDS}


def test_memory_is_bounded_by_the_limit_of_pixels(ordeal: Ordeal) -> None:
    largest = max(outcome["size"] for outcome in ordeal.outcomes.values())
    assert ordeal.summary["grown"] < BYTES_A_PIXEL * MAX_PIXELS + 2 * largest + FRAME_OF_A_GIF + SLACK


def test_nothing_is_printed(ordeal: Ordeal) -> None:
    assert ordeal.printed == ""


def test_nothing_is_opened_or_started(ordeal: Ordeal) -> None:
    assert not named(ordeal.outcomes, "events")


def test_nothing_is_left_behind(ordeal: Ordeal) -> None:
    assert ordeal.summary["before"] == ordeal.summary["after"]


def test_no_other_reader_of_pillow_is_ever_loaded(ordeal: Ordeal) -> None:
    plugins = {name for name in ordeal.summary["modules"] if name.endswith("ImagePlugin")}
    assert plugins == {f"PIL.{name}ImagePlugin" for name in READERS}
