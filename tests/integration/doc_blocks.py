"""Pages of the documentation as a reader follows them: every block of sh and of Python runs, in order."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Kind and text of each block, in order."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def follow(page: Path, folder: Path, *, as_cells: bool = False) -> str:
    """Run all blocks of a page in one shell in a folder; what they print.

    Blocks of Python are programs of their own; as cells, those that follow each other are one.
    """
    found = blocks(page)
    if as_cells:
        groups = itertools.groupby(found, lambda block: block[0])
        found = [(kind, "".join(code for _, code in group)) for kind, group in groups]
    script = "".join(code if kind == "sh" else f"python - <<'END'\n{code}END\n" for kind, code in found)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FRUITS_"))}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout
