"""Deployments without an account: what would be asked, and what is said of what goes wrong."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from click.testing import CliRunner, Result
from hatchling.build import build_wheel

from conf.errors import CloudError, SettingsError
from scripts.deployment import buckets, deployment, ec2, emr, rehearsals, teardown, templates
from scripts.deployment import stack as stacks
from scripts.deployment.costs import machines
from scripts.deployment.failures import explain
from scripts.deployment.plan import Plan, Workers
from scripts.deployment.stack import TAG, Stack
from scripts.deployment.steps import Call, Rehearsal
from scripts.fruits import fruits

GOLDEN = Path(__file__).parent / "dry_runs"
DRY_RUNS = {
    "emr.txt": "deploy emr --dry-run",
    "emr-changed.txt": "deploy emr --name orchard --region eu-west-3 --email you@example.org --refresh-every 1d "
    "--workers 0..8 --subnet subnet-1 --subnet subnet-2 --security-group sg-1 --set discovery.clean=archive "
    "--set pca.k=50 --parameter LogDays=7 --dry-run",
    "ec2.txt": "deploy ec2 --subnet subnet-1 --dry-run",
    "ec2-stay-up.txt": "deploy ec2 --subnet subnet-1 --security-group sg-1 --stay-up --dry-run",
    "databricks.txt": "deploy databricks --always-on --workers 8 --dry-run",
    "undeploy.txt": "undeploy --dry-run",
    "undeploy-delete-data.txt": "undeploy --delete-data --dry-run",
}
PLAN = Plan("emr", "eu-west-1")
MADE = {
    "BucketName": "fruits-1-eu-west-1",
    "ApplicationId": "00app",
    "StreamRoleArn": "arn:aws:iam::123456789012:role/fruits-stream",
    "LogGroupName": "/fruits/fruits",
}


@pytest.fixture(autouse=True)
def _no_network_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


class Patient(Rehearsal):
    """Waits for what its answers come to, and takes no time for it."""

    def _pause(self) -> None: ...


def run(line: str) -> Result:
    return CliRunner().invoke(fruits, line.split())


@pytest.mark.parametrize("name", DRY_RUNS)
def test_a_dry_run_shows_what_would_be_asked(name: str) -> None:
    said = run(DRY_RUNS[name])
    assert said.exit_code == 0, said.output
    # A change set's name depends on the whole template.
    shown = re.sub(r"(ChangeSetName\W+\w+)-[0-9a-f]{12}", r"\1-…", said.stdout)
    assert shown == (GOLDEN / name).read_text(encoding="utf-8"), f"See whether that is meant: fruits {DRY_RUNS[name]}"


def test_a_dry_run_for_machines_tells_the_same() -> None:
    calls = json.loads(run("deploy emr --dry-run --json").stdout)
    assert [call["operation"] for call in calls if call["changes"]] == [
        *("create_change_set", "execute_change_set", "upload_file", "upload_file", "upload_file"),
        *("start_job_run", "create_change_set", "execute_change_set"),
    ]


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("deploy emr --region eu-west-2 --dry-run", 1, "Photographs would leave the European Union"),
        ("deploy emr --name Fruits! --dry-run", 2, "'Fruits!'"),
        ("deploy emr --workers 4..1 --dry-run", 2, "'4..1' is no number of workers"),
        ("deploy emr --refresh-every soon --dry-run", 2, "'soon' is no time"),
        ("deploy emr --parameter LogDays --dry-run", 2, "NAME=VALUE"),
        ("deploy emr --parameter LogWeeks=2 --dry-run", 1, "LogWeeks"),
        ("deploy emr --parameter BucketName=other --dry-run", 1, "BucketName: that follows"),
        ("deploy emr --profile local --dry-run", 1, "storage.endpoint (embedded)"),
        ("deploy emr --set model.weights=a,b --dry-run", 1, "comma"),
        ("deploy ec2 --dry-run", 2, "--subnet"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_asked(line: str, status: int, says: str) -> None:
    said = run(line)
    assert (said.exit_code, says in said.output, "Traceback" in said.output) == (status, True, False), said.output


def test_the_template_fits_into_a_request_and_takes_what_it_is_told() -> None:
    body = templates.template()
    assert len(body.encode()) <= 51_200, (
        "CloudFormation takes no longer template but from a bucket, and there is none yet"
    )
    told = {*deployment.parameters(PLAN, "b"), *emr.parameters(Plan("emr", "eu-west-1", workers=Workers(1, 90)))}
    assert told | {*emr.scheduled(PLAN, "b", "v")} <= templates.takes(body)


def test_stream_and_refresh_run_alike_on_the_same_files() -> None:
    """But for how many workers they have."""
    stream = emr.submit_parameters("b", "v", PLAN.workers)
    refresh = emr.scheduled(PLAN, "b", "v")["RefreshSparkParameters"]
    alike, other = (
        {one for one in told.split("--conf ") if "maxExecutors" not in one and "parallelism" not in one}
        for told in (stream, refresh)
    )
    assert alike == other
    assert re.fullmatch(
        re.search(r"RefreshSparkParameters:\n.*\n.*\n +AllowedPattern: '(.*)'", templates.template())[1], refresh
    )  # type: ignore[index]
    assert len(refresh) < 4096  # of a parameter's value, CloudFormation takes no more


def test_a_stream_is_told_of_the_queue_where_there_is_one() -> None:
    quiet, hearing = (
        emr.stream_request(PLAN, Stack("", MADE | more), "1") for more in ({}, {"QueueUrl": "https://q/1"})
    )
    words = [request["jobDriver"]["sparkSubmit"]["entryPointArguments"] for request in (quiet, hearing)]
    assert [any("discovery.queue_url" in word for word in one) for one in words] == [False, True]


def test_more_workers_are_given_more_room() -> None:
    few, many = (emr.parameters(Plan("emr", "eu-west-1", workers=Workers(1, most))) for most in (4, 40))
    assert "MaximumVcpu" not in few
    assert (many["MaximumVcpu"], many["MaximumMemoryGb"]) == ("86", "344")


HOPES = {"BucketName": "others", "RefreshEnabled": "true"}
CLUSTER = {
    **{name: "arn:aws:iam::1:role/r" for name in ("ServiceRoleArn", "InstanceProfileArn")},
    "SecurityConfiguration": "s",
}


def cluster(**told: Any) -> dict[str, Any]:
    plan = Plan("ec2", "eu-west-1", subnets=("subnet-1",), **told)
    return ec2.cluster_request(plan, Stack("", MADE | CLUSTER), "1")


@pytest.mark.parametrize(("dies", "goes_on"), [("stream", "refresh"), ("refresh", "stream")])
def test_a_cluster_that_stays_up_ends_with_the_first_of_its_jobs(tmp_path: Path, dies: str, goes_on: str) -> None:
    (step,) = cluster(stays_up=True)["Steps"]
    assert step["ActionOnFailure"] == "TERMINATE_CLUSTER"
    submit = tmp_path / "spark-submit"
    submit.write_text(
        f'#!/bin/sh\ncase "$*" in *"/run.py {dies} "*) exit 3;; *"/run.py {goes_on} "*) exec sleep 600;; esac\n'
    )
    submit.chmod(0o755)
    place = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.Popen(step["HadoopJarStep"]["Args"], env=place, start_new_session=True)
    try:
        assert ran.wait(timeout=60) == 3
    finally:
        os.killpg(ran.pid, signal.SIGKILL)


def test_a_cluster_is_never_asked_for_no_machine_and_may_go_without() -> None:
    for least, asked, kept in ((0, 1, 1), (2, 2, 3)):
        request = cluster(workers=Workers(least, 4))
        *_, tasks = request["Instances"]["InstanceFleets"]
        limits = request["ManagedScalingPolicy"]["ComputeLimits"]
        assert (tasks["TargetSpotCapacity"], limits["MinimumCapacityUnits"]) == (asked, kept)
        assert limits["MaximumCapacityUnits"] == 5


def test_a_stack_that_never_came_to_be_has_no_bucket_to_delete_and_is_not_made_again() -> None:
    told = [{"ParameterKey": name, "ParameterValue": value} for name, value in HOPES.items()]
    failed = {"Stacks": [described("ROLLBACK_COMPLETE")["Stacks"][0] | {"Parameters": told}]}
    calls: list[Call] = []
    gone = CloudError("Stack with id fruits does not exist", "ValidationError")
    answers = {("cloudformation", "describe_stacks"): [failed, gone], ("s3", "get_bucket_tagging"): {"TagSet": []}}
    with pytest.raises(CloudError, match="others is not the deployment's"):
        teardown.undeploy(Patient("eu-west-1", answers), "fruits", "others", delete_data=True)
    answers = {("cloudformation", "describe_stacks"): [failed, gone]}
    teardown.undeploy(Patient("eu-west-1", answers, on_call=calls.append), "fruits", "others", delete_data=False)
    assert [call.operation for call in calls if call.changes] == ["delete_stack"]


def test_a_bucket_of_another_name_can_be_named_in_a_dry_run() -> None:
    said = run("undeploy --bucket others --delete-data --dry-run")
    assert (said.exit_code, "s3 delete_bucket" in said.stdout) == (0, True), said.output


def test_what_it_costs_grows_with_the_workers() -> None:
    few, many = (machines("emr", Workers(*of)) for of in ((1, 4), (0, 8)))
    assert 0 < many.idle < few.idle < few.full < many.full


FAILED = [
    # Newest first.
    ("fruits", "CloudFormation::Stack", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed: [Bucket]."),
    ("Queue", "SQS::Queue", "CREATE_FAILED", "Resource creation cancelled"),
    ("Bucket", "S3::Bucket", "CREATE_FAILED", "fruits-1-eu-west-1 already exists"),
    ("fruits", "CloudFormation::Stack", "CREATE_IN_PROGRESS", "User Initiated"),
    ("Bucket", "S3::Bucket", "CREATE_FAILED", "what went wrong last year"),
]


def answers(status: str, **more: Any) -> dict[tuple[str, str], Any]:
    """Those of CloudFormation to a stack that comes to a status."""
    events = [
        {
            "LogicalResourceId": name,
            "ResourceType": f"AWS::{kind}",
            "ResourceStatus": state,
            "ResourceStatusReason": why,
        }
        for name, kind, state, why in FAILED
    ]
    gone = CloudError("Stack with id fruits does not exist", "ValidationError")
    return {
        ("cloudformation", "describe_stacks"): [
            gone,
            described("CREATE_IN_PROGRESS"),
            described(status),
        ],
        ("cloudformation", "describe_change_set"): {"Status": "CREATE_COMPLETE"},
        ("cloudformation", "describe_stack_events"): {"StackEvents": events},
    } | {("cloudformation", name): answer for name, answer in more.items()}


def described(status: str, tags: bool = True) -> dict[str, Any]:
    return {"Stacks": [{"StackStatus": status, "Tags": [{"Key": TAG, "Value": "fruits"}] if tags else []}]}


def ensure(told: dict[tuple[str, str], Any]) -> list[Call]:
    calls: list[Call] = []
    stacks.ensure(
        Patient("eu-west-1", told, on_call=calls.append), "fruits", "Parameters:\n  Name:\n", {"Name": "fruits"}
    )
    return calls


def test_a_stack_that_fails_is_told_by_its_first_failure() -> None:
    with pytest.raises(CloudError) as told:
        ensure(answers("ROLLBACK_COMPLETE"))
    assert str(told.value) == (
        "The stack fruits failed at Bucket (S3 Bucket): fruits-1-eu-west-1 already exists. "
        "Mend that and run this again: it goes on where it was."
    )


def test_what_a_failure_left_is_removed_first() -> None:
    gone = CloudError("Stack with id fruits does not exist", "ValidationError")
    calls = ensure(answers("", describe_stacks=[described("ROLLBACK_COMPLETE"), gone, described("CREATE_COMPLETE")]))
    changes = [call.operation for call in calls if call.changes]
    assert changes == ["delete_stack", "create_change_set", "execute_change_set"]


def test_a_stack_of_somebody_elses_is_left_alone() -> None:
    with pytest.raises(CloudError, match="has not made"):
        ensure(answers("", describe_stacks=described("CREATE_COMPLETE", tags=False)))


def test_a_stack_that_is_told_of_as_it_was_is_waited_for() -> None:
    """For a moment after a request, AWS answers as before it."""
    gone = CloudError("Stack with id fruits does not exist", "ValidationError")
    was, changed = described("UPDATE_COMPLETE"), described("UPDATE_COMPLETE")
    was["Stacks"][0]["LastUpdatedTime"], changed["Stacks"][0]["LastUpdatedTime"] = 1, 2
    for moves in ([gone, described("REVIEW_IN_PROGRESS"), described("CREATE_COMPLETE")], [was, was, changed]):
        told = answers("", describe_stacks=[*moves, CloudError("asked once too often", "Test")])
        changes = [call.operation for call in ensure(told) if call.changes]
        assert changes == ["create_change_set", "execute_change_set"]
    cloud = Patient("eu-west-1", answers("", describe_stacks=[was, described("DELETE_IN_PROGRESS"), gone]))
    stacks.delete(cloud, "fruits")
    assert stacks.find(cloud, "fruits") is None


def test_a_change_set_that_is_refused_says_why() -> None:
    refused = {"Status": "FAILED", "StatusReason": "Parameter Name failed to satisfy constraint"}
    with pytest.raises(CloudError, match="Parameter Name failed"):
        ensure(answers("CREATE_COMPLETE", describe_change_set=refused))


def test_a_stack_under_way_is_waited_for() -> None:
    moves = [described("UPDATE_IN_PROGRESS"), described("UPDATE_COMPLETE")]
    nothing = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
    calls = ensure(answers("", describe_stacks=moves, describe_change_set=nothing))
    assert [call.operation for call in calls if call.changes] == ["create_change_set", "delete_change_set"]


def test_a_stream_that_ends_before_it_runs_is_told_with_its_reason() -> None:
    job = {"jobRunId": "1", "state": "FAILED", "stateDetails": "Worker could not be allocated."}
    told = {
        ("emr-serverless", "start_job_run"): {"jobRunId": "1"},
        ("emr-serverless", "get_job_run"): [{"jobRun": job | {"state": "SCHEDULED"}}, {"jobRun": job}],
    }
    with pytest.raises(CloudError, match=r"ended as FAILED before it ran: Worker could not be allocated\. Its log"):
        emr.run(Patient("eu-west-1", told), PLAN, Stack("CREATE_COMPLETE", MADE), "1")


def test_a_token_tells_a_repeated_request_from_a_new_start() -> None:
    tokens = []
    for before in ([], [], [{"id": "00old", "state": "CANCELLED", "createdAt": 1}]):
        calls: list[Call] = []
        told = {
            ("emr-serverless", "list_job_runs"): {"jobRuns": before},
            ("emr-serverless", "start_job_run"): {"jobRunId": "1"},
            ("emr-serverless", "get_job_run"): {"jobRun": {"jobRunId": "1", "state": "RUNNING"}},
        }
        emr.run(Rehearsal("eu-west-1", told, on_call=calls.append), PLAN, Stack("", MADE), "1")
        tokens += [call.parameters["clientToken"] for call in calls if call.operation == "start_job_run"]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NoCredentialsError(), "No AWS credentials were found. Set AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="https://x"), "No answer from emr-serverless start_job_run in eu-west-3"),
        (("ExpiredToken", "The token is expired"), "have expired (ExpiredToken). Log in again"),
        (("UnrecognizedClientException", "invalid"), "does not know these credentials"),
        (("ServiceQuotaExceededException", "16 vCPU"), "A quota of the account is used up"),
        (("ThrottlingException", "Rate exceeded"), "slow down"),
        (
            ("AccessDeniedException", "User: u is not authorized to perform: iam:PassRole on resource: r"),
            "may not do iam:PassRole:",
        ),
        (("AccessDenied", "Access Denied"), "may not do emr-serverless:StartJobRun:"),
        (("Other", "Something else"), "emr-serverless start_job_run in eu-west-3 failed: "),
    ],
)
def test_what_aws_refuses_is_one_message(error: Any, says: str) -> None:
    if isinstance(error, tuple):
        code, message = error
        error = ClientError({"Error": {"Code": code, "Message": message}}, "StartJobRun")
    said = explain(error, "emr-serverless", "start_job_run", "eu-west-3")
    assert says in str(said)
    assert "\n" not in str(said)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (CloudError("Forbidden", "403"), "may be another account's"),
        (CloudError("Moved", "301"), "is in another region"),
        ({"BucketRegion": "us-east-1"}, "is in us-east-1, not in eu-west-1"),
    ],
)
def test_a_bucket_that_is_not_ours_or_not_here_is_refused(answer: Any, says: str) -> None:
    with pytest.raises(CloudError, match=says):
        buckets.is_there(Rehearsal("eu-west-1", {("s3", "head_bucket"): answer}), "fruits-1-eu-west-1")


def test_a_rehearsal_holds_requests_to_what_aws_takes() -> None:
    with pytest.raises(AssertionError, match="applicationId"):
        Rehearsal("eu-west-1", {}).ask("emr-serverless", "start_job_run", name="fruits")


def test_settings_reach_both_jobs_as_they_are() -> None:
    said = run("deploy emr --set stream.max_files=7 --set spark.options.spark.eventLog.enabled=false --dry-run --json")
    calls = json.loads(said.stdout)
    (start,) = [call["parameters"] for call in calls if call["operation"] == "start_job_run"]
    words = start["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    (told, _) = [call["parameters"]["Parameters"] for call in calls if call["operation"] == "create_change_set"]
    (refresh,) = [one["ParameterValue"] for one in told if one["ParameterKey"] == "RefreshSettings"]
    for setting in ("stream.max_files=7", "spark.options.spark.eventLog.enabled=false"):
        assert setting in words
        assert setting in refresh.split(",")


def test_a_setting_that_the_schedule_cannot_take_is_refused() -> None:
    with pytest.raises(SettingsError, match="quotation mark"):
        emr.parameters(Plan("emr", "eu-west-1", settings=('model.weights="x"',)))


def test_a_rehearsed_deployment_is_that_of_an_account_with_nothing_in_it() -> None:
    done = deployment.deploy(Rehearsal("eu-west-1", rehearsals.deployment(PLAN)), emr, PLAN, lambda: rehearsals.BUILT)
    assert (done.bucket, done.running.state) == ("fruits-<account>-eu-west-1", "RUNNING")


def test_an_installed_package_brings_what_a_deployment_reads(tmp_path: Path) -> None:
    wheel = build_wheel(str(tmp_path))
    zipfile.ZipFile(tmp_path / wheel).extractall(tmp_path / "installed")
    code = (
        "from scripts.deployment import databricks, prices, templates; "
        "print(databricks.BUNDLE, templates.__file__, len(templates.template()), prices.prices()['s3']['gb_month'] > 0)"
    )
    place = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=place, capture_output=True, text=True)
    bundle, module, length, priced = ran.stdout.split()
    assert all(path.startswith(str(tmp_path / "installed")) for path in (bundle, module)), ran
    assert (Path(bundle, "databricks.yml").is_file(), int(length), priced) == (True, len(templates.template()), "True")


def test_a_key_that_waits_for_its_end_is_not_left() -> None:
    for state, left in (("PendingDeletion", ()), ("Enabled", ("arn:aws:kms:eu-west-1:1:key/k",))):
        told = {
            ("resourcegroupstaggingapi", "get_resources"): {
                "ResourceTagMappingList": [
                    {"ResourceARN": arn} for arn in ("arn:aws:kms:eu-west-1:1:key/k", "arn:aws-eusc:s3:::kept")
                ]
            },
            ("kms", "describe_key"): {"KeyMetadata": {"KeyState": state}},
            ("cloudformation", "describe_stacks"): CloudError("Stack does not exist", "ValidationError"),
        }
        done = teardown.undeploy(Rehearsal("eu-west-1", told), "fruits", "kept", delete_data=False)
        assert done.looked[-1].names == left
