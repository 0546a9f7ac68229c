"""The embedded S3 against the clients that use it, and its life: shared, kept, killed."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import obstore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from conf.errors import StorageError
from scripts import s3_guard, s3_server
from scripts.embedded_s3 import ServerInfo, down, running, serve, up

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

USER = """
import sys
from pathlib import Path
from scripts.embedded_s3 import serve
with serve(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


def boto(server: ServerInfo, key: str | None = None) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=key or server.secret_key,
        region_name="eu-west-3",
        config=Config(s3={"addressing_style": "path"}),
    )


def rust(server: ServerInfo) -> S3Store:
    return S3Store(
        "fruits",
        endpoint=server.endpoint,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        region="eu-west-3",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def user(root: Path) -> "subprocess.Popen[str]":
    """Another process that uses the server until it is told to end."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def pid_of_server(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def gone_within(seconds: float, root: Path) -> bool:
    deadline = time.monotonic() + seconds
    while running(root) and time.monotonic() < deadline:
        time.sleep(0.02)
    return running(root) is None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    # A folder with a name that properties files, shells and URLs would each like to mangle.
    with serve(tmp_path_factory.mktemp("s3") / "dâta [1] %20") as info:
        boto(info).create_bucket(Bucket="fruits")
        yield info


@pytest.mark.parametrize(
    "name",
    ["a b.jpg", "pêche/桃🍑.jpg", "a+b.jpg", "100%.jpg", "50%20off.jpg", "x#1.jpg", "[red] {1}.jpg", "q?x=1&y.jpg"],
)
def test_a_key_comes_back_as_it_was_put(server: ServerInfo, name: str) -> None:
    body = name.encode() * 100
    for put_first in ("boto", "rust"):
        key = f"landing/{put_first}/{name}"
        if put_first == "boto":
            boto(server).put_object(Bucket="fruits", Key=key, Body=body)
        else:
            obstore.put(rust(server), key, body)
        read = boto(server).get_object(Bucket="fruits", Key=key)
        got = obstore.get(rust(server), key, options={"if_match": read["ETag"]})
        assert read["Body"].read() == bytes(got.bytes()) == body
        listed = boto(server).list_objects_v2(Bucket="fruits", Prefix=key)["Contents"]
        assert [(entry["Key"], entry["ETag"]) for entry in listed] == [(key, read["ETag"])]
        assert [meta["path"] for page in obstore.list(rust(server), f"landing/{put_first}") for meta in page].count(
            key
        ) == 1


def test_a_stale_etag_is_refused(server: ServerInfo) -> None:
    store = rust(server)
    old = obstore.put(store, "etag", b"old")["e_tag"]
    new = obstore.put(store, "etag", b"new")["e_tag"]
    with pytest.raises(PreconditionError):
        obstore.get(store, "etag", options={"if_match": old})
    with pytest.raises(PreconditionError):
        obstore.put(store, "etag", b"newer", mode={"e_tag": old})
    obstore.put(store, "etag", b"newer", mode={"e_tag": new})
    assert obstore.get(store, "etag").bytes() == b"newer"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        boto(server).put_object(Bucket="fruits", Key="etag", Body=b"", IfNoneMatch="*")


def test_of_many_creators_one_wins(server: ServerInfo) -> None:
    store = rust(server)

    def create(number: int) -> str:
        try:
            obstore.put(store, "manifest", b"%d" % number, mode="create")
        except AlreadyExistsError:
            return "refused"
        return "created"

    with ThreadPoolExecutor(16) as pool:
        assert Counter(pool.map(create, range(32))) == {"created": 1, "refused": 31}


def test_a_file_in_parts_arrives_whole(server: ServerInfo) -> None:
    body = os.urandom(12_000_000)
    obstore.put(rust(server), "parts", body, use_multipart=True, chunk_size=5 * 1024 * 1024)
    assert boto(server).get_object(Bucket="fruits", Key="parts")["Body"].read() == body


def test_only_the_owner_gets_in(server: ServerInfo) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        boto(server, "guess").list_buckets()
    assert server.secret_key not in repr(server)
    holders = [path for path in server.root.iterdir() if path.is_file() and server.secret_key in path.read_text()]
    assert {path.name for path in holders} == {"credentials.json", "s3proxy.properties"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}


def test_one_server_is_shared_and_its_last_user_ends_it(tmp_path: Path) -> None:
    others = [user(tmp_path), user(tmp_path)]
    with serve(tmp_path) as mine:
        assert [pid_of_server(other) for other in others] == [mine.pid, mine.pid]
        others[0].communicate("")
        boto(mine).create_bucket(Bucket="fruits")
    assert running(tmp_path) == mine
    others[1].kill()
    others[1].communicate()
    assert gone_within(5, tmp_path)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_end_of_its_user_leaves_a_server_behind(tmp_path: Path, ending: signal.Signals) -> None:
    only = user(tmp_path)
    pid_of_server(only)
    only.send_signal(ending)
    only.communicate()
    assert gone_within(5, tmp_path)


def test_up_stays_until_down_and_the_data_longer(tmp_path: Path) -> None:
    starter = "import sys; from pathlib import Path; from scripts.embedded_s3 import up; up(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", starter, str(tmp_path)], check=True)
    try:
        with serve(tmp_path) as first:
            boto(first).create_bucket(Bucket="fruits")
            obstore.put(rust(first), "kept", b"data")
        assert running(tmp_path) == first == up(tmp_path)
    finally:
        assert down(tmp_path)
    assert running(tmp_path) is None
    assert not down(tmp_path)
    with serve(tmp_path) as second:
        assert second.secret_key == first.secret_key
        assert obstore.get(rust(second), "kept").bytes() == b"data"


def test_a_server_that_hangs_is_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_guard, "_STOP_LIMIT_S", 0.2)
    server = up(tmp_path)
    os.kill(server.pid, signal.SIGSTOP)
    assert down(tmp_path)
    assert gone_within(1, tmp_path)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.jar"
    broken.write_bytes(b"not a jar")
    monkeypatch.setattr(s3_server, "s3proxy_jar", lambda: broken)
    with (
        pytest.raises(StorageError, match=r"ended at once[\s\S]*server\.log[\s\S]*corrupt jarfile"),
        serve(tmp_path / "s3"),
    ):
        pass
