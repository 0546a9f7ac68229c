"""Sessions one after the other in one process, as in a notebook that is run again."""

import subprocess
import sys
from pathlib import Path

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
