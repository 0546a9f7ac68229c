"""One embedded S3 and one Spark session for all; each test has a prefix of the bucket to itself.

With --cluster that session's executors are two workers of a standalone cluster, which have the project from its wheel.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.standalone import executor_python, on_cluster, standalone
from conf.settings import Settings, load
from conf.spark import session
from scripts.drop import drop
from scripts.embedded_s3 import ServerInfo, serve
from scripts.session import connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="on a standalone Spark cluster instead of in local mode")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    with serve(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def base_settings(server: ServerInfo) -> Settings:
    return connect(load("test"), server)


@pytest.fixture(scope="session")
def spark(
    base_settings: Settings, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator["SparkSession"]:
    with ExitStack() as stack:
        if request.config.getoption("--cluster"):
            base_settings = stack.enter_context(_cluster(base_settings, tmp_path_factory.mktemp("cluster")))
        opened = session(base_settings, tmp_path_factory.mktemp("log") / "spark.log")
        stack.callback(opened.stop)
        yield opened


@pytest.fixture(scope="module")
def module_settings(base_settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of a store that the tests of one module share."""
    return at_prefix(base_settings, request.node.nodeid)


@pytest.fixture
def settings(base_settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of an empty store."""
    return at_prefix(base_settings, request.node.nodeid)


@pytest.fixture
def drop_files(settings: Settings) -> Callable[[dict[str, bytes]], None]:
    """Put files, by their names below the landing zone."""
    return lambda files: drop(settings.storage, iter(files.items())) and None


@contextmanager
def _cluster(settings: Settings, folder: Path) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch, standalone(folder / "spark", workers=2) as master:
        patch.setenv("PYSPARK_PYTHON", str(executor_python(folder)))
        yield on_cluster(settings, master, workers=2)


def at_prefix(settings: Settings, name: str) -> Settings:
    prefix = f"{Path(name).stem.split('.')[0]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}/"
    return settings.model_copy(update={"storage": settings.storage.model_copy(update={"prefix": prefix})})
