"""A deployment in an account of moto's: made, made again, killed in between, taken away."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from conf.errors import CloudError, SettingsError
from scripts.deployment import deployment, ec2, emr, teardown
from scripts.deployment.artefacts import Artefacts
from scripts.deployment.plan import Deployed, Plan
from scripts.deployment.steps import Aws, Call
from scripts.fruits import fruits
from tests.integration.account import ACCOUNT, REGION, account

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS")  # moto passes over some resources
PLAN = Plan("emr", REGION)
CLUSTER = Plan("ec2", REGION, subnets=("subnet-1",))
BUCKET = f"fruits-{ACCOUNT}-{REGION}"


@pytest.fixture(autouse=True)
def _account() -> Iterator[None]:
    with account():
        yield


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    return built(tmp_path, "1")


def built(folder: Path, version: str) -> Artefacts:
    """Small ones in the place of those that take a minute to build."""
    files = tuple(folder / name for name in ("fruits-0-py3-none-any.whl", "environment.tar.gz", "run.py"))
    for file in files:
        file.write_text(f"{file.name} {version}")
    return Artefacts(version, files, ())


@cache
def aws() -> Aws:
    """One for all tests: to make a client takes longer than what most of them do."""
    return Aws(REGION, on_call=lambda call: watching[-1](call))


@cache
def client(service: Any) -> Any:
    return boto3.client(service, REGION)


watching: list[Callable[[Call], None]] = [lambda call: None]


@contextmanager
def watched(on_call: Callable[[Call], None]) -> Iterator[None]:
    watching.append(on_call)
    try:
        yield
    finally:
        watching.pop()


def deploy(artefacts: Artefacts, plan: Plan = PLAN, platform: Any = emr) -> Deployed:
    return deployment.deploy(aws(), platform, plan, lambda: artefacts)


def undeploy(*, delete_data: bool = True) -> teardown.Undeployed:
    return teardown.undeploy(aws(), "fruits", BUCKET, delete_data=delete_data)


def jobs() -> list[Any]:
    """All that were ever started, as AWS tells of each."""
    emr_serverless = client("emr-serverless")
    return [
        emr_serverless.get_job_run(applicationId=application["id"], jobRunId=job["id"])["jobRun"]
        for application in emr_serverless.list_applications()["applications"]
        for job in emr_serverless.list_job_runs(applicationId=application["id"])["jobRuns"]
    ]


def stored() -> list[str]:
    return [one["Key"] for one in client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]


class Kill(BaseException):
    """The process ends here."""


class Killer:
    """Ends it before the n-th request that changes something."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, call: Call) -> None:
        if call.changes:
            if not self.left:
                raise Kill
            self.left -= 1


def test_a_deployment_has_its_files_its_stream_and_its_schedule(artefacts: Artefacts) -> None:
    done = deploy(artefacts)
    assert (done.bucket, done.running.state, done.running.is_new) == (BUCKET, "RUNNING", True)
    assert stored() == [f"artefacts/1/{name}" for name in ("environment.tar.gz", "fruits-0-py3-none-any.whl", "run.py")]
    (job,) = jobs()
    assert job["jobDriver"]["sparkSubmit"]["entryPoint"] == f"s3://{BUCKET}/artefacts/1/run.py"
    schedule = client("scheduler").get_schedule(Name="fruits-refresh")
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(6 hours)")
    assert f"s3://{BUCKET}/artefacts/1/run.py" in schedule["Target"]["Input"]
    tags = client("cloudformation").describe_stacks(StackName="fruits")["Stacks"][0]["Tags"]
    assert tags == [{"Key": "fruits:deployment", "Value": "fruits"}]


def test_deployed_again_nothing_is_made_twice(artefacts: Artefacts) -> None:
    first = deploy(artefacts)
    changes: list[Call] = []
    with watched(changes.append):
        again = deploy(artefacts)
    assert again == replace(first, running=replace(first.running, is_new=False))
    # A change set that would change nothing, twice.
    assert {call.operation for call in changes if call.changes} == {"create_change_set", "delete_change_set"}
    assert len(jobs()) == 1


def test_another_version_takes_the_place_of_the_one_that_runs(artefacts: Artefacts, tmp_path: Path) -> None:
    deploy(artefacts)
    done = deploy(built(tmp_path, "2"))
    assert sorted(job["state"] for job in jobs()) == ["CANCELLED", "RUNNING"]
    assert next(job for job in jobs() if job["state"] == "RUNNING")["jobRunId"] == done.running.id
    target = client("scheduler").get_schedule(Name="fruits-refresh")["Target"]
    assert "artefacts/2/" in target["Input"]
    assert "artefacts/1/" not in target["Input"]
    client("s3").put_object(Bucket=BUCKET, Key="tables/features/1.parquet", Body=b"")
    deploy(built(tmp_path, "3"))
    assert {key.rpartition("/")[0] for key in stored()} == {"artefacts/3", "tables/features"}


