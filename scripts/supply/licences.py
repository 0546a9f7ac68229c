"""The licence of each part, and whether it is one that parts may have: `python -m scripts.supply.licences`.

Writes docs/licences.md, from the metadata of what is installed and, for jars, from a table. Needs no network.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from conf.jars import listed_jars
from scripts.supply.parts import ROOT, packages

PAGE = ROOT / "docs" / "licences.md"
_TABLE = Path(__file__).with_name("licences.toml")
_UNKNOWN = "unknown"
# As old metadata spell them, in full or at the beginning.
_NAMES = {
    "Apache": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "3-Clause BSD": "BSD-3-Clause",
    "MIT": "MIT",
    "MPL-2.0 AND MIT": "MPL-2.0 AND MIT",
    "Mozilla Public License 2.0": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_HEAD = """# Licences

What Fruits! (Apache-2.0) runs on, and under which licence each part is: `make docs` writes this page, from the metadata
of the installed packages and, for jars, from [licences.toml](../scripts/supply/licences.toml), which also says which
licences parts may have. A test fails where a part has another. `make sbom` writes the same with versions, and sha256 of
jars, to `dist/fruits.cdx.json`. pyspark's package brings Spark's own jars, which neither of the two lists.
"""


@dataclass(frozen=True)
class Part:
    """A package or a jar."""

    kind: str
    name: str
    licence: str
    """An SPDX expression; BSD where it does not say with how many clauses."""


@dataclass(frozen=True)
class Table:
    """licences.toml."""

    allowed: frozenset[str]
    packages: Mapping[str, str]
    jars: Mapping[str, str]

    @classmethod
    def read(cls) -> "Table":
        """As it is in this package."""
        told: dict[str, Any] = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
        return cls(frozenset(told["allowed"]), told["packages"], told["jars"])

    def refuses(self, part: Part) -> bool:
        """Whether any licence that it names is none that parts may have."""
        named = set(re.split(r" (?:AND|OR|WITH) |[() ]+", part.licence)) - {""}
        return not named <= self.allowed


def parts(table: Table, found: Mapping[str, Distribution] | None = None) -> list[Part]:
    """All parts; or the jars and these packages."""
    found = packages() if found is None else found
    told = [Part("package", name, table.packages.get(name) or licence_of(one)) for name, one in found.items()]
    jars = {f"{jar.group}:{jar.artifact}": table.jars.get(jar.group, _UNKNOWN) for jar in listed_jars()}
    return told + [Part("jar", name, licence) for name, licence in jars.items()]


def licence_of(package: Distribution) -> str:
    """What its metadata say: an expression, else a classifier, else the field of old."""
    metadata = package.metadata
    if metadata["License-Expression"]:
        return str(metadata["License-Expression"])
    classifiers = [line.split(" :: ") for line in metadata.get_all("Classifier") or ()]
    named = [line[-1] for line in classifiers if line[0] == "License" and len(line) > 1]
    for spelled in (metadata["License"] or "", *named):
        licence = next((_NAMES[known] for known in sorted(_NAMES, reverse=True) if spelled.startswith(known)), None)
        if licence:
            return licence
    return _UNKNOWN


def page(found: list[Part]) -> str:
    """docs/licences.md."""
    lines = [f"| {part.kind} | {part.name} | {part.licence} |" for part in found]
    return "\n".join([_HEAD, "| | part | licence |", "|---|---|---|", *lines, ""])


def main() -> None:
    """Write the page; end with status 1 where a part may not come in."""
    table = Table.read()
    found = parts(table)
    PAGE.write_text(page(found), encoding="utf-8")
    refused = [f"{part.name} is under {part.licence}" for part in found if table.refuses(part)]
    if refused:
        raise SystemExit(f"{'; '.join(refused)}: none of the licences in {_TABLE.name}. Decide, then add it there.")


if __name__ == "__main__":
    main()
