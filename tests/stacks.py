"""Stacks of deploy/fruits.yaml as moto makes them: what is there afterwards, by asking the services."""

import ast
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from moto import mock_aws
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json

from tests.cloud_types import client_of, teach
from tests.policies import Policies

TEMPLATE = Path(__file__).parent.parent / "deploy" / "fruits.yaml"
REGION, ACCOUNT = "eu-west-1", "123456789012"
BUCKET = f"arn:aws:s3:::fruits-{ACCOUNT}-{REGION}"


@dataclass(frozen=True)
class Stack:
    """What somebody finds who asks."""

    resources: Mapping[str, str]
    """Types by the template's names."""
    properties: Mapping[str, Any]
    """By the same names: what was asked for, with nothing left to be filled in."""
    outputs: Mapping[str, str]
    roles: Mapping[str, Policies]
    """By the last word of the role's name."""
    trust: Mapping[str, Policies]
    """Who may assume them."""
    answers: Mapping[str, Any]
    """Of the services, by what was asked."""


@cache
def created(*parameters: str) -> Stack:
    """A stack with parameters, each as `Name=value`; it is gone when this returns."""
    with cloud():
        client = client_of("cloudformation", REGION)
        pairs = [parameter.partition("=") for parameter in parameters]
        client.create_stack(
            StackName="fruits",
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, _, value in pairs],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        found = client.describe_stack_resources(StackName="fruits")["StackResources"]
        (stack,) = client.describe_stacks(StackName="fruits")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        names = [role["RoleName"] for role in client_of("iam", REGION).list_roles()["Roles"]]
        # moto tells of those that a condition left out, too, without a name.
        resources = {each["LogicalResourceId"]: each["ResourceType"] for each in found if "ResourceType" in each}
        return Stack(
            resources=resources,
            properties=_properties(resources),
            outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
            roles={name.rpartition("-")[2]: Policies.of(_policies(name)) for name in names},
            trust={name.rpartition("-")[2]: Policies.of([_trust(name)]) for name in names},
            answers=dict(_answers(f"fruits-{ACCOUNT}-{REGION}")),
        )


@contextmanager
def cloud() -> Iterator[None]:
    """AWS as moto has it, with every type of the template."""
    teach()
    nobody = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
    with patch.dict("os.environ", nobody), mock_aws(), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _properties(names: Iterable[str]) -> dict[str, Any]:
    (stack,) = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    return {
        name: clean_json(stack.template_dict["Resources"][name], stack.resource_map)["Properties"] for name in names
    }


def _policies(role: str) -> Iterator[Mapping[str, Any]]:
    iam = client_of("iam", REGION)
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        # Those of the type AWS::IAM::Policy moto keeps as Python would print them.
        yield ast.literal_eval(document) if isinstance(document, str) else document


def _trust(role: str) -> Mapping[str, Any]:
    document: Any = client_of("iam", REGION).get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    # It is about the role itself, and says so by saying nothing.
    return {"Statement": [{"Resource": "*", **statement} for statement in document["Statement"]]}


def _answers(bucket: str) -> Iterator[tuple[str, Any]]:
    s3, sqs = client_of("s3", REGION), client_of("sqs", REGION)
    yield "bucket policy", json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    for url in sqs.list_queues()["QueueUrls"]:
        yield url.rpartition("/")[2], sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    (topic,) = client_of("sns", REGION).list_topics()["Topics"]
    yield "topic", client_of("sns", REGION).get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]
    yield "subscriptions", client_of("sns", REGION).list_subscriptions()["Subscriptions"]
    yield (
        "schedules",
        [
            client_of("scheduler", REGION).get_schedule(Name=each["Name"])
            for each in client_of("scheduler", REGION).list_schedules()["Schedules"]
        ],
    )
    yield "filters", client_of("logs", REGION).describe_metric_filters()["metricFilters"]
    yield "groups", client_of("logs", REGION).describe_log_groups()["logGroups"]
    yield "alarms", client_of("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
    yield "rules", client_of("events", REGION).list_rules()["Rules"]
    yield "applications", client_of("emr-serverless", REGION).list_applications()["applications"]
    yield "budgets", client_of("budgets", REGION).describe_budgets(AccountId=ACCOUNT)["Budgets"]
