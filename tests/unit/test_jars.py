"""The list of jars, and what happens when the cache and the list disagree."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from conf import jars
from conf.errors import SetupError

Listed = Callable[[str, bytes], Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a repository that refuses every connection."""
    monkeypatch.setattr(jars, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9")
    return tmp_path / "cache"


@pytest.fixture
def listed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """List one jar in place of the real ones, and tell where the cache has to hold it."""

    def one(coordinates: str, content: bytes) -> Path:
        written = tmp_path / "jars.txt"
        written.write_text(f"# why\n{coordinates}  sha256:{hashlib.sha256(content).hexdigest()}\n")
        monkeypatch.setattr(jars, "_LIST", written)
        cache.mkdir()
        return cache / jars.listed_jars()[0].name

    return one


def test_the_list_pins_every_jar_once() -> None:
    found = jars.listed_jars()
    assert len({jar.name for jar in found}) == len(found) > 40
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in found)


def test_spark_gets_delta_and_never_the_s3_server() -> None:
    names = [path.name for path in jars.spark_jars()]
    assert any("delta-spark" in name for name in names)
    assert not any("s3proxy" in name for name in names)
    assert "s3proxy" in jars.s3proxy_jar().name


def test_a_cached_jar_needs_no_network(listed: Listed) -> None:
    path = listed("org.fruits:apple:1.0:all", b"jar")
    path.write_bytes(b"jar")
    assert jars.spark_jars() == [path]
    assert path.name == "org.fruits_apple-1.0-all.jar"


def test_an_altered_jar_is_refused_by_name(listed: Listed) -> None:
    path = listed("org.fruits:apple:1.0", b"jar")
    path.write_bytes(b"another")
    with pytest.raises(SetupError, match=f"Delete {path}"):
        jars.spark_jars()


def test_a_missing_jar_without_a_network_says_what_to_do_and_leaves_nothing(listed: Listed) -> None:
    path = listed("org.fruits:apple:1.0", b"jar")
    leftover = path.parent / ".incoming" / "half.jar"
    leftover.parent.mkdir()
    leftover.write_bytes(b"of an interrupted run")
    with pytest.raises(SetupError, match=r"org\.fruits_apple-1\.0\.jar .*make setup"):
        jars.fetch_jars()
    assert not list(path.parent.rglob("*.jar"))
