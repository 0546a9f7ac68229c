"""deploy/fruits.yaml: it is valid, makes what it says, and lets each job do its own work and nothing else."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.validate import validate_parameters
from cfnlint.api import lint
from cfnlint.decode.decode import decode_str

from conf.regions import EU_REGIONS
from conf.settings import load
from scripts.refresh import command as refresh
from streaming.metrics import as_line, describe
from streaming.sink import BatchReport
from tests.cloud_types import client_of, spelled
from tests.policies import Policies
from tests.stacks import ACCOUNT, BUCKET, REGION, TEMPLATE, Stack, created

OPERATIONS = TEMPLATE.parent.parent / "docs" / "operations.md"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:fruits-landing"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:fruits-alarms"
NETWORK = ("SubnetIds=subnet-1,subnet-2", "SecurityGroupIds=sg-1")
READ, WRITE, DELETE, LIST = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"
# Where IAM or the service has nothing narrower: a key's own policy is about that key, and EMR looks through all groups.
WIDE = {("logs:DescribeLogGroups", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*")}


def emr() -> Stack:
    return created("ArtefactsVersion=1.0-abc", "RefreshEnabled=true", "AlarmEmail=someone@example.org")


def told() -> Stack:
    """With a reason to be elsewhere, and all that can be said of the refresh."""
    return created(
        "ArtefactsVersion=1.0-abc",
        "RefreshSettings=pca.k=50,tables.keep_days=2",
        "RefreshSparkParameters=--conf a=b,c",
        "OutsideEuBecause=a trial with drawn photographs",
        "MonthlyBudget=0",
    )


def ec2() -> Stack:
    return created("Platform=ec2")


def databricks() -> Stack:
    return created("Platform=databricks")


def keeping() -> Stack:
    """A stream that hears of photographs by a queue, and deletes none."""
    return created(*NETWORK, "Forget=false")


def cleaning() -> Stack:
    return created(*NETWORK, "Forget=false", "Clean=delete", "LandingDays=30")


def archiving() -> Stack:
    return created(*NETWORK, "Forget=false", "Clean=archive", "ArchiveDays=365")


STACKS = (emr, ec2, databricks, keeping, cleaning, archiving)
each_stack = pytest.mark.parametrize("stack", STACKS, ids=lambda make: make.__name__)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found, errors = decode_str(TEMPLATE.read_text(encoding="utf-8"))
    assert not errors
    return dict(found)


def test_aws_own_linter_has_nothing_to_say_in_any_region_of_the_union() -> None:
    regions = sorted(region for region in EU_REGIONS if region.startswith("eu-"))
    text = TEMPLATE.read_text(encoding="utf-8")
    found = lint(text, config={"regions": regions, "include_checks": ["I"], "templates": []})
    assert [str(match) for match in found] == []


def test_it_goes_into_a_request_as_it_is() -> None:
    assert len(TEMPLATE.read_bytes()) <= 51_200


def test_only_regions_of_the_union_are_let_in_without_a_reason(template: dict[str, Any]) -> None:
    (rule,) = template["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "OutsideEuBecause"}, ""]}
    (assertion,) = rule["Assertions"]
    regions, asked = assertion["Assert"]["Fn::Contains"]
    assert (set(regions), asked) == (EU_REGIONS.keys(), {"Ref": "AWS::Region"})


def test_a_reason_for_another_region_reaches_the_refresh() -> None:
    _, settings = scheduled(told())
    assert load("aws", settings).privacy.outside_eu_because == "a trial with drawn photographs"


# ---- What is made ----


def test_emr_serverless_is_the_default_and_has_no_queue_to_ask_without_a_network() -> None:
    stack = emr()
    assert stack.outputs.keys() == {
        *("Region", "BucketName", "AlarmTopicArn", "LogGroupName"),
        *("ApplicationId", "StreamRoleArn", "RefreshRoleArn"),
    }
    assert "NotificationConfiguration" not in stack.properties["Bucket"]
    application = stack.properties["Application"]
    assert application["ReleaseLabel"].startswith("emr-spark-8.")
    assert application["AutoStopConfiguration"]["Enabled"]
    assert application["MaximumCapacity"] == {"Cpu": "20 vCPU", "Memory": "64 GB", "Disk": "500 GB"}
    assert "NetworkConfiguration" not in application


def test_with_a_network_photographs_are_told_of_by_a_queue() -> None:
    stack = keeping()
    assert stack.properties["Application"]["NetworkConfiguration"]["SubnetIds"] == ["subnet-1", "subnet-2"]
    (events,) = stack.properties["Bucket"]["NotificationConfiguration"]["QueueConfigurations"]
    assert (events["Event"], events["Queue"]) == ("s3:ObjectCreated:*", QUEUE)
    assert events["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "landing/"}]
    assert stack.outputs["QueueUrl"].endswith("/fruits-landing")
    attributes = stack.answers["fruits-landing"]
    assert attributes["SqsManagedSseEnabled"] == stack.answers["fruits-dead-letters"]["SqsManagedSseEnabled"] == "true"
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].endswith(":fruits-dead-letters")


def test_ec2_has_what_a_cluster_is_made_with_and_databricks_two_roles() -> None:
    more = {"Region", "BucketName", "AlarmTopicArn", "QueueUrl", "DeadLetterQueueUrl"}
    assert ec2().outputs.keys() == more | {
        "LogGroupName",
        "InstanceProfileArn",
        "ServiceRoleArn",
        "SecurityConfiguration",
    }
    roles = {"StreamRoleArn", "RefreshRoleArn", "StreamInstanceProfileArn", "RefreshInstanceProfileArn"}
    assert databricks().outputs.keys() == more | roles
    at_rest = ec2().properties["SecurityConfiguration"]["SecurityConfiguration"]["EncryptionConfiguration"]
    assert at_rest["AtRestEncryptionConfiguration"]["LocalDiskEncryptionConfiguration"]["EnableEbsEncryption"]


@each_stack
def test_names_begin_with_the_deployments_own_so_that_it_can_be_found(stack: Any) -> None:
    named = [
        value
        for properties in stack().properties.values()
        for name, value in properties.items()
        if name in {"RoleName", "QueueName", "TopicName", "AlarmName", "Name", "InstanceProfileName", "BucketName"}
    ]
    assert len(named) > 5
    assert all(name.startswith("fruits") for name in named)


@each_stack
def test_nothing_but_the_bucket_outlives_the_stack(stack: Any, template: dict[str, Any]) -> None:
    stays = {
        name for name in stack().resources if template["Resources"][name].get("DeletionPolicy", "Delete") != "Delete"
    }
    assert stays == {"Bucket"}


@each_stack
def test_what_is_stored_is_encrypted_and_not_public(stack: Any) -> None:
    bucket = stack().properties["Bucket"]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert encryption["BucketKeyEnabled"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert stack().answers["topic"]["KmsMasterKeyId"]
    for group in (properties for name, properties in stack().properties.items() if name == "Logs"):
        assert (bool(group["KmsKeyId"]), int(group["RetentionInDays"])) == (True, 30)


@each_stack
def test_no_lifecycle_rule_touches_state_or_tables(stack: Any) -> None:
    bucket = stack().properties["Bucket"]
    assert "VersioningConfiguration" not in bucket
    for rule in bucket["LifecycleConfiguration"]["Rules"]:
        if rule.keys() - {"Id", "Status", "AbortIncompleteMultipartUpload"}:
            assert rule["Prefix"] in {"landing/", "archive/"}


@pytest.mark.parametrize(
    ("stack", "expiring"),
    [(emr, {}), (cleaning, {"landing/": 30}), (archiving, {"archive/": 365})],
    ids=["unless asked", "landing", "archive"],
)
def test_photographs_expire_where_somebody_said_so(stack: Any, expiring: dict[str, int]) -> None:
    rules = stack().properties["Bucket"]["LifecycleConfiguration"]["Rules"]
    found = {rule["Prefix"]: int(rule["ExpirationInDays"]) for rule in rules if "ExpirationInDays" in rule}
    on = {rule.get("Prefix") for rule in rules if rule["Status"] == "Enabled"}
    assert {prefix: days for prefix, days in found.items() if prefix in on} == expiring


# ---- Who may do what ----

OWN = {
    "stream": {
        (READ, "landing/apple/1.jpg"),
        (READ, "artefacts/1.0/run.py"),
        *(
            (action, f"state/{name}")
            for action in (READ, WRITE, DELETE)
            for name in ("lease.json", "checkpoint/offsets/7")
        ),
        *((action, f"tables/{name}/x") for action in (READ, WRITE, DELETE) for name in ("features", "rejects")),
    },
    "refresh": {
        (READ, "artefacts/1.0/run.py"),
        (READ, "tables/features/_delta_log/0.json"),
        *((action, f"tables/{name}/x") for action in (READ, WRITE, DELETE) for name in ("reduced", "pca_models")),
        *(
            (action, f"state/{name}")
            for action in (READ, WRITE)
            for name in ("refresh-lease.json", "refresh-vacuumed.json")
        ),
        *((action, "state/statistics") for action in (READ, WRITE)),
    },
}
NOT_FOR = {
    "stream": {
        *((action, f"tables/{name}/x") for action in (READ, WRITE, DELETE) for name in ("reduced", "pca_models")),
        *((action, f"state/{name}") for action in (WRITE, DELETE) for name in ("refresh-lease.json", "statistics")),
        *((WRITE, key) for key in ("landing/apple/1.jpg", "artefacts/1.0/run.py", "archive/apple/1.jpg", "elsewhere")),
        *((DELETE, key) for key in ("landing/apple/1.jpg", "artefacts/1.0/run.py", "archive/apple/1.jpg")),
        (READ, "archive/apple/1.jpg"),
        (DELETE, "state/leases/20260101"),
        ("s3:DeleteObjectVersion", "landing/apple/1.jpg"),
        ("s3:PutObjectAcl", "tables/features/x"),
    },
    "refresh": {
        *((action, key) for action in (READ, WRITE, DELETE) for key in ("landing/apple/1.jpg", "archive/apple/1.jpg")),
        *((action, "tables/rejects/x") for action in (READ, WRITE, DELETE)),
        *((action, "tables/features/x") for action in (WRITE, DELETE)),
        *((action, "state/lease.json") for action in (WRITE, DELETE)),
        (DELETE, "state/leases/20260101"),
        *((action, "state/manifests/1") for action in (WRITE, DELETE)),
        # What tells whose keys the hashes are of.
        *((READ, f"state/{name}") for name in ("key-secret", "forgotten/secret", "manifests/1")),
        (WRITE, "artefacts/1.0/run.py"),
    },
}
BUCKET_WIDE = ("s3:PutBucketPolicy", "s3:DeleteBucket", "s3:PutLifecycleConfiguration", "s3:PutEncryptionConfiguration")


@pytest.mark.parametrize("job", ["stream", "refresh"])
def test_each_job_may_do_its_own_work_and_nothing_else(job: str) -> None:
    role = keeping().roles[job]
    assert role.allow(LIST, BUCKET)
    assert {(action, key) for action, key in OWN[job] if not role.allow(action, f"{BUCKET}/{key}")} == set()
    assert {(action, key) for action, key in NOT_FOR[job] if role.allow(action, f"{BUCKET}/{key}")} == set()
    assert not any(role.allow(action, BUCKET) for action in BUCKET_WIDE)
    assert not any(role.allow(action, f"{BUCKET}2/landing/1.jpg") for action in (READ, WRITE, DELETE))
    assert role.allow("sqs:DeleteMessage", QUEUE) is (job == "stream")
    assert not role.allow("sqs:SendMessage", QUEUE)
    assert not role.allow("sqs:PurgeQueue", QUEUE)
    assert not any(role.allow(action, "*") for action in ("iam:PassRole", "sts:AssumeRole", "kms:Decrypt"))


def test_databricks_jobs_have_the_same_rights_as_those_on_emr_and_a_cluster_has_both() -> None:
    for job in ("stream", "refresh"):
        for action, key in OWN[job]:
            assert databricks().roles[job].allow(action, f"{BUCKET}/{key}")
            assert ec2().roles["instance"].allow(action, f"{BUCKET}/{key}")
    instance = ec2().roles["instance"]
    assert not any(
        instance.allow(WRITE, f"{BUCKET}/{key}") for key in ("landing/1.jpg", "archive/1.jpg", "artefacts/x")
    )


@pytest.mark.parametrize(
    ("stack", "landing", "archive"),
    [(keeping, False, False), (cleaning, True, False), (archiving, True, False), (emr, True, True)],
)
def test_photographs_are_deleted_by_the_stream_alone_and_only_where_somebody_wants_it(
    stack: Any, landing: bool, archive: bool
) -> None:
    may = {name: role.allow(DELETE, f"{BUCKET}/landing/1.jpg") for name, role in stack().roles.items()}
    assert may == {name: landing and name == "stream" for name in may}
    may = {name: role.allow(DELETE, f"{BUCKET}/archive/1.jpg") for name, role in stack().roles.items()}
    assert may == {name: archive and name == "stream" for name in may}


def test_a_photograph_is_erased_as_it_was_wherever_it_lies() -> None:
    """What is deleted only as long as it is the same has to be readable as well."""
    for stack in (emr, ec2, databricks):
        role = stack().roles["instance" if stack is ec2 else "stream"]
        for key in ("landing/1.jpg", "archive/1.jpg"):
            assert role.allow(READ, f"{BUCKET}/{key}")
            assert role.allow(DELETE, f"{BUCKET}/{key}")


def test_the_archive_is_written_only_where_there_is_one() -> None:
    moves = {
        (READ, "archive/1"),
        (WRITE, "archive/1"),
        ("s3:PutObjectTagging", "archive/1"),
        ("s3:GetObjectTagging", "landing/1"),
    }
    for stack, may in ((keeping, False), (cleaning, False), (archiving, True)):
        assert {stack().roles["stream"].allow(action, f"{BUCKET}/{key}") for action, key in moves} == {may}


def rights_table() -> Iterator[tuple[str, str, str]]:
    """From docs/operations.md: the cleaning that a right is for, the right, and something that it is for."""
    text = OPERATIONS.read_text(encoding="utf-8").partition("## Rights")[2]
    rows = re.findall(r"^\| (.+?) \|$", text.partition("\n## ")[0], re.MULTILINE)
    places = {
        "the bucket": [BUCKET],
        "the queue": [QUEUE],
        "`landing/*`": [f"{BUCKET}/landing/1.jpg"],
        "`archive/*`": [f"{BUCKET}/archive/1.jpg"],
        "`state/*`, `tables/*`": [f"{BUCKET}/state/x", f"{BUCKET}/tables/features/x", f"{BUCKET}/tables/rejects/x"],
    }
    for row in rows[1:]:
        on, *columns = (cell.strip() for cell in row.split("|"))
        for clean, cell in zip(("off", "delete", "archive"), columns, strict=False):
            for action in re.findall(r"`((?:s3|sqs):\w+)`", cell):
                for place in places.get(on, []):
                    yield clean, action, place


def test_the_table_of_rights_and_the_template_say_the_same() -> None:
    stacks = {"off": keeping(), "delete": cleaning(), "archive": archiving()}
    table = list(rights_table())
    assert len(table) > 15
    for clean, stack in stacks.items():
        for action, place in {(action, place) for _, action, place in table}:
            listed = {("off", action, place), (clean, action, place)} & set(table)
            assert stack.roles["stream"].allow(action, place) is bool(listed), (clean, action, place)


@each_stack
def test_no_role_has_a_right_on_everything_but_those_known(stack: Any) -> None:
    wide = {
        (action, resource)
        for role in stack().roles.values()
        for action, resource in role.allowed()
        if action.endswith(":*") or re.search(r"^\*|:\*$", resource)
    }
    assert wide <= WIDE


@each_stack
def test_only_the_service_that_runs_a_role_may_assume_it_and_only_for_this_account(stack: Any) -> None:
    for name, trust in stack().trust.items():
        for statement in trust.statements:
            if statement["Principal"] == {"Service": "ec2.amazonaws.com"}:
                continue
            conditions = {key for keys in statement["Condition"].values() for key in keys}
            assert "aws:SourceAccount" in conditions, name
            assert "*" not in statement["Principal"].values()


def test_a_job_s_role_is_of_this_application_alone() -> None:
    trust = emr().trust["stream"]
    service, mine = "emr-serverless.amazonaws.com", {"aws__SourceAccount": ACCOUNT}
    (application,) = emr().answers["applications"]
    assert trust.allow("sts:AssumeRole", "*", service, aws__SourceArn=application["arn"], **mine)
    assert not trust.allow("sts:AssumeRole", "*", service, aws__SourceArn=f"{application['arn']}2", **mine)
    assert not trust.allow("sts:AssumeRole", "*", service)


def test_on_databricks_each_job_has_an_instance_profile_of_its_own_role() -> None:
    for job in ("stream", "refresh"):
        assert databricks().outputs[f"{job.capitalize()}InstanceProfileArn"].endswith(f"/fruits-{REGION}-{job}")
        assert databricks().properties[f"{job.capitalize()}InstanceProfile"]["Roles"] == [f"fruits-{REGION}-{job}"]
        assert databricks().trust[job].allow("sts:AssumeRole", "*", "ec2.amazonaws.com")


def test_the_schedule_may_start_the_refresh_as_the_refresh_and_no_other_role() -> None:
    role, (application,) = emr().roles["schedule"], emr().answers["applications"]
    serverless = {"iam__PassedToService": "emr-serverless.amazonaws.com"}
    assert role.allow("emr-serverless:StartJobRun", application["arn"])
    assert role.allow("iam:PassRole", emr().outputs["RefreshRoleArn"], **serverless)
    assert not role.allow("iam:PassRole", emr().outputs["StreamRoleArn"], **serverless)
    assert not role.allow("iam:PassRole", emr().outputs["RefreshRoleArn"], iam__PassedToService="ec2.amazonaws.com")
    assert not role.allow("emr-serverless:CancelJobRun", application["arn"])


@each_stack
def test_nobody_is_let_in_over_an_unencrypted_connection(stack: Any) -> None:
    answers = stack().answers
    s3 = Policies.of([{"Statement": [ALL, *answers["bucket policy"]["Statement"]]}])
    assert s3.allow(READ, f"{BUCKET}/landing/1.jpg", aws__SecureTransport="true", s3__TlsVersion="1.3")
    assert not s3.allow(READ, f"{BUCKET}/landing/1.jpg", aws__SecureTransport="false", s3__TlsVersion="1.3")
    assert not s3.allow(LIST, BUCKET, aws__SecureTransport="true", s3__TlsVersion="1.1")
    for name, action in (("fruits-landing", "sqs:ReceiveMessage"), ("fruits-dead-letters", "sqs:SendMessage")):
        sqs = Policies.of([{"Statement": [ALL, *json.loads(answers[name]["Policy"])["Statement"]]}])
        assert sqs.allow(action, answers[name]["QueueArn"], aws__SecureTransport="true")
        assert not sqs.allow(action, answers[name]["QueueArn"], aws__SecureTransport="false")
    sns = Policies.of([{"Statement": [ALL, *json.loads(answers["topic"]["Policy"])["Statement"]]}])
    assert not sns.allow("sns:Publish", TOPIC, aws__SecureTransport="false")


ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def test_only_this_bucket_fills_the_queue_and_only_this_account_s_alarms_the_topic() -> None:
    queue = Policies.of([json.loads(keeping().answers["fruits-landing"]["Policy"])])
    ask = ("sqs:SendMessage", QUEUE, "s3.amazonaws.com")
    assert queue.allow(*ask, aws__SourceAccount=ACCOUNT, aws__SourceArn=BUCKET)
    assert not queue.allow(*ask, aws__SourceAccount="999999999999", aws__SourceArn=BUCKET)
    assert not queue.allow(*ask, aws__SourceAccount=ACCOUNT, aws__SourceArn="arn:aws:s3:::another")
    topic = Policies.of([json.loads(keeping().answers["topic"]["Policy"])])
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:fruits-lag"
    ask = ("sns:Publish", TOPIC, "cloudwatch.amazonaws.com")
    assert topic.allow(*ask, aws__SourceAccount=ACCOUNT, aws__SourceArn=alarm)
    assert not topic.allow(*ask, aws__SourceAccount="999999999999", aws__SourceArn=alarm)
    # EventBridge says nothing of who asks: neither topic nor key may want to hear it.
    assert topic.allow("sns:Publish", TOPIC, "events.amazonaws.com")
    assert all("RoleArn" not in target for target in keeping().properties["Deaths"]["Targets"])
    key = Policies.of([keeping().properties["Key"]["KeyPolicy"]])
    use = ("kms:GenerateDataKey*", "*", "events.amazonaws.com")
    assert key.allow(*use, kms__EncryptionContext__aws__sns__topicArn=TOPIC)
    assert not key.allow(*use, kms__EncryptionContext__aws__sns__topicArn=f"{TOPIC}-of-others")


# ---- What runs by itself ----


def scheduled(stack: Stack) -> tuple[dict[str, Any], list[str]]:
    """The request that the scheduler makes, and the settings in it."""
    (schedule,) = stack.answers["schedules"]
    request = json.loads(schedule["Target"]["Input"])
    arguments = request["JobDriver"]["SparkSubmit"]["EntryPointArguments"]
    assert arguments[0] == "refresh"
    return request, refresh.make_context("refresh", list(arguments[1:])).params["overrides"]


def test_the_scheduler_asks_for_what_emr_serverless_knows_and_fruits_refresh_takes() -> None:
    stack = told()
    request, overrides = scheduled(stack)
    shape = client_of("emr-serverless", REGION).meta.service_model.operation_model("StartJobRun").input_shape
    asked = spelled(shape, request)
    validate_parameters(asked, shape)
    assert asked["executionRoleArn"] == stack.outputs["RefreshRoleArn"]
    assert asked["applicationId"] == stack.outputs["ApplicationId"]
    assert asked["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"] == "--conf a=b,c"
    program = f"s3://{stack.outputs['BucketName']}/artefacts/1.0-abc/run.py"
    assert asked["jobDriver"]["sparkSubmit"]["entryPoint"] == program
    settings = load("aws", overrides)
    assert (settings.storage.bucket, settings.storage.region) == (stack.outputs["BucketName"], REGION)
    assert (settings.pca.k, settings.tables.keep_days) == (50, 2)


def test_it_is_on_when_somebody_said_so_and_there_is_something_to_run() -> None:
    assert [each["State"] for each in emr().answers["schedules"]] == ["ENABLED"]
    assert [each["State"] for each in told().answers["schedules"]] == ["DISABLED"]
    assert keeping().answers["schedules"] == []


# ---- What tells ----


def picked(line: dict[str, Any], selector: str) -> Any:
    for name in selector.removeprefix("$.").split("."):
        line = line.get(name, {})
    return line


def test_metrics_come_from_the_line_that_a_stream_writes() -> None:
    now = datetime.now(UTC)
    batch = BatchReport(
        **{"batch_id": 7, "manifest": 8, "features": 40, "rejects": {"gone": 2, "replaced": 3, "corrupt": 4}},
        **{
            "bytes": 9,
            "decodes": 42,
            "featurize_s": 2.0,
            "commit_s": 1.0,
            "committed_at": now,
            "oldest": now,
            "stages": {},
        },
    )
    line = json.loads(as_line(describe(batch, {}, 0)))
    found = {}
    for each in emr().answers["filters"]:
        (transformation,) = each["metricTransformations"]
        (condition,) = re.findall(r"^\{ (\$[\w.]+) >=? 0 \}$", each["filterPattern"])
        assert isinstance(picked(line, condition), int | float)
        found[transformation["metricName"]] = picked(line, transformation["metricValue"])
    names = ("objects", "features", "gone", "replaced", "oldest-age")
    assert found == {f"fruits-{name}": value for name, value in zip(names, (49, 40, 2, 3, 0.0), strict=True)}


@pytest.mark.parametrize(
    ("stack", "names"),
    [
        (emr, {"lag", "rejects", "stopped"}),
        (keeping, {"lag", "rejects", "stopped", "waiting"}),
        (ec2, {"lag", "rejects", "waiting"}),
        (databricks, {"waiting"}),
    ],
)
def test_alarms_look_at_metrics_that_there_are_and_tell_the_topic(stack: Any, names: set[str]) -> None:
    ours = {
        transformation["metricName"]
        for f in stack().answers["filters"]
        for transformation in f["metricTransformations"]
    }
    alarms = stack().answers["alarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == {f"fruits-{name}" for name in names}
    for alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
        queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for metric in queries or [alarm]:
            assert metric["Namespace"].startswith("AWS/") or metric["MetricName"] in ours


def test_operations_explain_each_alarm() -> None:
    explained = OPERATIONS.read_text(encoding="utf-8").partition("### Alarms on AWS")[2].partition("\n## ")[0]
    names = {alarm["AlarmName"] for make in STACKS for alarm in make().answers["alarms"]}
    assert set(re.findall(r"^\| `(fruits-\w+)`", explained, re.MULTILINE)) == names


def test_a_stream_that_died_and_a_stream_that_nobody_started_are_told() -> None:
    (rule,) = emr().answers["rules"]
    pattern = json.loads(rule["EventPattern"])
    assert pattern["source"] == ["aws.emr-serverless"]
    assert pattern["detail"] == {"applicationId": [emr().outputs["ApplicationId"]], "state": ["FAILED"]}
    (stopped,) = [alarm for alarm in emr().answers["alarms"] if alarm["AlarmName"] == "fruits-stopped"]
    assert stopped["TreatMissingData"] == "breaching"


def test_costs_are_told_of_the_whole_account_unless_nobody_wants_it() -> None:
    (budget,) = emr().answers["budgets"]
    assert (float(budget["BudgetLimit"]["Amount"]), budget["BudgetLimit"]["Unit"]) == (20, "USD")
    assert not budget.get("CostFilters")
    assert told().answers["budgets"] == []
    assert [each["Endpoint"] for each in emr().answers["subscriptions"]] == ["someone@example.org"]
    assert keeping().answers["subscriptions"] == []
