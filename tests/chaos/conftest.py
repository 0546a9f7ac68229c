"""One embedded S3 behind a proxy; each test has a prefix of the bucket to itself, and drivers of its own."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from conf.settings import load
from scripts.embedded_s3 import ServerInfo, serve
from scripts.session import connect, override
from tests.chaos.faults import Faults, proxy
from tests.chaos.ground import Ground
from tests.integration.conftest import at_prefix

_SETTINGS = [
    "stream.max_files=8",
    "stream.lease_seconds=5",
    "spark.options.spark.sql.shuffle.partitions=1",
    "spark.options.spark.databricks.delta.snapshotPartitions=1",
]
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable"
_DUMP_SECONDS = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=0, help="the long form: so many rounds of deaths by chance")
    parser.addoption("--seed", type=int, default=1, help="of the first round; the next one's is one more")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--seed", default=1)
        metafunc.parametrize("seed", range(first, first + _rounds(metafunc.config)))


@pytest.fixture
def long_form(request: pytest.FixtureRequest) -> None:
    if not _rounds(request.config):
        pytest.skip("of the long form: --rounds N")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    with serve(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def proxied(server: ServerInfo) -> Iterator[Faults]:
    with proxy(server.endpoint) as running:
        yield running


@pytest.fixture
def faults(proxied: Faults) -> Iterator[Faults]:
    """The proxy, without faults until a test sets some."""
    yield proxied
    proxied.odds = proxied.hook = None
    proxied.met.clear()


@pytest.fixture(scope="session")
def java_options(
    server: ServerInfo, proxied: Faults, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> str:
    """In the long form, the classes that a stream loads are a file by then, which halves a JVM's start."""
    if not _rounds(request.config):
        return ""
    folder = tmp_path_factory.mktemp("archive")
    file = folder / "classes.jsa"
    ground = _ground(server, proxied, folder, "archive", f"-XX:ArchiveClassesAtExit={file}")
    ground.drop(2, bad=1)
    with ground.driver() as driver:
        answer = driver.wait(ground.patience, leaving=_DUMP_SECONDS)
    assert answer is not None
    assert answer.error is None, answer.message
    ground.check()
    return f"-XX:SharedArchiveFile={file}"


@pytest.fixture
def ground(
    server: ServerInfo, faults: Faults, java_options: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Ground]:
    """An empty store, and nobody at work on it."""
    # Tests that follow in this process may have a store of their own, with other credentials.
    with patch.dict(os.environ):
        yield _ground(server, faults, tmp_path, request.node.nodeid, java_options)


def _ground(server: ServerInfo, faults: Faults, folder: Path, name: str, java: str) -> Ground:
    settings = connect(load("test", _SETTINGS), replace(server, endpoint=faults.endpoint))
    options = {
        "spark.driver.extraJavaOptions": f"{_JAVA} {java}",
        "spark.local.dir": str(folder / "spark"),
        "spark.hadoop.hadoop.tmp.dir": str(folder / "hadoop"),
    }
    settings = override(settings, "spark", options=settings.spark.options | options)
    return Ground(at_prefix(settings, name), faults, server.root, folder)


def _rounds(config: pytest.Config) -> int:
    """How many are asked for; 0 where this folder is not named on the command line, which then has no such option."""
    return int(config.getoption("--rounds", default=0))
