"""The archive that a job runs in: Python, locked packages, the project and its network, in one folder that can move."""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import platformdirs

from conf.errors import SetupError
from scripts.deployment import packing
from scripts.deployment.interpreter import VERSION, Interpreter, find_uv
from streaming.flatbuffer import SHIPPED

_WHEELS_FOR = "x86_64-manylinux_2_34"
"""Packages are taken only as they are built for a C library that is no newer than EMR's."""
_SITE = Path("lib", f"python{VERSION}", "site-packages")
_MADE_BY = [Path(__file__).with_name(f"{name}.py") for name in ("environment", "interpreter", "packing")]
_OTHERS = 2
"""Kept beside the newest: of another engine, or of another clone."""
_TRIAL = """
import bz2, ctypes, lzma, sqlite3, ssl
import ai_edge_litert.interpreter, boto3, deltalake, duckdb, numpy, obstore, pandas, PIL.Image, pyarrow, rich
"""

_log = logging.getLogger(__name__)


def pack(archive: Path, python: Interpreter, entries: str, wheel: Path, models: Path) -> None:
    """Write the archive.

    Parameters
    ----------
    archive
    python
    entries
        Of a lock file: the packages that are in it, and no others.
    wheel
        The project's.
    models
        Folder of what `streaming.flatbuffer` finds ready there.

    Raises
    ------
    SetupError
        Where packages cannot be had, or what was put together does not run.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent) as name:
        tree, project = Path(name, "tree"), Path(name, "project")
        # Pure Python: to unpack it is to install it.
        zipfile.ZipFile(wheel).extractall(tree / _SITE)
        shutil.copytree(models, tree / SHIPPED.relative_to(sys.prefix))
        compile_all(tree)
        packing.pack(tree, project)
        packing.join([_packages(python, entries), project], archive)


def compile_all(tree: Path) -> None:
    """Compile all that is in lib/, so that no worker has to: for Python of this version, wherever it is unpacked."""
    if sys.version_info[:2] != tuple(map(int, VERSION.split("."))):
        return
    compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(tree)]
    # With strings hashed as always, sets are written in the order of always.
    subprocess.run([*compiling, str(tree / "lib")], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True)


def _packages(python: Interpreter, entries: str) -> Path:
    """Python and packages, packed: kept, as they seldom change, and take most of the time."""
    kept = platformdirs.user_cache_path("fruits") / "environments"
    made_by = (path.read_text(encoding="utf-8") for path in _MADE_BY)
    made_of = hashlib.sha256("\n".join((python.name, entries, *made_by)).encode()).hexdigest()[:16]
    for found in kept.glob(f"{made_of}-*.gz"):
        if packing.digest(found) == found.stem.partition("-")[2]:
            found.touch()
            return found
    _log.info("Putting Python and its packages together: a minute or two, once for these packages")
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as name:
        tree, packed = Path(name, "tree"), Path(name, "packed")
        python.copy(tree)
        _install(entries, tree / _SITE)
        compile_all(tree)
        _try(tree)
        packing.pack(tree, packed)
        for outdated in sorted(kept.glob("*.gz"), key=lambda path: path.stat().st_mtime)[:-_OTHERS]:
            outdated.unlink(missing_ok=True)
        return packed.replace(kept / f"{made_of}-{packing.digest(packed)}.gz")


def _install(entries: str, site: Path) -> None:
    words = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--python", sys.executable]
    words += ["--python-version", VERSION, "--python-platform", _WHEELS_FOR, "--target", str(site)]
    installing = [str(find_uv()), "pip", "install", "--quiet", *words, "--requirement", "-"]
    for network in (["--offline"], []):
        ran = subprocess.run([*installing, *network], input=entries, capture_output=True, text=True)
        if ran.returncode == 0:
            break
    else:
        raise SetupError(f"The packages of the environment cannot be had, says uv:\n{ran.stderr.strip()}")
    # Programs, which name this machine's Python; and tests, which nobody runs there.
    for needless in (site / "bin", *site.rglob("tests")):
        shutil.rmtree(needless, ignore_errors=True)
    (site / ".lock").unlink(missing_ok=True)
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        # Not written in place: it may be the very file that uv keeps.
        record.unlink()
        record.write_text("".join(line for line in lines if not line.startswith("bin/")), encoding="utf-8")


def _try(tree: Path) -> None:
    """Import what jobs do, if this machine is one like theirs."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return
    trying = [str(tree / "bin" / "python3"), "-I", "-c", _TRIAL]
    ran = subprocess.run(trying, env={}, cwd="/", capture_output=True, text=True)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise SetupError(f"The environment does not run: {last}. Is {sys.base_prefix} whole?")
