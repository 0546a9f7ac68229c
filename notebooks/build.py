"""Run the notebook's script cell by cell, and write the notebook with what its cells show.

`python -m notebooks.build`, or `make notebook`. The script is what is edited; nothing that differs from run to run is
kept of the notebook but the seconds that its cells print.
"""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

SCRIPT = Path(__file__).with_name("notebook_pyspark_fruits.py")
NOTEBOOK = SCRIPT.with_suffix(".ipynb")
_CELL_SECONDS = 600


def from_script() -> NotebookNode:
    """The notebook that the script stands for, without outputs; a cell's id is that of its text."""
    notebook = jupytext.read(SCRIPT)
    for cell in notebook.cells:
        cell.id = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
    return notebook


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run all cells in a kernel of this Python that starts in a folder, and keep in the notebook what they show.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        Where a cell fails; it says which, and how.
    """
    client = NotebookClient(
        notebook, timeout=_CELL_SECONDS, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.km = client.create_kernel_manager()
    with TemporaryDirectory(prefix="fruits-") as sockets:
        # Not over TCP, where others on this machine could listen, and of which the kernel warns.
        client.km.transport, client.km.ip = "ipc", f"{sockets}/kernel"
        client.execute()
    # All else that it tells is of this machine's Python.
    notebook.metadata.language_info = {"name": "python"}


def main() -> None:
    """Write the notebook anew."""
    notebook = from_script()
    execute(notebook, SCRIPT.parent)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
