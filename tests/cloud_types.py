"""Teaches moto's CloudFormation the types of deploy/fruits.yaml that it does not know: each is a call to its service.

The calls go through boto3, which refuses what the service does not have. To be used within `mock_aws`.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.cloudformation import parsing
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.common_models import CloudFormationModel

Properties = dict[str, Any]
# Service, operation, and how it is asked.
Call = tuple[str, str, Properties]
Calling = Callable[[str, Properties], Call | None]

_taught: dict[str, type[CloudFormationModel]] = {}
"""moto finds them for as long as somebody holds them."""


def teach() -> None:
    """Do so, once a process."""
    if _taught:
        return
    _teach(
        "AWS::S3::BucketPolicy", lambda _, p: ("s3", "put_bucket_policy", {"Bucket": p["Bucket"], "Policy": _policy(p)})
    )
    _teach(
        "AWS::SQS::QueuePolicy",
        lambda _, p: (
            "sqs",
            "set_queue_attributes",
            {"QueueUrl": p["Queues"][0], "Attributes": {"Policy": _policy(p)}},
        ),
    )
    _teach(
        "AWS::SNS::TopicPolicy",
        lambda _, p: (
            "sns",
            "set_topic_attributes",
            {"TopicArn": p["Topics"][0], "AttributeName": "Policy", "AttributeValue": _policy(p)},
        ),
    )
    _teach("AWS::SNS::Subscription", lambda _, p: ("sns", "subscribe", p))
    _teach(
        "AWS::CloudWatch::Alarm",
        lambda _, p: ("cloudwatch", "put_metric_alarm", p),
        lambda name: ("cloudwatch", "delete_alarms", {"AlarmNames": [name]}),
        identified=lambda p, _: p["AlarmName"],
    )
    _teach("AWS::Logs::MetricFilter", lambda name, p: ("logs", "put_metric_filter", {"FilterName": name, **p}))
    account = {"AccountId": DEFAULT_ACCOUNT_ID}
    _teach(
        "AWS::Budgets::Budget",
        lambda _, p: ("budgets", "create_budget", account | p),
        lambda name: ("budgets", "delete_budget", account | {"BudgetName": name}),
        update=lambda _, p: None,
        identified=lambda p, _: p["Budget"]["BudgetName"],
    )
    _teach(
        "AWS::Scheduler::Schedule",
        lambda _, p: ("scheduler", "create_schedule", p),
        lambda name: ("scheduler", "delete_schedule", {"Name": name}),
        update=lambda _, p: ("scheduler", "update_schedule", p),
        identified=lambda p, _: p["Name"],
    )
    _teach(
        "AWS::EMRServerless::Application",
        lambda _, p: ("emr-serverless", "create_application", _application(p)),
        lambda id: ("emr-serverless", "delete_application", {"applicationId": id}),
        update=lambda _, p: None,
        identified=lambda _, answer: answer["applicationId"],
        attributes={"Arn": "arn", "ApplicationId": "applicationId"},
    )
    # A stack that somebody made in this process before has made moto remember those that there were.
    for remembered in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        remembered.cache_clear()


def _teach(
    name: str,
    create: Calling,
    delete: Callable[[str], Call | None] = lambda _: None,
    update: Calling | None = None,
    identified: Callable[[Properties, Properties], str] | None = None,
    attributes: dict[str, str] | None = None,
) -> None:
    class Taught(CloudFormationModel):
        def __init__(self, id: str, answer: Properties) -> None:
            self.id, self.answer = id, answer

        @property
        def physical_resource_id(self) -> str:
            return self.id

        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @staticmethod
        def cloudformation_type() -> str:
            return name

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr in (attributes or {})

        def get_cfn_attribute(self, attribute_name: str) -> Any:
            return self.answer[(attributes or {})[attribute_name]]

        @classmethod
        def create_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
        ) -> Any:
            asked = cloudformation_json["Properties"]
            answer = _make(region_name, create(resource_name, asked))
            return cls(identified(asked, answer) if identified else resource_name, answer)

        @classmethod
        def update_from_cloudformation_json(
            cls,
            original_resource: Any,
            new_resource_name: str,
            cloudformation_json: Any,
            account_id: str,
            region_name: str,
        ) -> Any:
            _make(region_name, (update or create)(original_resource.id, cloudformation_json["Properties"]))
            return original_resource

        @classmethod
        def delete_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
        ) -> None:
            # By what it is called alone: of a stack that is deleted, moto does not fill the properties in.
            _make(region_name, delete(resource_name))

        def is_created(self) -> bool:
            return True

    _taught[name] = Taught


def _policy(properties: Properties) -> str:
    return json.dumps(properties["PolicyDocument"])


def _application(properties: Properties) -> Properties:
    """As the API wants it, which has a map where the template has pairs. moto knows no release after emr-7."""
    monitoring = properties["MonitoringConfiguration"]
    logging = dict(monitoring["CloudWatchLoggingConfiguration"])
    logging["LogTypes"] = {pair["Key"]: pair["Value"] for pair in logging.pop("LogTypeMap")}
    told = properties | {"MonitoringConfiguration": monitoring | {"CloudWatchLoggingConfiguration": logging}}
    return told | {"ReleaseLabel": "emr-7.0.0"}


@cache
def client_of(service: str, region: str) -> Any:
    """Making one takes longer than all that is asked of it."""
    return boto3.Session().client(service, region_name=region)  # type: ignore[call-overload]


def _make(region: str, call: Call | None) -> Properties:
    if call is None:
        return {}
    service, operation, asked = call
    client = client_of(service, region)
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
    answer: Properties = getattr(client, operation)(**spelled(shape, asked))
    return answer


def spelled(shape: Shape, value: Any) -> Any:
    """As the service has it: parameters of a stack are text, and names of some services begin with a small letter."""
    if isinstance(shape, StructureShape):
        members = {name.lower(): (name, member) for name, member in shape.members.items()}
        given = [(members.get(name.lower(), (name, None)), below) for name, below in value.items() if below is not None]
        return {name: below if member is None else spelled(member, below) for (name, member), below in given}
    if isinstance(shape, ListShape):
        return [spelled(shape.member, below) for below in value]
    if isinstance(shape, MapShape):
        return {name: spelled(shape.value, below) for name, below in value.items()}
    if shape.type_name == "boolean":
        return value in (True, "true")
    number = {"integer": int, "long": int, "float": float, "double": float, "string": str}.get(shape.type_name)
    return number(value) if number else value
