"""Each check of `fruits doctor` made to fail for real, where that needs no S3."""

import os
import shutil
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from conf.s3 import control_client
from conf.settings import Settings, load
from scripts.checks import machine, trial
from scripts.checks.check import Answer, Outcome, examine, ok
from scripts.checks.machine import _child, available_memory, disk, memory, needed_memory, python, weights
from scripts.checks.rights import Rights
from scripts.checks.store import Reached, clock, credentials, reach, region
from scripts.checks.trial import scratch_settings
from scripts.session import override
from streaming import flatbuffer
from streaming.weights import WHEEL, wheel_weights

BUCKET = '<?xml version="1.0"?><ListBucketResult><Name>fruits</Name><IsTruncated>false</IsTruncated></ListBucketResult>'


@pytest.fixture
def settings() -> Settings:
    return load("local")


def at(settings: Settings, **values: str | None) -> Settings:
    return override(settings, "storage", **values)


def test_a_check_that_raises_is_a_failure_and_hides_no_other() -> None:
    def broken() -> Answer:
        raise KeyError("no such thing")

    def missing() -> Answer:
        return ok(_child("import nothing_of_this_name", "a package"))

    results = [examine(name, check) for name, check in (("a", broken), ("b", missing), ("c", lambda: ok("fine")))]
    assert [result.outcome for result in results] == [Outcome.FAILED, Outcome.FAILED, Outcome.OK]
    assert "no such thing" in results[0].says
    assert "No module named 'nothing_of_this_name'" in results[1].says
    assert results[1].do == "Install what is missing: make setup"


def test_a_python_that_the_package_does_not_allow() -> None:
    assert python().outcome is Outcome.OK
    for wanted in (">=3.99", ">=3.9,<3.11"):
        assert python(wanted).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("signal", "says"), [("SIGILL", "lacks instructions"), ("SIGKILL", "was killed"), ("SIGSEGV", "11")]
)
def test_a_crash_of_what_is_imported_is_told(signal: str, says: str) -> None:
    no_core = "import os, signal, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
    code = f"{no_core} os.kill(os.getpid(), signal.{signal})"
    result = examine("tensorflow", lambda: ok(_child(code, "tensorflow")))
    assert (result.outcome, says in result.says) == (Outcome.FAILED, True), result.says
    assert result.do


def test_an_environment_that_was_deployed_needs_no_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer, "SHIPPED", tmp_path)
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: None)
    assert machine.tensorflow().outcome is Outcome.LEFT_OUT


def test_another_tensorflow_than_the_one_tested_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_TENSORFLOW", "print('2.99.1')")
    answer = machine.tensorflow()
    assert (answer.outcome, "2.99.1" in answer.says) == (Outcome.WARN, True)


def test_weights_that_are_not_as_their_package_brought_them(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weights(settings).outcome is Outcome.OK
    copy = tmp_path / WHEEL / "models" / wheel_weights().name
    copy.parent.mkdir(parents=True)
    (tmp_path / WHEEL / "__init__.py").touch()
    copy.write_bytes(wheel_weights().read_bytes()[:-1] + b"?")
    monkeypatch.syspath_prepend(str(tmp_path))
    answer = weights(settings)
    assert (answer.outcome, str(copy) in answer.says) == (Outcome.FAILED, True)


def test_weights_that_are_not_there(settings: Settings) -> None:
    result = examine("weights", lambda: weights(override(settings, "model", weights="/not/there.pth")))
    assert (result.outcome, "/not/there.pth" in result.says) == (Outcome.FAILED, True)


def test_memory_is_that_of_the_container_where_that_is_less(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    assert available_memory(meminfo, tmp_path) == 4_096_000_000
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("400000000\n")
    assert available_memory(meminfo, tmp_path) == 600_000_000
    # Of what it uses, files that were read are given up as soon as the room is needed.
    (tmp_path / "memory.stat").write_text("anon 100000000\nactive_file 50000000\ninactive_file 250000000\n")
    assert available_memory(meminfo, tmp_path) == 850_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(meminfo, tmp_path) == 4_096_000_000
    assert available_memory(tmp_path / "none", tmp_path) is None


def test_memory_that_does_not_suffice_is_a_warning(settings: Settings) -> None:
    two = override(settings, "spark", master="local[2]", driver_memory="2g")
    four = override(settings, "spark", master="local[4]", driver_memory="3g")
    (workers, less), (more_workers, more) = needed_memory(two), needed_memory(four)
    assert (workers, more_workers) == (2, 4)
    assert more - less == 2**30 + 2 * machine._WORKER_BYTES
    if available_memory() is not None:
        assert memory(override(settings, "spark", driver_memory="900t")).outcome is Outcome.WARN


def test_workers_are_those_that_will_be_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 10**12)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    masters = {"local[1]": "for 1 worker and", "local[7]": "for 7 workers and", "local[*]": "for 3 workers and"}
    for master, says in masters.items():
        assert says in memory(override(settings, "spark", master=master)).says
    monkeypatch.delattr(os, "sched_getaffinity")
    assert needed_memory(override(settings, "spark", master="local[*]"))[0] == 64


def test_a_disk_that_is_full_or_cannot_be_written(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert disk(tmp_path / "not" / "yet", roomy=0, tight=0).outcome is Outcome.OK
    assert disk(tmp_path, roomy=2 * free, tight=0).outcome is Outcome.WARN
    assert disk(tmp_path, tight=2 * free).outcome is Outcome.FAILED
    if sys.platform == "linux":
        answer = disk(Path("/proc"))
        assert (answer.outcome, "cannot be written" in answer.says) == (Outcome.FAILED, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0, Outcome.OK), (-20, Outcome.OK), (45, Outcome.WARN), (-1000, Outcome.FAILED)]
)
def test_a_clock_that_is_off(seconds: float, outcome: Outcome) -> None:
    assert clock(Reached(skew=timedelta(seconds=seconds))).outcome is outcome


