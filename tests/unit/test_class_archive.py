"""The archive of Spark's classes: one for each Java and class path, made where it is missing, and never needed."""

import logging
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conf import class_archive as module
from conf.class_archive import class_archive, reading
from conf.jars import listed_jars
from conf.java import Java, find_java
from scripts.class_archive import ensure_class_archive


def java_of(home: Path, version: str) -> Java:
    home.mkdir()
    (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return Java(home, 17)


def test_each_java_has_its_own(tmp_path: Path) -> None:
    older, newer = java_of(tmp_path / "a", "17.0.1"), java_of(tmp_path / "b", "17.0.2")
    assert class_archive(older) != class_archive(newer)
    assert class_archive(older) == class_archive(java_of(tmp_path / "c", "17.0.1"))


def test_each_class_path_has_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = class_archive(find_java())
    monkeypatch.setattr(module, "listed_jars", lambda: listed_jars()[1:])
    second = class_archive(find_java())
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    assert len({first, second, class_archive(find_java())}) == 3


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it would be, were this environment a fresh one."""
    monkeypatch.setattr(module, "_FOLDER", tmp_path / "with a blank")
    return class_archive(find_java())


def test_what_is_there_is_not_made_again(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.parent.mkdir()
    archive.write_bytes(b"made before")
    monkeypatch.setattr(sys, "executable", "/not/there")
    ensure_class_archive()
    assert archive.read_bytes() == b"made before"


def test_what_cannot_be_made_is_one_warning(
    archive: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with caplog.at_level(logging.WARNING):
        ensure_class_archive()
    assert caplog.messages == ["That failed: no room. Spark will start in its own time."]
    assert not archive.exists()


def test_one_that_does_not_fit_costs_no_word(archive: Path) -> None:
    archive.parent.mkdir()
    archive.write_bytes(b"no archive" * 1000)
    # Spark, too, reads these options as a shell would.
    command = [str(find_java().binary), *shlex.split(reading(archive)), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (said.stdout.count("\n"), said.stderr) == (3, "")
