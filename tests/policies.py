"""What IAM policies allow, as IAM evaluates those of one role: an explicit denial counts most, and silence is a denial.

moto's own evaluation knows no conditions, and AWS's simulator is a call to AWS. This one knows what deploy/fruits.yaml
uses, and refuses to guess at anything else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Policies:
    """The statements of all policies that count for somebody."""

    statements: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> "Policies":
        return cls(tuple(statement for document in documents for statement in _listed(document["Statement"])))

    def allow(self, action: str, resource: str, principal: str | None = None, **context: Any) -> bool:
        """Whether an action is allowed on a resource.

        Parameters
        ----------
        principal
            Who asks, where these are policies of the resource; None where they are those of who asks.
        context
            Condition keys, with `__` for the colon.
        """
        known = {name.replace("__", ":").lower(): value for name, value in context.items()}
        effects = {
            statement["Effect"]
            for statement in self.statements
            if _matches(_listed(statement["Action"]), action, ignore_case=True)
            and _matches(_listed(statement["Resource"]), resource)
            and _is_about(statement.get("Principal"), principal)
            and _holds(statement.get("Condition", {}), known)
        }
        return effects == {"Allow"}

    def allowed(self) -> set[tuple[str, str]]:
        """Every action and resource that an Allow names, as it is written."""
        return {
            (action, resource)
            for statement in self.statements
            if statement["Effect"] == "Allow"
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        }


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _matches(patterns: Iterable[str], value: str, ignore_case: bool = False) -> bool:
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return any(re.fullmatch(re.escape(p).replace(r"\*", ".*").replace(r"\?", "."), value, flags) for p in patterns)


def _is_about(named: Any, principal: str | None) -> bool:
    if named is None or named == "*":
        return True
    return principal is not None and any(principal in _listed(those) for those in named.values())


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, Any]) -> bool:
    return all(
        key.lower() in context and _compare(operator, _listed(expected), context[key.lower()])
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _compare(operator: str, expected: Sequence[Any], found: Any) -> bool:
    match operator:
        case "StringEquals":
            return str(found) in map(str, expected)
        case "ArnEquals" | "ArnLike":
            return _matches(expected, found)
        case "Bool":
            return str(found).lower() in {str(value).lower() for value in expected}
        case "NumericLessThan":
            return any(float(found) < float(value) for value in expected)
        case _:
            raise NotImplementedError(operator)
