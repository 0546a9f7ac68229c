"""What an audit finds, in words."""

from collections.abc import Iterable, Sequence

from scripts.findings import Finding, Severity
from scripts.wording import count, printable

LOST = "docs/operations.md, When something is lost; mostly: fruits stream --rebuild-state"
RESTORE = "see who wrote them; then docs/operations.md, Who wrote what"
AGAIN = "fruits refresh --full"
SHOWN = 3


def wrong(
    code: str,
    number: int,
    noun: str,
    what: str,
    do: str,
    such: Sequence[str] = (),
    severity: Severity = Severity.FAILED,
) -> Finding:
    """So many things that are not as they should be, and some of them."""
    few = f": {', '.join(such[:SHOWN])}{', …' if number > len(such[:SHOWN]) else ''}" if such else ""
    return Finding(code, severity, f"{count(number, noun)} {what}{few}.", do)


def examples(rows: Iterable[tuple[str, int]]) -> list[str]:
    """Keys with the manifests that they are of."""
    return [f"{printable(key)} (manifest {manifest})" for key, manifest in rows]
