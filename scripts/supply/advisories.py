"""Known vulnerabilities of the locked packages, by pip-audit: `python -m scripts.supply.advisories`, or `make audit`.

Where no source of advisories can be asked, nothing is known, which is said, and is no reason to fail: the same commit
may not pass on one machine and fail on the next for its network. Jars are not looked up: no source is asked about them.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scripts.supply.parts import locked, packages

WAIVERS = Path(__file__).with_name("waivers.toml")
# The one that answers first is believed: both have the advisories of the Python Packaging Authority.
_SOURCES = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
_LIMIT_S = 300
# What the libraries below pip-audit call a source that cannot be reached.
_AWAY = re.compile(r"Connection|Timeout|timed out|resolve|ProxyError|SSLError|Server Error|Client Error")


@dataclass(frozen=True)
class Vulnerability:
    """One that is known of a locked package."""

    package: str
    version: str
    ids: tuple[str, ...]
    """By which different lists know it."""
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        return f"{self.package} {self.version}: {self.ids[0]}, {fixed}"


@dataclass(frozen=True)
class Waiver:
    """A vulnerability that does no harm here."""

    id: str
    package: str
    reason: str
    until: date

    def covers(self, found: Vulnerability, today: date) -> bool:
        """Whether it is of this one, and still holds."""
        return self.id in found.ids and self.package == found.package and today <= self.until


@dataclass(frozen=True)
class Answer:
    """What a source of advisories says."""

    known: tuple[Vulnerability, ...]
    told: int
    """Packages that it knows of."""
    untold: tuple[str, ...]
    """Those that it does not."""


def ask(requirements: str, source: Sequence[str]) -> Answer | None:
    """What a source says of locked packages; None where it cannot be reached. Ends where pip-audit itself fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        words = [sys.executable, "-m", "pip_audit", "--requirement", file.name, "--require-hashes", "--disable-pip"]
        words += ["--format", "json", "--progress-spinner", "off", *source]
        try:
            ran = subprocess.run(words, capture_output=True, text=True, timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            return None
    # pip-audit ends with 1 for what it finds and for what goes wrong alike; in the latter case it prints no list.
    if ran.stdout.startswith("{"):
        return understood(ran.stdout)
    if _AWAY.search(ran.stderr):
        return None
    raise SystemExit(f"pip-audit failed: {ran.stderr.strip()[-2000:]}")


def understood(answer: str) -> Answer:
    """pip-audit's JSON. A package that a source does not know, it passes over and calls the rest clean."""
    found: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    untold = tuple(one["name"] for one in found if "skip_reason" in one)
    known = tuple(
        Vulnerability(one["name"], one["version"], (each["id"], *each["aliases"]), tuple(each["fix_versions"]))
        for one in found
        for each in one.get("vulns", ())
    )
    return Answer(known, len(found) - len(untold), untold)


def waivers(path: Path = WAIVERS) -> list[Waiver]:
    """Those in the file."""
    return [Waiver(**one) for one in tomllib.loads(path.read_text(encoding="utf-8")).get("waiver", [])]


def judge(answer: Answer | None, waived: Sequence[Waiver], today: date) -> tuple[int, str]:
    """Exit status, and what to say."""
    if answer is None or not answer.told:
        return 0, "No source of advisories could be asked: whether any locked package is vulnerable is not known."
    open_ones = [found for found in answer.known if not any(waiver.covers(found, today) for waiver in waived)]
    if open_ones:
        says = "\n".join(map(str, open_ones))
        return 1, f"{says}\nLock a version in which it is fixed, or say in {WAIVERS.name} why it does no harm."
    rest = f"; of {len(answer.untold)} nothing is known: {', '.join(answer.untold)}" if answer.untold else ""
    excused = f", {len(answer.known)} waived" if answer.known else ""
    return 0, f"Of {answer.told} locked packages no vulnerability is known{excused}{rest}."


def main(sources: Sequence[Sequence[str]] = _SOURCES) -> None:
    """Ask, say, and end with status 1 where something is known and not waived."""
    requirements = locked(set(packages()))
    answers = (ask(requirements, source) for source in sources)
    answer = next((answer for answer in answers if answer and answer.told), None)
    status, says = judge(answer, waivers(), datetime.now(UTC).date())
    print(says, file=sys.stderr if status else sys.stdout)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
