"""`fruits doctor` against stores that let it in, do not, or only half: and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import moto.core.responses
import obstore
import pytest
from click.testing import CliRunner, Result

from conf import jars, java
from conf.lease import Lease
from conf.s3 import control_client, object_store
from conf.settings import Settings, load
from scripts.checks.check import Outcome, examine, ok
from scripts.checks.queue import QueueRights
from scripts.checks.rights import Rights, remove, scratch
from scripts.drop import drop
from scripts.fruit_photos import draw_photos
from scripts.fruits import fruits
from scripts.session import override
from streaming.sqs import queue_client
from tests.integration.aws import aws


def doctor(settings: Settings, *words: str) -> Result:
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return CliRunner().invoke(fruits, ["doctor", "--profile", "test", *given, *words])


def outcomes(said: Result) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["outcome"], one["says"]) for one in json.loads(said.stdout)["checks"]}


@pytest.fixture
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine, whose checks take seconds, one that is quick."""
    monkeypatch.setattr("scripts.checks.machine.machine_checks", lambda _: iter([("python", lambda: ok("it runs"))]))


def everything(settings: Settings) -> dict[str, str]:
    below = obstore.list(object_store(settings.storage), settings.storage.prefix).collect()
    return {meta["path"]: str(meta["e_tag"]) for meta in below if not meta["path"].endswith("/")}


def test_where_all_is_well_everything_is_tried_beside_a_stream_and_nothing_stays(settings: Settings) -> None:
    drop(settings.storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in draw_photos(2, seed=5)))
    with Lease(settings.storage, 3600):
        before = everything(settings)
        said = doctor(settings, "--set=discovery.clean=archive", "--json")
        assert everything(settings) == before
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert found["passed"]
    told = {one["name"]: one["outcome"] for one in found["checks"]}
    # How much memory and disk there is, is this machine's.
    assert {outcome for name, outcome in told.items() if not name.startswith(("memory", "disk"))} == {"ok"}
    assert {"python", "java", "jars", "tensorflow", "litert", "weights", "model", "credentials", "store"} <= set(told)
    rights = {f"{verb} {place}" for verb in ("write", "read", "delete") for place in ("state/", "tables/", "archive/")}
    assert rights | {"list landing/", "read landing/", "create once", "replace if same", "multipart"} <= set(told)
    assert "12 features, 1 rejects, 12 reduced" in found["checks"][-1]["says"]


def test_ctrl_c_in_the_middle_of_it_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    code = (
        "from scripts.fruits import main; import scripts.checks.machine as m; m.machine_checks = lambda _: (); main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "doctor", "--profile=test", *given],
        cwd=tmp_path,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    ) as running:
        deadline = time.monotonic() + 300
        # Tables are there: the stream of the trial is at work.
        while not any("/tables/features/" in path for path in everything(settings)):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(120) == 130
    assert everything(settings) == {}


@pytest.mark.usefixtures("no_machine")
def test_wrong_credentials_are_told_and_what_needs_them_is_left_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    said = doctor(settings, "--json")
    found = outcomes(said)
    assert said.exit_code == 1
    assert found["store"][0] == "FAILED"
    assert "refuses these credentials" in found["store"][1]
    assert (found["rights"][0], found["end to end"][0]) == ("left out", "left out")
    assert (found["python"][0], found["clock"][0], found["region"][0]) == ("ok", "ok", "ok")


@pytest.mark.usefixtures("no_machine")
def test_a_bucket_that_is_not_there_is_one_line_with_its_remedy_below(settings: Settings) -> None:
    said = doctor(override(settings, "storage", bucket="not-there"), "--quick")
    assert said.exit_code == 1
    lines = said.stdout.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("FAILED"))
    assert lines[at].startswith("FAILED    store: There is no bucket 'not-there'")
    assert lines[at + 1].strip().startswith("-> Create it, or set storage.bucket")
    assert lines[0] == "ok        python: it runs"
    assert lines[-1].startswith("left out  end to end")


