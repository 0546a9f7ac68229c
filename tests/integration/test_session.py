"""Sessions one after the other in one process, as in a notebook that is run again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import StorageError
from conf.s3 import object_store, read_object
from conf.settings import load
from scripts.drop import drop
from scripts.embedded_s3 import serve
from scripts.session import opened

ROOT = Path(__file__).parents[2]
CODE = """
import os
from pathlib import Path
from conf.settings import load
from conf.spark import session, stop
from scripts.session import opened

os.environ["AWS_ACCESS_KEY_ID"] = "mine"
os.environ.pop("AWS_SECRET_ACCESS_KEY", None)
os.environ["AWS_SESSION_TOKEN"] = "also mine"
for name in ("first", "second"):
    with opened(load("test"), Path(name, "s3")) as settings:
        spark = session(settings, Path(name, "spark.log"))
        try:
            spark.range(3).write.parquet(settings.storage.uri("numbers"))
            print(name, spark.read.parquet(settings.storage.uri("numbers")).count())
        finally:
            stop(spark)
    print(*(os.environ.get(f"AWS_{key}") for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")), sep=",")
"""


def test_a_second_session_works_on_the_server_of_its_own_time(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines() == ["first 3", "mine,None,also mine", "second 3", "mine,None,also mine"]
    assert (tmp_path / "second/spark.log").stat().st_size > 0


def test_a_platform_without_delta_is_told_of_before_anything_is_done(tmp_path: Path) -> None:
    with serve(tmp_path), opened(load("local"), tmp_path) as settings:
        drop(settings.storage, [("apple/1.jpg", b"x")])
        given = [f"--set=storage.{name}={getattr(settings.storage, name)}" for name in ("bucket", "endpoint")]
        ran = subprocess.run(
            [sys.executable, "-m", "scripts.fruits", "forget", "apple/1.jpg", "--yes", "--profile", "aws", *given],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "This Spark has no Delta Lake" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert read_object(object_store(settings.storage), settings.storage.landing + "apple/1.jpg") == b"x"


def test_a_reader_makes_no_bucket_beside_one_in_use(tmp_path: Path) -> None:
    mistyped = load("local", ["storage.bucket=nosuch"])
    with serve(tmp_path), opened(load("local"), tmp_path, reading=True) as first:
        drop(first.storage, [("apple/1.jpg", b"x")])
        said = "There is no bucket 'nosuch' at the embedded S3; there is fruits"
        with pytest.raises(StorageError, match=said), opened(mistyped, tmp_path, reading=True):
            pass
        assert [path.name for path in (tmp_path / "buckets").iterdir()] == ["fruits"]
        with opened(mistyped, tmp_path) as made:
            drop(made.storage, [("apple/1.jpg", b"x")])


def test_a_file_that_the_store_does_not_take_is_named_first(tmp_path: Path) -> None:
    name = f"apple/{219 * 'a'}"
    with opened(load("local"), tmp_path) as settings, pytest.raises(StorageError, match=f"^'{name}' could not be drop"):
        drop(settings.storage, [(name, b"x")])
