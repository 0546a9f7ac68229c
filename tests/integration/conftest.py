"""One embedded S3 and one Spark session for all; each test has a prefix of the bucket to itself."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conf.settings import Settings, load
from conf.spark import session
from scripts.drop import drop
from scripts.embedded_s3 import ServerInfo, serve
from scripts.session import connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    with serve(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def base_settings(server: ServerInfo) -> Settings:
    return connect(load("test"), server)


@pytest.fixture(scope="session")
def spark(base_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    opened = session(base_settings, tmp_path_factory.mktemp("log") / "spark.log")
    yield opened
    opened.stop()


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


def at_prefix(settings: Settings, name: str) -> Settings:
    prefix = f"{Path(name).stem.split('.')[0]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}/"
    return settings.model_copy(update={"storage": settings.storage.model_copy(update={"prefix": prefix})})