def test_back_to_an_earlier_version_starts_it_anew(artefacts: Artefacts, tmp_path: Path) -> None:
    first = deploy(artefacts)
    deploy(built(tmp_path, "2"))
    third = deploy(built(tmp_path, "1"))
    assert third.running.id != first.running.id
    assert [job["state"] for job in jobs()].count("RUNNING") == 1


def test_more_room_is_given_to_a_stopped_application(artefacts: Artefacts) -> None:
    """moto refuses, as AWS does, to change one that runs."""
    deploy(artefacts)
    deploy(artefacts, replace(PLAN, workers=PLAN.workers._replace(most=20)))
    assert sorted(job["state"] for job in jobs()) == ["CANCELLED", "RUNNING"]


@pytest.mark.parametrize("after", range(8))
def test_killed_anywhere_it_goes_on_where_it_was(artefacts: Artefacts, after: int) -> None:
    with pytest.raises(Kill), watched(Killer(after)):
        deploy(artefacts)
    done = deploy(artefacts)
    assert [job["jobRunId"] for job in jobs()] == [done.running.id]
    assert len(stored()) == 3
    assert len(client("emr-serverless").list_applications()["applications"]) == 1


def configured() -> tuple[Any, Any, Any]:
    """What the bucket is set to do: whom it tells, what it lets expire, and whose it is."""
    s3 = client("s3")
    told = s3.get_bucket_notification_configuration(Bucket=BUCKET).get("QueueConfigurations", [])
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    return (
        [queue["QueueArn"].rpartition(":")[2] for queue in told],
        {rule["ID"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule},
        s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"],
    )


@pytest.mark.parametrize(
    ("plans", "queues"),
    [
        ([PLAN, replace(PLAN, parameters={"LandingDays": "30"})], []),
        # The next one wants to hear of photographs, or does not any more.
        ([PLAN, CLUSTER], ["fruits-landing"]),
        ([CLUSTER, PLAN], []),
    ],
)
def test_a_bucket_that_was_kept_is_taken_in_again_and_becomes_as_planned(
    artefacts: Artefacts, plans: list[Plan], queues: list[str]
) -> None:
    modules = {"emr": emr, "ec2": ec2}
    first, second = plans
    deploy(artefacts, first, modules[first.platform])
    client("s3").put_object(Bucket=BUCKET, Key="landing/pear/1.jpg", Body=b"pear")
    assert undeploy(delete_data=False).is_clean
    # By hand, in between.
    rule = {"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "state/"}, "Expiration": {"Days": 1}}
    client("s3").put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    done = deploy(artefacts, second, modules[second.platform])
    assert (done.bucket, done.running.is_new) == (BUCKET, True)
    assert "landing/pear/1.jpg" in stored()
    days = int(second.parameters.get("LandingDays", 36500))
    tags = [{"Key": "fruits:deployment", "Value": "fruits"}]
    assert configured() == (queues, {"landing": days, "archive": 36500}, tags)
    assert undeploy().is_clean
    assert client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize("after", range(6))
def test_killed_while_it_takes_a_bucket_in_it_goes_on_where_it_was(artefacts: Artefacts, after: int) -> None:
    deploy(artefacts)
    undeploy(delete_data=False)
    plan = replace(PLAN, subnets=("subnet-1",), parameters={"LandingDays": "30"})
    with pytest.raises(Kill), watched(Killer(after)):
        deploy(artefacts, plan)
    deploy(artefacts, plan)
    assert configured()[:2] == (["fruits-landing"], {"landing": 30, "archive": 36500})


def test_a_bucket_that_is_not_the_deployments_is_not_taken_in_and_not_deleted(artefacts: Artefacts) -> None:
    others = client("s3")
    others.create_bucket(Bucket="others", CreateBucketConfiguration={"LocationConstraint": REGION})
    with pytest.raises(CloudError, match="does not bear the tag fruits:deployment=fruits"):
        deploy(artefacts, replace(PLAN, bucket="others"))
    deploy(artefacts)
    with pytest.raises(CloudError, match=r"others is not the deployment's.*Nothing was deleted"):
        teardown.undeploy(aws(), "fruits", "others", delete_data=True)
    assert [job["state"] for job in jobs()] == ["RUNNING"]
    assert {bucket["Name"] for bucket in others.list_buckets()["Buckets"]} == {BUCKET, "others"}


@pytest.mark.parametrize(("first", "second"), [(emr, ec2), (ec2, emr)])
def test_another_platform_under_the_same_name_is_refused_while_the_first_one_runs(
    artefacts: Artefacts, first: Any, second: Any
) -> None:
    plans = {emr: PLAN, ec2: CLUSTER}
    deploy(artefacts, plans[first], first)
    with pytest.raises(SettingsError, match=rf"on the platform {plans[first].platform}, .*fruits undeploy"):
        deploy(artefacts, plans[second], second)
    with pytest.raises(SettingsError, match=rf"with the bucket {BUCKET}, not other\."):
        deploy(artefacts, replace(plans[first], bucket="other"), first)


def test_what_the_schedule_has_started_keeps_its_program(artefacts: Artefacts, tmp_path: Path) -> None:
    deploy(artefacts)
    schedule = json.loads(client("scheduler").get_schedule(Name="fruits-refresh")["Target"]["Input"])
    driver = {"sparkSubmit": {"entryPoint": schedule["JobDriver"]["SparkSubmit"]["EntryPoint"]}}
    application = schedule["ApplicationId"]
    refresh = client("emr-serverless").start_job_run(
        applicationId=application, executionRoleArn=schedule["ExecutionRoleArn"], jobDriver=driver, clientToken="1"
    )["jobRunId"]
    deploy(built(tmp_path, "2"))
    assert {key.split("/")[1] for key in stored()} == {"1", "2"}
    client("emr-serverless").cancel_job_run(applicationId=application, jobRunId=refresh)
    deploy(built(tmp_path, "3"))
    assert {key.split("/")[1] for key in stored()} == {"3"}


def test_the_schedule_ends_before_what_it_would_start_again(artefacts: Artefacts) -> None:
    deploy(artefacts)
    states: list[str] = []

    def look(call: Call) -> None:
        if call.operation in {"cancel_job_run", "stop_application"}:
            states.append(client("scheduler").get_schedule(Name="fruits-refresh")["State"])

    with watched(look):
        undeploy(delete_data=False)
    assert states == ["DISABLED", "DISABLED"]


@pytest.mark.parametrize("keeps", [True, False])
def test_undeployed_nothing_is_left_but_what_is_kept(artefacts: Artefacts, keeps: bool) -> None:
    deploy(artefacts)
    client("s3").put_object(Bucket=BUCKET, Key="landing/pear/1.jpg", Body=b"pear")
    done = undeploy(delete_data=not keeps)
    assert done.is_clean, done
    assert (done.kept and done.kept.versions) == (4 if keeps else None)
    assert client("scheduler").list_schedules()["Schedules"] == []
    assert [one["state"] for one in client("emr-serverless").list_applications()["applications"]] == ["TERMINATED"]


def test_all_versions_go_and_what_was_never_uploaded_to_its_end(artefacts: Artefacts) -> None:
    deploy(artefacts)
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=BUCKET, Key="landing/pear/1.jpg", Body=body)
    s3.delete_object(Bucket=BUCKET, Key="landing/pear/1.jpg")
    s3.create_multipart_upload(Bucket=BUCKET, Key="landing/pear/2.jpg")
    done = undeploy()
    assert done.is_clean
    assert s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize("after", range(7))
def test_undeploying_killed_anywhere_goes_on_where_it_was(artefacts: Artefacts, after: int) -> None:
    deploy(artefacts)
    with pytest.raises(Kill), watched(Killer(after)):
        undeploy()
    assert teardown.bucket_of(aws(), "fruits") == BUCKET
    assert undeploy().is_clean
    assert client("s3").list_buckets()["Buckets"] == []


def test_what_was_forgotten_is_found_by_the_look_around(artefacts: Artefacts) -> None:
    deploy(artefacts)
    client("sqs").create_queue(QueueName="fruits-forgotten")
    client("sqs").create_queue(QueueName="fruitsalad")
    done = undeploy()
    assert not done.is_clean
    (queues,) = [left.names for left in done.looked if left.kind == "SQS queues"]
    assert [url.rpartition("/")[2] for url in queues] == ["fruits-forgotten"]


def test_a_cluster_is_started_once_and_ended_with_the_rest(artefacts: Artefacts) -> None:
    first = deploy(artefacts, CLUSTER, ec2)
    again = deploy(artefacts, CLUSTER, ec2)
    assert (first.running.is_new, again.running.is_new, again.running.id) == (True, False, first.running.id)
    steps = [step["Name"] for step in client("emr").list_steps(ClusterId=first.running.id)["Steps"]]
    assert sorted(steps) == ["fruits-refresh", "fruits-stream"]
    bigger = deploy(artefacts, replace(CLUSTER, workers=CLUSTER.workers._replace(most=8)), ec2)
    assert list(ec2.active(aws(), "fruits")) == [bigger.running.id]
    assert undeploy().is_clean
    assert ec2.active(aws(), "fruits") == {}


def test_a_cluster_of_the_same_name_that_is_not_ours_goes_on(artefacts: Artefacts) -> None:
    instances = {"InstanceCount": 1, "MasterInstanceType": "m5.xlarge", "KeepJobFlowAliveWhenNoSteps": True}
    others = client("emr").run_job_flow(Name="fruits", ReleaseLabel="emr-7.9.0", Instances=instances)["JobFlowId"]
    deploy(artefacts)
    undeploy()
    assert client("emr").describe_cluster(ClusterId=others)["Cluster"]["Status"]["State"] == "WAITING"


@pytest.fixture
def commands(artefacts: Artefacts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """`fruits`, in an empty folder, with artefacts that take no time."""
    monkeypatch.setattr("scripts.deployment.artefacts.build", lambda *_: artefacts)
    monkeypatch.chdir(tmp_path)
    return lambda line, **more: CliRunner().invoke(fruits, line.split(), **more)


def test_the_command_says_what_runs_and_what_to_type_next(commands: Callable[..., Result]) -> None:
    said = commands("deploy emr")
    assert said.exit_code == 0, said.output
    (job,) = jobs()
    lines = said.stdout.splitlines()
    assert lines[0] == f"Deployed fruits, version 1, in {REGION} (account {ACCOUNT})."
    assert f"  EMR Serverless job {job['jobRunId']}: RUNNING, started now" in lines
    assert f"  export FRUITS_PROFILE=aws FRUITS_STORAGE__BUCKET={BUCKET} FRUITS_STORAGE__REGION={REGION}" in lines
    assert "Starting the stream" in said.stderr.splitlines()
    assert json.loads(commands("deploy emr --json -q").stdout)["running"]["is_new"] is False


def test_data_is_never_deleted_without_a_word(commands: Callable[..., Result]) -> None:
    deploy_said = commands("deploy emr")
    assert deploy_said.exit_code == 0
    refused = commands("undeploy --delete-data")
    assert (refused.exit_code, "add --yes" in refused.stderr) == (2, True)
    assert [job["state"] for job in jobs()] == ["RUNNING"]
    kept = commands("undeploy --yes")
    assert (kept.exit_code, len(stored())) == (0, 3), kept.output
    assert f"Kept: the bucket {BUCKET} has 3 object versions" in kept.stdout
    gone = commands("undeploy --delete-data --yes --json")
    assert (gone.exit_code, json.loads(gone.stdout)["clean"], json.loads(gone.stdout)["kept"]) == (0, True, None)
    assert client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_on_a_terminal_one_is_asked_what_becomes_of_the_data(
    commands: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    commands("deploy emr")
    monkeypatch.setattr("scripts.deployment.options.somebody_answers", lambda: True)
    said = commands("undeploy", input=f"{answer}\n")
    assert "Delete it, with all photographs and tables?" in said.stderr
    assert (said.exit_code, len(client("s3").list_buckets()["Buckets"])) == (0, left)


def test_who_says_no_to_the_costs_pays_none(commands: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.deployment.options.somebody_answers", lambda: True)
    said = commands("deploy emr", input="n\n")
    assert (said.exit_code, "USD an hour" in said.stderr) == (1, True)
    assert client("s3").list_buckets()["Buckets"] == []


def test_artefacts_that_would_not_run_are_not_deployed(
    commands: Callable[..., Result], artefacts: Artefacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubtful = replace(artefacts, warnings=("This machine's C library is newer.",))
    monkeypatch.setattr("scripts.deployment.artefacts.build", lambda *_: doubtful)
    said = commands("deploy emr")
    assert (said.exit_code, "C library is newer. --yes goes on" in said.stderr) == (1, True)
    assert client("s3").list_buckets()["Buckets"] == []


def test_databricks_is_asked_by_its_own_command_line(
    commands: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr("scripts.deployment.databricks.run", lambda words, _: ran.extend(words))
    said = commands("deploy databricks --workers 8")
    assert said.exit_code == 0, said.output
    assert [words[:3] for words in ran] == [["databricks", "bundle", "validate"], ["databricks", "bundle", "deploy"]]
    assert {f"bucket={BUCKET}", "most_workers=8"} <= set(ran[1])
    assert "databricks instance-profiles add arn:aws:iam::" in said.stdout
    ran.clear()
    gone = commands("undeploy --delete-data --yes")
    assert gone.exit_code == 0, gone.output
    assert [words[1:4] + words[4:5] for words in ran] == [
        ["bundle", "destroy", "--target", "scheduled"],
        ["bundle", "destroy", "--target", "always_on"],
    ]
