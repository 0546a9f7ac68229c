"""One embedded S3 behind a proxy; each test has a prefix of the bucket to itself, and drivers of its own."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from conf.settings import load
from conf.spark import LIGHT_JVM
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
    f"spark.options.spark.driver.extraJavaOptions={LIGHT_JVM} -Xlog:disable",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=0, help="the long form: so many rounds of deaths by chance")
    parser.addoption("--seed", type=int, default=1, help="of the first round; the next one's is one more")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed")
    rounds = [dict(report.user_properties)["killed"] for report in reports if report.user_properties]
    if rounds:
        killed = ", ".join(f"{who} {times}" for who, times in sorted(sum(rounds, Counter()).items()))
        terminalreporter.write_line(f"Killed in {len(rounds)} rounds: {killed}")


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


@pytest.fixture
def ground(server: ServerInfo, faults: Faults, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """An empty store, and nobody at work on it."""
    # Tests that follow in this process may have a store of their own, with other credentials.
    with patch.dict(os.environ):
        settings = connect(load("test", _SETTINGS), replace(server, endpoint=faults.endpoint))
        options = {
            "spark.local.dir": str(tmp_path / "spark"),
            "spark.hadoop.hadoop.tmp.dir": str(tmp_path / "hadoop"),
        }
        settings = override(settings, "spark", options=settings.spark.options | options)
        yield Ground(at_prefix(settings, request.node.nodeid), faults, server.root, tmp_path)


def _rounds(config: pytest.Config) -> int:
    """How many are asked for; 0 where this folder is not named on the command line, which then has no such option."""
    return int(config.getoption("--rounds", default=0))
