"""The notebook: it runs top to bottom wherever it is started, and what is kept of it is that, and small."""

import os
import re
import socket
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.build import NOTEBOOK, execute, from_script

# Absolute paths, addresses and ports, days and times.
MACHINE = re.compile(
    r"(?<![\w:/])/\w[\w.-]*/|127\.0\.0\.1|localhost|:\d{4,5}\b|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|0x[0-9a-f]{6}"
)


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(notebook: NotebookNode) -> str:
    return "".join(output.text for output in outputs(notebook) if output.output_type == "stream")


@pytest.fixture(scope="module")
def kept() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[NotebookNode, Path]:
    """The notebook run in a folder that has nothing to do with the project, and that folder."""
    notebook, folder = from_script(), tmp_path_factory.mktemp("elsewhere")
    for name in ("work", "temporary"):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder / "temporary"))
        # Of a notebook's own history, too, nothing stays with whoever runs the tests.
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        execute(notebook, folder / "work")
    return notebook, folder


def test_the_two_pcas_agree_up_to_sign(ran: tuple[NotebookNode, Path]) -> None:
    said = printed(ran[0])
    assert "explained variance within 1e-9: True" in said
    cosine = re.search(r"smallest cosine, whatever its sign: (\S+)", said)
    assert cosine is not None
    assert float(cosine[1]) == pytest.approx(1, abs=1e-6)
    assert "apart by the mean: True" in said


def test_weights_by_broadcast_give_what_the_stream_gives(ran: tuple[NotebookNode, Path]) -> None:
    said = printed(ran[0])
    assert "240 vectors of 1280 numbers" in said
    assert "12 photographs by both engines, all numbers within 0.001: True" in said
    assert "240 features, 0 rejects, 240 decodes" in said
    assert "240 rows, the same numbers as by hand: True" in said


def test_a_second_run_takes_what_is_new_and_refuses_what_is_bad(ran: tuple[NotebookNode, Path]) -> None:
    said = printed(ran[0])
    assert "60 features, 6 rejects" in said
    assert re.search(r"landing/mixed/truncated\.jpg\|\s*truncated", said)
    assert "300 rows of 32 numbers" in said


def test_it_shows_four_figures_and_no_warning(ran: tuple[NotebookNode, Path]) -> None:
    shown = outputs(ran[0])
    assert sum("image/png" in output.get("data", {}) for output in shown) == 4
    assert [output for output in shown if output.get("name") == "stderr"] == []


def test_it_leaves_nothing_behind(ran: tuple[NotebookNode, Path]) -> None:
    notebook, folder = ran
    assert "still there: False" in printed(notebook)
    assert [*(folder / "work").iterdir(), *(folder / "temporary").iterdir()] == []


def test_script_and_notebook_are_in_step(kept: NotebookNode) -> None:
    told, scripted = ([(cell.id, cell.cell_type, cell.source) for cell in one.cells] for one in (kept, from_script()))
    assert told == scripted, "the script has changed: `make notebook` writes the notebook anew"
    assert kept.metadata.jupytext == from_script().metadata.jupytext


def test_the_notebook_that_is_kept_was_run_from_top_to_bottom(kept: NotebookNode) -> None:
    counts = [cell.execution_count for cell in kept.cells if cell.cell_type == "code"]
    assert counts == [*range(1, len(counts) + 1)]
    assert {output.output_type for output in outputs(kept)} <= {"stream", "display_data", "execute_result"}
    assert [output for output in outputs(kept) if output.get("name") == "stderr"] == []
    assert "smallest cosine, whatever its sign: 1.0" in printed(kept)


def test_the_notebook_that_is_kept_is_small_and_tells_nothing_of_a_machine(kept: NotebookNode) -> None:
    assert NOTEBOOK.stat().st_size < 500_000
    texts = [output.get("text", "") or output.data.get("text/plain", "") for output in outputs(kept)]
    assert [found[0] for text in texts for found in MACHINE.finditer(text)] == []
    assert socket.gethostname() not in "".join(texts)
    assert not any("execution" in cell.metadata for cell in kept.cells)
