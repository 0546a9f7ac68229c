"""The parts that Fruits! runs on: the packages that it depends on, itself included, and the jars.

Told from what is installed here, which requirements.lock has brought; what only developers need is no part.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
_PROJECT = "fruits"


def packages(project: str = _PROJECT) -> dict[str, Distribution]:
    """Everything that it needs to run on this platform, by normalized name, without itself."""
    from packaging.requirements import Requirement

    found: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()
    waiting = [(project, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in asked:
            continue
        asked.add((name, extra))
        found[name] = distribution(name)
        for line in found[name].requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                waiting += [(normalized(wanted.name), each) for each in ("", *wanted.extras)]
    return {name: found[name] for name in sorted(found) if name != project}


def normalized(name: str) -> str:
    """A package's name as every index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(names: set[str]) -> str:
    """The part of requirements.lock that is of some packages, hashes and all."""
    return "".join(block for name, block in _blocks() if name in names)


def _blocks() -> Iterator[tuple[str, str]]:
    for block in re.split(r"(?m)^(?=\S)", LOCK.read_text(encoding="utf-8")):
        if block.strip():
            yield normalized(block.partition("==")[0]), block
