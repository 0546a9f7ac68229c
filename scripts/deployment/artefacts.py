"""What a deployment uploads: the project's wheel, a Python with all that a job needs, and the job's entry point.

The archive is a whole Python with its packages in it, so that a platform has to bring nothing but Spark. It has no
TensorFlow, which is two thirds of what the project stands on and is asked for one thing: to turn weights into a
flatbuffer. That is done here, and the flatbuffer goes along.

Same inputs, same bytes, and so the same version: the package's own and a digest of the files.
"""

import hashlib
import logging
import os
import platform as machine
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs

from conf.errors import SetupError
from conf.settings import Model
from scripts.deployment import locked, packing, wheel
from scripts.deployment.interpreter import VERSION, Interpreter, doubts, find, find_uv
from streaming.flatbuffer import SHIPPED, ship
from streaming.model import weights_path

Platform = Literal["emr", "ec2", "databricks"]
ENVIRONMENT = "environment"
"""What the archive is unpacked as, in the folder that a job runs in."""
ARCHIVE = f"{ENVIRONMENT}.tar.gz"
PYTHON_OF: Mapping[Platform, str] = {"emr": VERSION, "ec2": VERSION, "databricks": "3.12"}
"""EMR's jobs bring their own; Databricks' newest runtimes with long support have theirs."""
_TREE = Path(__file__).parents[2]
_RUN = Path(__file__).with_name("run.py")
_PYTHON = f"./{ENVIRONMENT}/bin/python3"
_DELTA = "/usr/share/aws/delta/lib"
_WHEELS_FOR = "x86_64-manylinux_2_34"
# The platform's own, and what draws pages and figures, which are for people to look at.
_LEFT_OUT = frozenset({"pyspark", "plotly", "matplotlib"})
_CONVERTERS = frozenset({"tensorflow", "tensorflow-cpu", "keras"})
_SITE = Path("lib", f"python{VERSION}", "site-packages")
_TRIAL = """
import bz2, ctypes, lzma, sqlite3, ssl
import ai_edge_litert.interpreter, boto3, deltalake, duckdb, numpy, obstore, pandas, PIL.Image, pyarrow, rich
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artefacts:
    """What was built.

    Attributes
    ----------
    version : str
        Of the package, and twelve digits of the files' digest.
    files : tuple of Path
        To be uploaded side by side, by their names.
    warnings : tuple of str
        Why they will not run on the platform, if they will not.
    """

    version: str
    files: tuple[Path, ...]
    warnings: tuple[str, ...]


def build(folder: Path, platform: Platform, model: Model | None = None) -> Artefacts:
    """Build what a job on a platform needs, for jobs with this model.

    It takes a minute the first time, and where packages have changed; else two seconds.

    Parameters
    ----------
    folder
        Ours: it gets a folder of the version's name, and loses those of versions before.
    platform
    model
        What the flatbuffer is made of.

    Raises
    ------
    SetupError
        Where something to build with is lacking.
    """
    model = model or Model()
    project = _project()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as name:
        part = Path(name)
        built = wheel.build(_TREE, part)
        ship(model.architecture, weights_path(model.architecture, model.weights), model.engine, part / "models")
        entries = _entries(project["dependencies"], model, PYTHON_OF[platform])
        if platform == "databricks":
            wheel.with_models(built, part / "models")
            (part / "requirements.txt").write_text(entries)
            files, python = [built, part / "requirements.txt"], None
        else:
            python = find()
            files = [built, _archive(part, python, entries, built), Path(shutil.copy(_RUN, part))]
        version = f"{project['version']}-{_digest(files)[:12]}"
        return Artefacts(version, _settle(files, folder, version), doubts(python) if python else ())


def spark_properties(platform: Platform, place: str) -> dict[str, str]:
    """What Spark is to be told of the files at a place, `s3://…/artefacts/<version>`, for a job to run on them."""
    properties = {
        "spark.archives": f"{place}/{ARCHIVE}#{ENVIRONMENT}",
        "spark.pyspark.python": _PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": _PYTHON,
        # Workers share what they are forked with, as on a laptop.
        "spark.python.daemon.module": "streaming.daemon",
        # EMR has Delta at hand, and not on the class path.
        "spark.jars": f"{_DELTA}/delta-spark.jar,{_DELTA}/delta-storage.jar",
    }
    if platform == "emr":
        driver = "spark.emr-serverless.driverEnv."
        return properties | {f"{driver}PYSPARK_DRIVER_PYTHON": _PYTHON, f"{driver}PYSPARK_PYTHON": _PYTHON}
    # The archive is unpacked where YARN runs the driver, and not where a step submits it.
    return properties | {"spark.submit.deployMode": "cluster", "spark.yarn.appMasterEnv.PYSPARK_PYTHON": _PYTHON}


def _project() -> dict[str, Any]:
    try:
        project: dict[str, Any] = tomllib.loads((_TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return project
    except FileNotFoundError:
        raise SetupError(
            f"There is no pyproject.toml in {_TREE}: what is deployed is built from the project's own folder. Run this "
            "by the `fruits` of a clone that `make setup` was run in."
        ) from None


def _entries(dependencies: Sequence[str], model: Model, python: str) -> str:
    without = _LEFT_OUT if model.engine == "tensorflow" else _LEFT_OUT | _CONVERTERS
    names = locked.needed(dependencies, without, python)
    return locked.lines((_TREE / "requirements.lock").read_text(encoding="utf-8"), names)


def _archive(part: Path, python: Interpreter, entries: str, built: Path) -> Path:
    tree = part / "tree"
    # Pure Python: to unpack it is to install it.
    zipfile.ZipFile(built).extractall(tree / _SITE)
    (part / "models").rename(_made(tree / SHIPPED.relative_to(sys.prefix)))
    _compile(tree)
    packing.pack(tree, part / "project.gz")
    packing.join([_packages(python, entries), part / "project.gz"], part / ARCHIVE)
    return part / ARCHIVE


def _packages(python: Interpreter, entries: str) -> Path:
    """Python and packages, packed; kept, as they hardly ever change and take most of the time."""
    kept = platformdirs.user_cache_path("fruits") / "environments"
    made_of = hashlib.sha256("\n".join((python.name, _WHEELS_FOR, packing.FORM, entries)).encode()).hexdigest()[:16]
    for found in kept.glob(f"{made_of}-*.gz"):
        if _digest([found]) == found.stem.partition("-")[2]:
            return found
    _log.info("Putting the environment together: a minute, once for these packages")
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as name:
        tree, packed = Path(name, "tree"), Path(name, "packed")
        python.copy(tree)
        _install(entries, tree / _SITE)
        _compile(tree)
        _try(tree)
        packing.pack(tree, packed)
        for outdated in kept.glob("*.gz"):
            outdated.unlink()
        return packed.replace(kept / f"{made_of}-{_digest([packed])}.gz")


def _install(entries: str, site: Path) -> None:
    """Install these very packages, none beside them, by their hashes, for the platform's C library."""
    requirements = site.parent / "requirements.txt"
    requirements.parent.mkdir(parents=True, exist_ok=True)
    requirements.write_text(entries)
    installing = [
        str(find_uv()),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    installing += ["--python-version", VERSION, "--python-platform", _WHEELS_FOR, "--target", str(site)]
    installing += ["--requirement", str(requirements)]
    for network in (["--offline"], []):
        ran = subprocess.run([*installing, *network], capture_output=True, text=True)
        if ran.returncode == 0:
            break
    else:
        raise SetupError(f"The packages of the environment could not be installed:\n{ran.stderr.strip()}")
    requirements.unlink()
    # Programs, which name this machine's Python; tests, which nobody runs there; and uv's own.
    for needless in (site / "bin", *site.rglob("tests")):
        shutil.rmtree(needless, ignore_errors=True)
    (site / ".lock").unlink(missing_ok=True)
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines()
        # Not written in place: it may be the very file that uv keeps.
        record.unlink()
        record.write_text("\n".join(line for line in lines if not line.startswith("bin/")) + "\n")


def _compile(tree: Path) -> None:
    """Compile all there is, so that no worker has to; for any Python of this version, wherever it is unpacked."""
    compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(tree)]
    # Hashes, and so the order of sets, are the same each time.
    subprocess.run([*compiling, str(tree / "lib")], env=os.environ | {"PYTHONHASHSEED": "0"}, stdout=subprocess.DEVNULL)


def _try(tree: Path) -> None:
    """Make sure that it runs where it is, on this machine, if it is one like the platform's."""
    if (sys.platform, machine.machine()) != ("linux", "x86_64"):
        return
    ran = subprocess.run(
        [str(tree / "bin" / "python3"), "-I", "-c", _TRIAL], env={}, cwd="/", capture_output=True, text=True
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise SetupError(f"The environment's Python does not run: {last}. Is the one that it was copied from whole?")


def _settle(files: Sequence[Path], folder: Path, version: str) -> tuple[Path, ...]:
    """Move files to where they stay, and remove what was built before."""
    for outdated in folder.glob(f"*-{'[0-9a-f]' * 12}"):
        shutil.rmtree(outdated)
    home = _made(folder / version / "_").parent
    return tuple(file.replace(home / file.name) for file in files)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _digest(files: Sequence[Path]) -> str:
    digests = []
    for file in files:
        with file.open("rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
