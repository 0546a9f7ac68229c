"""What a deployment uploads: the project's wheel, a Python with all that a job needs, and the job's entry point.

The archive is a whole Python with its packages in it, so that a platform has to bring nothing but Spark. It has no
TensorFlow, which would double it and is asked for one thing: to turn weights into a flatbuffer. That is done here, and
the flatbuffer goes along.

Same inputs, same bytes, and so the same version: the package's own and a digest of the files.
"""

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from conf.errors import SetupError
from conf.settings import Model
from scripts.deployment import environment, locked, packing, wheel
from scripts.deployment.interpreter import VERSION, doubts, find
from streaming.flatbuffer import ship
from streaming.model import weights_path

Platform = Literal["emr", "ec2", "databricks"]
ENVIRONMENT = "environment"
"""What the archive is unpacked as, in the folder that a job runs in."""
ARCHIVE = f"{ENVIRONMENT}.tar.gz"
_PYTHONS: Mapping[Platform, str] = {"emr": VERSION, "ec2": VERSION, "databricks": "3.12"}
"""EMR's jobs bring their own; Databricks' newest runtimes with long support have theirs."""
_TREE = Path(__file__).parents[2]
_RUN = Path(__file__).with_name("run.py")
_PYTHON = f"./{ENVIRONMENT}/bin/python3"
_DELTA = "/usr/share/aws/delta/lib"
# Spark is the platform's own, and pages and figures are for people to look at.
_LEFT_OUT = frozenset({"pyspark", "plotly", "matplotlib"})
_OF_DATABRICKS = frozenset({"delta-spark"})
"""Databricks has its own, and pip would want pyspark for it."""
_CONVERTERS = frozenset({"tensorflow", "tensorflow-cpu", "keras"})


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

    It takes minutes the first time, and where packages have changed; else seconds.

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
        entries = _entries(project["dependencies"], model, platform)
        if platform == "databricks":
            wheel.with_models(built, part / "models")
            (part / "requirements.txt").write_text(entries)
            files, python = [built, part / "requirements.txt"], None
        else:
            python = find()
            environment.pack(part / ARCHIVE, python, entries, built, part / "models")
            files = [built, part / ARCHIVE, Path(shutil.copy(_RUN, part))]
        digest = hashlib.sha256("".join(map(packing.digest, files)).encode()).hexdigest()
        version = f"{project['version']}-{digest[:12]}"
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


def _entries(dependencies: Sequence[str], model: Model, platform: Platform) -> str:
    without = _LEFT_OUT if model.engine == "tensorflow" else _LEFT_OUT | _CONVERTERS
    if platform == "databricks":
        without |= _OF_DATABRICKS
    names = locked.needed(dependencies, without, _PYTHONS[platform])
    return locked.lines((_TREE / "requirements.lock").read_text(encoding="utf-8"), names)


def _settle(files: Sequence[Path], folder: Path, version: str) -> tuple[Path, ...]:
    """Move files to where they stay, and remove what was built before."""
    for outdated in folder.glob(f"*-{'[0-9a-f]' * 12}"):
        shutil.rmtree(outdated)
    home = folder / version
    home.mkdir()
    return tuple(file.replace(home / file.name) for file in files)