def test_the_store_itself_tells_how_far_the_clock_is_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class AnHourAhead(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
            self.send_header("Content-Length", str(len(BUCKET)))
            self.end_headers()
            self.wfile.write(BUCKET.encode())

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    reached = Reached()
    with HTTPServer(("127.0.0.1", 0), AnHourAhead) as server, ExitStack() as stack:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        there = at(settings, endpoint=f"http://127.0.0.1:{server.server_port}")
        assert reach(there, stack, reached).outcome is Outcome.OK
        server.shutdown()
    answer = clock(reached)
    assert (answer.outcome, "behind the store's" in answer.says) == (Outcome.FAILED, True)
    assert reached.settings == there


def test_a_store_that_does_not_answer_leaves_the_clock_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    reached = Reached()
    with ExitStack() as stack:
        result = examine("store", lambda: reach(at(settings, endpoint="http://127.0.0.1:1"), stack, reached))
    assert (result.outcome, "No answer" in result.says) == (Outcome.FAILED, True)
    assert result.do == "Is it up, and storage.endpoint right?"
    assert (reached.settings, clock(reached).outcome) == (None, Outcome.LEFT_OUT)


@pytest.mark.parametrize(
    ("status", "code", "says", "do"),
    [
        (412, "PreconditionFailed", None, None),
        (501, "NotImplemented", "not known to this store (NotImplemented)", "Use S3, or a store that compares"),
        (403, "AccessDenied", "s3:PutObject on state/* is refused", "Allow it"),
        (500, "InternalError", "The bucket 'fruits' at http", "Try again"),
    ],
)
def test_what_a_store_answers_to_a_condition(
    status: int, code: str, says: str | None, do: str | None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Conditional(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            conditional = bool({"If-Match", "If-None-Match"} & set(self.headers))
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>" if conditional else ""
            self.send_response_only(status if conditional else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_DELETE(self) -> None:
            self.send_response_only(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with HTTPServer(("127.0.0.1", 0), Conditional) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        there = at(settings, endpoint=f"http://127.0.0.1:{server.server_port}").storage
        rights = Rights(control_client(there, attempts=1), there, "off")
        checks = dict(rights.checks())
        assert checks["write state/"]().outcome is Outcome.OK
        for name in ("create once", "replace if same"):
            result = examine(name, checks[name])
            if says is None or do is None:
                assert result.outcome is Outcome.OK
            else:
                assert (result.outcome, says in result.says) == (Outcome.FAILED, True), result.says
                assert (result.do or "").startswith(do)
        server.shutdown()


@pytest.mark.parametrize(
    ("values", "bucket_in", "outcome", "says"),
    [
        ({"endpoint": "embedded"}, None, Outcome.OK, "this machine"),
        ({"endpoint": "http://127.0.0.1:9000"}, None, Outcome.OK, "this machine"),
        ({"endpoint": "https://s3.example.com"}, None, Outcome.WARN, "is not AWS"),
        ({"endpoint": None, "region": "eu-west-3"}, None, Outcome.OK, "France"),
        ({"endpoint": None, "region": "eu-west-3"}, "eu-west-3", Outcome.OK, "France"),
        ({"endpoint": None, "region": "eu-west-3"}, "us-east-1", Outcome.FAILED, "is in us-east-1, storage.region"),
        ({"endpoint": None, "region": "eu-west-2"}, None, Outcome.FAILED, "is in eu-west-2"),
        ({"endpoint": None, "region": "eu-central-2"}, None, Outcome.FAILED, "is in eu-central-2"),
        (
            {"endpoint": "https://s3.eu-central-2.amazonaws.com", "region": "eu-central-2"},
            None,
            Outcome.FAILED,
            "is in eu-central-2",
        ),
    ],
)
def test_the_region(
    settings: Settings, values: dict[str, str], bucket_in: str | None, outcome: Outcome, says: str
) -> None:
    answer = examine("region", lambda: region(at(settings, **values), Reached(region=bucket_in)))
    assert (answer.outcome, says in answer.says) == (outcome, True), answer.says


def test_a_region_outside_that_has_a_reason_is_a_warning(settings: Settings) -> None:
    london = override(at(settings, endpoint=None, region="eu-west-2"), "privacy", outside_eu_because="shot in Kent")
    answer = region(london, Reached())
    assert (answer.outcome, "shot in Kent" in answer.says) == (Outcome.WARN, True), answer.says


def test_credentials_are_named_by_where_they_come_from_and_not_printed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = at(settings, endpoint="https://s3.eu-west-1.amazonaws.com").storage
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    none = examine("credentials", lambda: credentials(aws))
    assert (none.outcome, "No AWS credentials found" in none.says) == (Outcome.FAILED, True)
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIAABC\naws_secret_access_key = hidden\n")
    assert credentials(aws) == ok("from the shared credentials file")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "nobody" in examine("credentials", lambda: credentials(aws)).says
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAABC")
    partial = examine("credentials", lambda: credentials(aws))
    assert (partial.outcome, "hidden" in partial.says) == (Outcome.FAILED, False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    assert credentials(aws) == ok("from environment variables")


def test_the_run_from_end_to_end_is_not_tried_where_it_could_do_harm_or_not_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_run", lambda _: pytest.fail("it was tried"))
    monkeypatch.setattr(trial, "available_memory", lambda: 10**9)
    answer = trial.trial(settings)
    assert (answer.outcome, "not tried" in answer.says) == (Outcome.WARN, True)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    assert trial.trial(load("aws", ["storage.bucket=fruits"])).outcome is Outcome.LEFT_OUT


def test_it_has_a_store_of_its_own_and_tells_nobody(settings: Settings) -> None:
    told = override(settings, "stream", metrics_file="a.jsonl", prometheus_file="a.prom")
    theirs = override(told, "discovery", queue_url="https://sqs.eu-west-1.amazonaws.com/1/q", clean="delete")
    apart, other = scratch_settings(at(theirs, prefix="farm/")), scratch_settings(at(theirs, prefix="farm/"))
    assert apart.storage.landing.startswith("farm/state/doctor/")
    assert apart.storage.prefix != other.storage.prefix
    assert (apart.stream.metrics_file, apart.stream.prometheus_file) == (None, None)
    assert (apart.discovery.queue_url, apart.discovery.clean) == (None, "off")
    assert apart.model == settings.model


@pytest.mark.parametrize(
    ("told", "status", "outcome", "says"),
    [
        ({"drop": 0.1, "counts": {"features": 12, "rejects": 1, "reduced": 12}}, 0, Outcome.OK, "drop 0.1"),
        ({"counts": {"features": 11, "rejects": 1, "reduced": 11}}, 0, Outcome.FAILED, "'features': 11"),
        ({"drop": 0.1, "error": "The disk is full. Free some."}, 1, Outcome.FAILED, "The disk is full"),
        ({"drop": 0.1}, -9, Outcome.FAILED, "status -9 after drop 0.1 s: Killed"),
    ],
)
def test_how_it_ended(told: dict[str, object], status: int, outcome: Outcome, says: str) -> None:
    answer = trial._judged(told, status, "Killed")
    assert (answer.outcome, says in answer.says) == (outcome, True), answer.says
