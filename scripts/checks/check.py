"""What a check answers: an outcome, what was found, and the remedy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from conf.errors import FruitsError


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAILED = "FAILED"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Answer:
    """What a check found."""

    outcome: Outcome
    says: str
    do: str | None = None
    """The remedy, where one is needed."""


Check = Callable[[], Answer]


@dataclass(frozen=True)
class Result:
    """A check that was made."""

    name: str
    outcome: Outcome
    says: str
    do: str | None
    seconds: float


def ok(says: str) -> Answer:
    """As it should be."""
    return Answer(Outcome.OK, says)


def warn(says: str, do: str) -> Answer:
    """It works, and may not do so for long, or not as wanted."""
    return Answer(Outcome.WARN, says, do)


def failed(says: str, do: str) -> Answer:
    """It does not work."""
    return Answer(Outcome.FAILED, says, do)


def failed_with(error: object, otherwise: str) -> Answer:
    """It does not work, as a message tells: its first sentence says what happened, the others what to do."""
    says, _, do = str(error).partition(". ")
    return failed(says.rstrip("."), do or otherwise)


def left_out(says: str) -> Answer:
    """It could not be told, or was not asked for."""
    return Answer(Outcome.LEFT_OUT, says)


def examine(name: str, check: Check) -> Result:
    """Make one check. Whatever it raises is its answer, so that the next one is made, too."""
    begun = time.perf_counter()
    try:
        answer = check()
    except FruitsError as error:
        answer = failed_with(error, "See docs/operations.md.")
    except Exception as error:
        first = (str(error).splitlines() or [""])[0][:300]
        answer = failed(f"{type(error).__name__}: {first}", "This check did not expect that: please report it.")
    return Result(name, answer.outcome, answer.says, answer.do, round(time.perf_counter() - begun, 3))
