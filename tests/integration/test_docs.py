"""What the pages of docs/ show runs, in order, from an empty folder; and the API's pages are made of docstrings.

README.md and the pages named in ELSEWHERE have tests of their own.
"""

import ast
import importlib
import inspect
import subprocess
from pathlib import Path

import pytest

from tests.integration.doc_blocks import blocks, follow

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"cli.md": "test_examples.py", "from-notebook-to-service.md": "test_readme.py"}
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if blocks(page) and page.name not in ELSEWHERE]
PYTHON = ROOT / "docs" / "python.md"


def entry_points() -> list[tuple[str, str]]:
    """Module and name of what docs/python.md takes from the packages that are documented."""
    code = "\n".join(code for _, code in blocks(PYTHON))
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    found = [(node.module or "", name.name) for node in imports for name in node.names]
    return [(module, name) for module, name in found if module.split(".")[0] in ("conf", "streaming", "batch")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path, as_cells=True)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, made without a warning."""
    folder = tmp_path_factory.mktemp("api")
    made = subprocess.run(
        ["make", "--silent", "api", f"API={folder}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert made.stderr == ""
    return folder


@pytest.mark.parametrize(("module", "name"), entry_points(), ids=lambda part: str(part))
def test_an_entry_point_is_on_a_page_with_what_it_does(api: Path, module: str, name: str) -> None:
    page = (api / f"{module.replace('.', '/')}.html").read_text(encoding="utf-8")
    documented = getattr(importlib.import_module(module), name)
    assert f'id="{name}"' in page
    first_words = (inspect.getdoc(documented) or "").split()[:3]
    assert len(first_words) == 3
    assert " ".join(first_words) in page


def test_the_entry_points_are_those_of_the_commands() -> None:
    named = {f"{module}.{name}" for module, name in entry_points()}
    assert named >= {
        "batch.evaluate.run",
        "batch.export.write",
        "batch.models.load",
        "batch.refresh.run",
        "batch.similar.nearest",
        "batch.spaces.space_of",
        "conf.settings.load",
        "conf.spark.session",
        "streaming.featurize.featurize",
        "streaming.stream.run",
    }
