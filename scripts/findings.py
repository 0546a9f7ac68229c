"""What can be found to be wrong with a store. The rules that find it are in `scripts.rules`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ConfigDict


class Severity(StrEnum):
    """How much it matters; what matters most first."""

    FAILED = "failed"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    code: str
    """Names the rule: docs/operations.md lists them."""
    severity: Severity
    """failed: nothing goes on until somebody acts. warning: it wants a hand soon. note: worth knowing."""
    says: str
    """What was found, for a person."""
    do: str
    """What to do: a command, or where to read."""


def need_a_hand(findings: Iterable[Finding]) -> bool:
    """Whether any is more than worth knowing."""
    return any(finding.severity is not Severity.NOTE for finding in findings)