def test_without_any_java_it_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scripts.checks.machine.tensorflow", lambda: ok("not asked"))
    monkeypatch.setattr(java.find_java, "__defaults__", ({"PATH": "/nowhere", "JAVA_HOME": "/nowhere"}, ()))
    said = CliRunner().invoke(fruits, ["doctor", "--json"])
    found = outcomes(said)
    assert said.exit_code == 1
    assert found["java"] == ("FAILED", "Spark needs Java 17 or 21 and none was found")
    # The embedded S3 runs on Java, too.
    assert (found["store"][0], found["rights"][0], found["end to end"][0]) == ("FAILED", "left out", "left out")
    assert (found["jars"][0], found["litert"][0], found["region"][0]) == ("ok", "ok", "ok")
    (remedy,) = (one["do"] for one in json.loads(said.stdout)["checks"] if one["name"] == "java")
    assert "point JAVA_HOME at the one you have" in remedy


def test_a_jar_that_was_damaged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.checks.machine import jars as check

    real, copied = jars.cache_folder(), tmp_path / "jars"
    copied.mkdir()
    for jar in real.glob("*.jar"):
        (copied / jar.name).symlink_to(jar)
    monkeypatch.setattr(jars, "cache_folder", lambda: copied)
    assert examine("jars", check).outcome is Outcome.OK
    victim = sorted(copied.glob("*delta*.jar"))[0]
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data[:-1])
    result = examine("jars", check)
    assert (result.outcome, victim.name in result.says) == (Outcome.FAILED, True)
    assert result.do == f"Delete {victim} and run this again."


@dataclass
class Cloud:
    """S3 and SQS that obey policies, as somebody sees them who has no rights until `allow` gives some."""

    settings: Settings
    queue: str
    sqs: Any
    _iam: Any
    _user: str

    def allow(self, *statements: tuple[list[str], str]) -> None:
        """Let that somebody do these, on these, and nothing else."""
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": on} for actions, on in statements],
        }
        _enforce(False)
        self._iam.put_user_policy(UserName=self._user, PolicyName="rights", PolicyDocument=json.dumps(document))
        _enforce(True)


def _enforce(on: bool) -> None:
    moto.core.responses.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if on else float("inf")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    name = f"doctor-{uuid.uuid4().hex}"
    with aws() as endpoint, pytest.MonkeyPatch.context() as patch:
        where: Any = {"endpoint_url": endpoint, "region_name": "eu-west-1"}
        placed: Any = {"LocationConstraint": "eu-west-1"}
        boto3.client("s3", **where).create_bucket(Bucket=name, CreateBucketConfiguration=placed)
        sqs, iam = boto3.client("sqs", **where), boto3.client("iam", **where)
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        iam.create_user(UserName=name)
        keys = iam.create_access_key(UserName=name)["AccessKey"]
        patch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        try:
            yield Cloud(override(load("test"), "storage", endpoint=endpoint, bucket=name), queue, sqs, iam, name)
        finally:
            _enforce(False)


def rights(cloud: Cloud, clean: str = "off") -> dict[str, Outcome]:
    storage = cloud.settings.storage
    with closing(control_client(storage)) as client, Rights(client, storage, clean) as tried:
        return {name: examine(name, check).outcome for name, check in tried.checks()}


READ = (["s3:ListBucket", "s3:GetObject"], "*")
WRITES = ["s3:PutObject", "s3:AbortMultipartUpload"]


def test_each_right_that_lacks_is_found_by_itself(cloud: Cloud) -> None:
    below = f"arn:aws:s3:::{cloud.settings.storage.bucket}"
    cloud.allow(READ, ([*WRITES, "s3:DeleteObject"], f"{below}/state/*"), (WRITES, f"{below}/tables/*"))
    found = rights(cloud, clean="archive")
    refused = {name for name, outcome in found.items() if outcome is Outcome.FAILED}
    assert refused == {"delete tables/", "write archive/", "delete landing/"}
    assert found["delete archive/"] is Outcome.LEFT_OUT
    cloud.allow((["s3:GetObject"], "*"))
    refused = {name for name, outcome in rights(cloud).items() if outcome is Outcome.FAILED}
    assert {"list landing/", "write state/", "write tables/", "multipart"} <= refused


