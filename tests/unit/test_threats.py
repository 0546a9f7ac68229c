"""Each test that the page of threats names is there, and the page names some for each threat."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_every_test_that_is_named_is_there() -> None:
    assert len(NAMED) > 40
    there = {
        file: {
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
        }
        for file in {file for file, _ in NAMED}
        if (ROOT / file).is_file()
    }
    assert [f"{file}::{name}" for file, name in NAMED if name not in there.get(file, ())] == []


def test_every_part_names_tests_and_says_what_is_not_covered() -> None:
    for part in re.split(r"(?m)^## ", PAGE)[1:]:
        title = part.partition("\n")[0]
        assert "::test_" in part, title
        assert "**Not covered.**" in part, title


def test_what_is_named_as_a_test_has_the_form_that_is_looked_for() -> None:
    assert PAGE.count("::") == sum(PAGE.count(f"`{file}::{name}`") for file, name in NAMED)
