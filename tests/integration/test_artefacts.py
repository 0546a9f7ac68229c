"""What is deployed runs by itself, on machines that have Spark, and of the project the archive alone.

A platform is played here: it brings Spark, Delta and the S3 client on its own class path, and unpacks the archive for
the driver, as EMR does. Its processes inherit nothing of this one's environment. With --cluster it is a standalone
cluster of two workers, each of which unpacks the archive for itself; else one machine, in a third of the time.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import pyspark
import pytest

from bench.standalone import standalone
from conf.jars import spark_jars
from conf.java import find_java
from conf.lease import read as read_lease
from conf.s3 import control_client
from conf.settings import Settings
from conf.spark import LIGHT_JVM
from scripts.deployment.artefacts import ARCHIVE, ENVIRONMENT, Artefacts, build, spark_properties
from scripts.drop import drop
from scripts.embedded_s3 import ServerInfo
from scripts.fruit_photos import draw_photos
from scripts.session import override
from tests.integration.tables import rows

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240
PHOTOS = 24
WORKERS = 2
SESSION = {
    # Of conf/spark.py, of the profile, of the deployment, and what the platform was found to have.
    "spark.sql.session.timeZone": "UTC",
    "spark.databricks.delta.snapshotPartitions": "4",
    "spark.python.daemon.module": "streaming.daemon",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.internal.io.cloud.AbortableStreamBasedCheckpointFileManager"
    ),
}
# Says where driver and workers have what they run from, then goes on as the job does.
PROBE = """
import importlib, json, runpy, sys
from conf.settings import load
from conf.spark import session

def here(_):
    names = "conf streaming batch scripts pyspark pyarrow numpy ai_edge_litert obstore deltalake delta boto3"
    return {
        "python": sys.executable,
        "path": sys.path,
        "modules": {name: importlib.import_module(name).__path__[0] for name in names.split()},
        "main": getattr(sys.modules["__main__"].__spec__, "name", None),
    }