@pytest.mark.usefixtures("no_machine")
def test_a_prefix_that_is_read_only_fails_the_command_and_is_named(cloud: Cloud) -> None:
    cloud.allow(READ)
    said = doctor(cloud.settings, "--quick")
    assert said.exit_code == 1
    assert "FAILED    write state/: s3:PutObject on state/* is refused" in said.stdout
    assert "-> Allow it: docs/operations.md, Rights." in said.stdout
    # It goes on after that.
    assert "FAILED    write tables/: s3:PutObject on tables/* is refused" in said.stdout


@pytest.mark.usefixtures("no_machine")
def test_without_the_right_to_list_the_others_are_tried_all_the_same(cloud: Cloud) -> None:
    cloud.allow((["s3:GetObject", "s3:DeleteObject", *WRITES], "*"))
    found = outcomes(doctor(cloud.settings, "--quick", "--json"))
    assert (found["store"][0], found["list landing/"][0]) == ("FAILED", "FAILED")
    assert (found["write state/"][0], found["delete tables/"][0]) == ("ok", "ok")


def test_a_store_that_ignores_conditions_is_found(settings: Settings) -> None:
    def forget(request: Any, **_: Any) -> None:
        for header in ("If-None-Match", "If-Match"):
            if header in request.headers:
                del request.headers[header]

    storage = settings.storage
    with closing(control_client(storage)) as client, Rights(client, storage, "off") as tried:
        client.meta.events.register("before-sign.s3.PutObject", forget)
        found = {name: examine(name, check) for name, check in tried.checks()}
    assert found["create once"].outcome is found["replace if same"].outcome is Outcome.FAILED
    assert "two streams could both believe" in found["create once"].says
    assert everything(settings) == {}


def test_the_queues_rights(cloud: Cloud) -> None:
    storage = cloud.settings.storage

    def tried() -> dict[str, Outcome]:
        with closing(queue_client(storage, cloud.queue)) as client:
            return {n: examine(n, c).outcome for n, c in QueueRights(client, storage, cloud.queue).checks()}

    sqs = cloud.sqs
    sqs.send_message(QueueUrl=cloud.queue, MessageBody="{}")
    assert set(tried().values()) == {Outcome.OK}
    # What was received is there for the stream at once.
    assert len(sqs.receive_message(QueueUrl=cloud.queue)["Messages"]) == 1
    sqs.set_queue_attributes(QueueUrl=cloud.queue, Attributes={"MessageRetentionPeriod": "600"})
    assert tried()["queue, settings"] is Outcome.WARN
    gone = QueueRights(sqs, storage, f"{cloud.queue}-of-another-name")
    assert {examine(name, check).outcome for name, check in gone.checks()} == {Outcome.FAILED}
    cloud.allow((["sqs:ReceiveMessage"], "*"))
    assert tried() == {
        "queue, receive": Outcome.OK,
        "queue, delete": Outcome.FAILED,
        "queue, keep": Outcome.FAILED,
        "queue, settings": Outcome.WARN,
    }


def test_an_end_in_the_middle_takes_away_what_was_written(settings: Settings) -> None:
    def begun(client: Any) -> None:
        with Rights(client, settings.storage, "archive") as tried:
            for name, check in tried.checks():
                examine(name, check)
                if name == "multipart":
                    assert len(everything(settings)) == 3
                    raise KeyboardInterrupt

    with closing(control_client(settings.storage)) as client:
        with pytest.raises(KeyboardInterrupt):
            begun(client)
        assert everything(settings) == {}
        assert not client.list_multipart_uploads(Bucket=settings.storage.bucket).get("Uploads")


def test_what_a_killed_doctor_left_goes_after_an_hour_and_nothing_else(settings: Settings) -> None:
    storage = settings.storage
    store = object_store(storage)
    state, tables = scratch(storage)
    ours, theirs = [f"{state}1/landing/a.jpg", f"{tables}1/probe"], [storage.state_key("lease.json")]
    for key in (*ours, *theirs):
        obstore.put(store, key, b"x")
    with closing(control_client(storage)) as client:
        with Rights(client, storage, "off"):
            assert set(everything(settings)) == {*ours, *theirs}
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert sum(remove(client, storage, below, later) for below in (state, tables)) == 2
        assert set(everything(settings)) == {*theirs}
        for own in (storage.state_key(""), storage.landing, storage.prefix):
            with pytest.raises(ValueError, match="is not the doctor's"):
                remove(client, storage, own)
