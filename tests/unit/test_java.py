"""Which Java is chosen, and what is said when none fits."""

import os
from pathlib import Path

import pytest

from conf.errors import SetupError
from conf.java import find_java


def install(home: Path, version: str) -> Path:
    """Lay out what a JDK has: a launcher, and a release file that tells the version."""
    launcher = home / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("#!/bin/sh\nexit 1\n")
    launcher.chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="Somebody"\nJAVA_VERSION="{version}"\n')
    return home


def test_java_home_is_taken_where_it_fits(tmp_path: Path) -> None:
    install(tmp_path / "jvm" / "17", "17.0.15")
    chosen = install(tmp_path / "mine", "21.0.2")
    assert find_java({"JAVA_HOME": str(chosen)}, [f"{tmp_path}/jvm/*"]).home == chosen


def test_an_unfit_java_home_is_passed_over(tmp_path: Path) -> None:
    fit = install(tmp_path / "jvm" / "17", "17.0.15")
    unfit = install(tmp_path / "mine", "25.0.3")
    java = find_java({"JAVA_HOME": str(unfit), "PATH": str(unfit / "bin")}, [f"{tmp_path}/jvm/*"])
    assert (java.home, java.major) == (fit, 17)


def test_17_anywhere_comes_before_21(tmp_path: Path) -> None:
    on_path = install(tmp_path / "21", "21")
    fit = install(tmp_path / "jvm" / "temurin-17", "17.0.1")
    environ = {"PATH": str(on_path / "bin")}
    assert find_java(environ, [f"{tmp_path}/jvm/*"]).home == fit
    assert find_java(environ, [f"{tmp_path}/nowhere/*"]).home == on_path


def test_path_is_followed_through_links(tmp_path: Path) -> None:
    home = install(tmp_path / "17", "17.0.15")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    assert find_java({"PATH": str(tmp_path / "bin")}, []).home == home


def test_a_shim_is_asked_where_java_is(tmp_path: Path) -> None:
    shim = tmp_path / "shims" / "java"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho '    java.home = /opt/the real one\n    java.specification.version = 21' >&2\n")
    shim.chmod(0o755)
    java = find_java({"PATH": str(shim.parent)}, [])
    assert (str(java.home), java.major) == ("/opt/the real one", 21)


def test_the_error_names_each_place_and_what_was_there(tmp_path: Path) -> None:
    old = install(tmp_path / "old", "1.8.0_402")
    new = install(tmp_path / "jvm" / "new", "25.0.3")
    with pytest.raises(SetupError) as error:
        find_java({"JAVA_HOME": str(old), "PATH": str(tmp_path)}, [f"{tmp_path}/jvm/*", f"{tmp_path}/none/*"])
    message = str(error.value)
    assert f"JAVA_HOME: Java 8 in {old}" in message
    assert "PATH: none" in message
    assert f"{tmp_path}/jvm/*: Java 25 in {new}" in message
    assert f"{tmp_path}/none/*: none" in message
    assert "openjdk-17-jre-headless" in message


def test_this_machine_has_one_that_runs() -> None:
    java = find_java()
    assert java.major in (17, 21)
    assert os.access(java.binary, os.X_OK)
