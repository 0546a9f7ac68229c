"""A real Spark cluster on this machine: a master and workers of one core, processes of their own from pyspark's jars.

Benches measure on it, and `make cluster` runs the tests of the stream on it.

Its executors know the project as a cluster would: from the wheel, in an environment of their own. The packages that the
wheel depends on are those of this environment; this tree is not on their path.
"""

import os
import site
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from conf.java import find_java
from conf.settings import Settings
from conf.spark import LIGHT_JVM
from scripts.session import override

_TREE = Path(__file__).parent.parent
_SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
_DEPLOY = "org.apache.spark.deploy"
_START_SECONDS = 60.0
_END_SECONDS = 10.0


@contextmanager
def standalone(folder: Path, workers: int) -> Iterator[str]:
    """The master's URL. Processes inherit this one's environment, credentials and all, but its PYTHONPATH."""
    folder.mkdir()
    port = _free_port()
    url = f"spark://127.0.0.1:{port}"
    here = ["--host", "127.0.0.1", "--webui-port", "0"]
    processes = [_start(folder, "master", "master.Master", *here, "--port", str(port))]
    try:
        _await(port)
        for number in range(workers):
            options = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work")]
            processes.append(_start(folder, f"worker-{number}", "worker.Worker", *here, *options, url))
        yield url
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(_END_SECONDS)


def executor_python(folder: Path) -> Path:
    """The interpreter of an environment with the project's wheel, built from this tree."""
    building = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "dist")]
    subprocess.run(building, cwd=_TREE, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    # Pure Python: to unpack it is to install it.
    zipfile.ZipFile(wheel).extractall(packages)
    # A folder named in a .pth file is searched, but its own .pth files, such as an editable install's, are not read.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "venv" / "bin" / "python"


def on_cluster(settings: Settings, master: str, workers: int) -> Settings:
    """The same settings for a session on this cluster, all of its workers."""
    options = {
        "spark.executor.cores": "1",
        "spark.executor.memory": "512m",
        # What the local profile says of the driver's JVM, where its tasks run.
        "spark.executor.extraJavaOptions": LIGHT_JVM,
        "spark.cores.max": str(workers),
        # A stream asks at its start how many tasks to share a batch among: executors may not have come by then.
        "spark.default.parallelism": str(workers),
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }
    return override(settings, "spark", master=master, options=settings.spark.options | options)


def _start(folder: Path, name: str, entry: str, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"JAVA_HOME": str(find_java().home), "SPARK_LOCAL_IP": "127.0.0.1"}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [str(_SPARK_CLASS), f"{_DEPLOY}.{entry}", *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _await(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