run, names, *words = sys.argv[1:]
spark = session(load("aws", [setting for word, setting in zip(words, words[1:]) if word == "--set"]))
workers = spark.sparkContext.parallelize(range(4), 4).map(here).collect()
conf = {name: spark.conf.get(name) for name in names.split()}
print("PROBE", json.dumps({"driver": here(0), "workers": workers, "conf": conf}))
sys.argv[1:] = words
runpy.run_path(run, run_name="__main__")
"""


@dataclass(frozen=True)
class Platform:
    """A Spark of its own, and what is to be run there."""

    folder: Path
    master: str
    work: Path
    """Where workers are."""
    artefacts: Path
    environment: dict[str, str]

    def start(self, program: Path, *words: str) -> "subprocess.Popen[str]":
        properties = {
            **spark_properties("emr", self.artefacts.as_uri()),
            "spark.master": self.master,
            "spark.executor.cores": "1",
            "spark.executor.memory": "512m",
            "spark.default.parallelism": str(WORKERS),
        }
        # Where EMR has them; here they are on the class path.
        del properties["spark.jars"]
        if self.master.startswith("local"):
            # Workers are where the driver is.
            del properties["spark.archives"]
        given = [word for item in properties.items() for word in ("--conf", "=".join(item))]
        return subprocess.Popen(
            [str(self.folder / "spark" / "bin" / "spark-submit"), *given, str(program), *words],
            cwd=self.folder / "driver",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, program: Path, *words: str) -> tuple[int, str]:
        """Exit status, and all that was said."""
        with self.start(program, *words) as started:
            said, _ = started.communicate(timeout=PATIENCE_SECONDS)
        return started.returncode, said

    def fruits(self, settings: Settings, *words: str) -> tuple[int, str]:
        return self.run(self.artefacts / "run.py", *words, *options(settings))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def options(settings: Settings) -> list[str]:
    storage = settings.storage
    given = [f"storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return ["--profile", "aws", *(word for setting in given for word in ("--set", setting))]


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return build(tmp_path_factory.mktemp("artefacts"), "emr")


@pytest.fixture(scope="module")
def platform(
    artefacts: Artefacts,
    server: ServerInfo,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    # By links of another kind, Spark would find its way back to where it was installed.
    shutil.copytree(Path(pyspark.__file__).parent, folder / "spark", copy_function=_link)
    (folder / "jars").mkdir()
    for jar in spark_jars():
        (folder / "jars" / jar.name).symlink_to(jar)
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(
        "".join(f"spark.{part}.extraClassPath {folder}/jars/*\n" for part in ("driver", "executor"))
        + "".join(f"spark.{part}.extraJavaOptions {LIGHT_JVM}\n" for part in ("driver", "executor"))
        + "spark.driver.host 127.0.0.1\nspark.driver.bindAddress 127.0.0.1\nspark.ui.enabled false\n"
    )
    home = artefacts.files[0].parent
    (folder / "driver" / ENVIRONMENT).mkdir(parents=True)
    with tarfile.open(home / ARCHIVE) as archive:
        archive.extractall(folder / "driver" / ENVIRONMENT, filter="tar")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "driver"),
        "JAVA_HOME": str(find_java().home),
        "SPARK_HOME": str(folder / "spark"),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }
    with ExitStack() as stack:
        master, work = f"local[{WORKERS}]", folder / "driver"
        if request.config.getoption("--cluster"):
            with pytest.MonkeyPatch.context() as patch:
                for name in set(os.environ) | set(environment):
                    patch.delenv(name, raising=False)
                    if name in environment:
                        patch.setenv(name, environment[name])
                master = stack.enter_context(standalone(folder / "cluster", WORKERS))
            work = folder / "cluster" / "work"
        yield Platform(folder, master, work, home, environment)


@pytest.fixture(scope="module")
def streamed(platform: Platform, module_settings: Settings) -> tuple[int, str]:
    """Exit status and words of a stream that was cancelled after its first micro-batch."""
    drop(
        module_settings.storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(PHOTOS, seed=7))
    )
    with platform.start(platform.artefacts / "run.py", "stream", *options(module_settings)) as job:
        assert job.stdout is not None
        patience = Timer(PATIENCE_SECONDS, job.kill)
        patience.start()
        said = ""
        for line in job.stdout:
            said += line
            if line.startswith("batch "):
                # As a platform does: the JVM, and not Python.
                job.terminate()
        patience.cancel()
    return job.returncode, said


def test_a_stream_featurizes_what_is_there_and_ends_in_good_order_when_its_job_is_cancelled(
    streamed: tuple[int, str], module_settings: Settings
) -> None:
    status, said = streamed
    assert status == 0, said
    assert f"{PHOTOS} objects in" in said
    assert len(rows(module_settings, "features")) == PHOTOS
    with closing(control_client(module_settings.storage)) as client:
        held = read_lease(client, module_settings.storage)
    assert held is not None
    assert held.holder is None, "The lease was not given back."


@pytest.mark.usefixtures("streamed")
def test_a_refresh_takes_nothing_from_anywhere_but_the_archive_and_spark(
    platform: Platform, module_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    job = [str(platform.artefacts / "run.py"), " ".join(SESSION), "refresh", "-k", "4", *options(module_settings)]
    status, said = platform.run(tmp_path / "probe.py", *job)
    assert status == 0, said
    assert [len(row["reduced"]) for row in rows(module_settings, "reduced")] == [4] * PHOTOS

    (answer,) = (line for line in said.splitlines() if line.startswith("PROBE "))
    told = json.loads(answer.removeprefix("PROBE "))
    places = [(platform.folder / "driver", told["driver"])]
    places += [(platform.work, worker) for worker in told["workers"]]
    for place, process in places:
        python, modules = process["python"], process["modules"]
        assert Path(python).is_relative_to(place)
        assert python.endswith(f"/{ENVIRONMENT}/bin/python3")
        home = python.removesuffix("bin/python3")
        assert Path(modules.pop("pyspark")).is_relative_to(platform.folder / "spark")
        assert [folder for folder in modules.values() if not folder.startswith(home)] == []
        # All else that Python searches is Spark's, or the folder that Spark keeps files of the job in.
        assert [path for path in process["path"] if str(ROOT) in path or sys.prefix in path] == []
    assert {worker["main"] for worker in told["workers"]} == {"streaming.daemon"}
    assert told["conf"] == SESSION


def test_an_error_is_one_message_and_the_jobs_exit_status(platform: Platform, settings: Settings) -> None:
    elsewhere = override(settings, "storage", bucket="not-there")
    status, said = platform.fruits(elsewhere, "stream", "--once")
    assert status == 1
    assert "not-there" in said
    assert "Traceback" not in said
