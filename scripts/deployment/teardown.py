"""From what is deployed to nothing that costs: each step looks at what is there first, and a look around ends it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from conf.errors import CloudError
from scripts.deployment import buckets, ec2, emr
from scripts.deployment import stack as stacks
from scripts.deployment.buckets import Data
from scripts.deployment.deployment import account_of
from scripts.deployment.stack import TAG, Stack, nothing
from scripts.deployment.steps import Cloud


@dataclass(frozen=True)
class Left:
    """A kind of thing that was looked for, and which of it are still there."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Undeployed:
    """What is left after all."""

    name: str
    region: str
    looked: tuple[Left, ...]
    kept: Data | None
    """The bucket, where its data was to stay."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left but what was to stay."""
        return all(not left.names for left in self.looked)


def bucket_of(cloud: Cloud, name: str) -> str:
    """The bucket of a deployment, also of one whose stack is gone."""
    stack = stacks.find(cloud, name)
    return (stack and stack.bucket) or f"{name}-{account_of(cloud)}-{cloud.region}"


def undeploy(
    cloud: Cloud,
    name: str,
    bucket: str,
    *,
    delete_data: bool,
    end_elsewhere: Callable[[Stack], None] = nothing,
) -> Undeployed:
    """Take a deployment away: what runs, then the stack, then, if so told, the data; and look that nothing is left.

    Parameters
    ----------
    cloud
    name
    bucket
    delete_data
    end_elsewhere
        Ends the jobs of a stack that AWS does not run.

    Raises
    ------
    CloudError
        Where stack or bucket are not the deployment's; or where AWS refuses or fails a step. Run again, it goes on
        where it was.
    """
    stack = stacks.settled(cloud, name)
    if stack and stack.is_there and stack.tags.get(TAG) != name:
        raise CloudError(
            f"The stack {name} in {cloud.region} is not one that `fruits deploy` has made: it stays. "
            "Look at --name and --region."
        )
    # What a stack was only to have may be anybody's.
    is_own = stack is not None and bucket == stack.outputs.get("BucketName")
    if delete_data and not is_own and buckets.is_there(cloud, bucket) and not buckets.is_of(cloud, bucket, name):
        raise CloudError(
            f"The bucket {bucket} is not the deployment's: it is not in the stack {name}, nor does it bear the tag "
            f"{TAG}={name}. Nothing was deleted. Look at --bucket, --name and --region."
        )
    if stack:
        _pause(cloud, name, stack)
    if stack and stack.parameters.get("Platform") == "databricks":
        end_elsewhere(stack)
    ec2.end(cloud, ec2.active(cloud, name))
    if stack and "ApplicationId" in stack.outputs:
        emr.stop(cloud, stack.outputs["ApplicationId"])
    if stack:
        cloud.tell("Deleting the stack")
        stacks.delete(cloud, name)
    # Only now does nothing write to it any more.
    if delete_data:
        buckets.delete(cloud, bucket)
    kept = None if delete_data else buckets.data_of(cloud, bucket)
    cloud.tell("Looking for what is left")
    looked = tuple(_left(cloud, name, bucket, is_kept=kept is not None))
    return Undeployed(name, cloud.region, looked, kept)


def _pause(cloud: Cloud, name: str, stack: Stack) -> None:
    """Have the schedule start nothing more: an application starts with a job, and can then not be deleted."""
    if stack.is_there and stack.status.endswith("_COMPLETE") and stack.parameters.get("RefreshEnabled") == "true":
        cloud.tell("Ending the schedule")
        body = cloud.ask("cloudformation", "get_template", StackName=name)["TemplateBody"]
        # Where that fails the deletion may do, and else says why not.
        with suppress(CloudError):
            stacks.ensure(cloud, name, body, {"RefreshEnabled": "false"})


def _left(cloud: Cloud, name: str, bucket: str, *, is_kept: bool) -> Iterator[Left]:
    """Whatever AWS lists of this deployment, kind by kind, by name and then by tag."""

    def named(service: str, operation: str, member: str, field: str | None, **asked: Any) -> tuple[str, ...]:
        found = cloud.listed(service, operation, member, **asked)
        names = [item[field] if field else item for item in found]
        return tuple(one for one in names if _is_ours(one.rpartition(":")[2].rpartition("/")[2], name))

    applications = cloud.listed("emr-serverless", "list_applications", "applications")
    yield Left(
        "EMR Serverless applications",
        tuple(
            one["id"] for one in applications if _is_ours(one.get("name", ""), name) and one["state"] != "TERMINATED"
        ),
    )
    yield Left("EMR clusters", tuple(ec2.active(cloud, name)))
    yield Left("S3 buckets", () if is_kept or not buckets.is_there(cloud, bucket) else (bucket,))
    yield Left("SQS queues", named("sqs", "list_queues", "QueueUrls", None, QueueNamePrefix=name))
    yield Left("SNS topics", named("sns", "list_topics", "Topics", "TopicArn"))
    yield Left("schedules", named("scheduler", "list_schedules", "Schedules", "Name", NamePrefix=name))
    yield Left("alarms", named("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName", AlarmNamePrefix=name))
    groups = cloud.listed("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=f"/fruits/{name}")
    yield Left("log groups", tuple(one["logGroupName"] for one in groups if one["logGroupName"] == f"/fruits/{name}"))
    yield Left("anything else that bears its tag", tuple(_tagged(cloud, name, bucket if is_kept else None)))


def _tagged(cloud: Cloud, name: str, kept: str | None) -> Iterator[str]:
    """What AWS still lists under the deployment's tag; it does so for a while of some things that are gone."""
    asked = [{"Key": TAG, "Values": [name]}]
    for one in cloud.listed("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=asked):
        arn = one["ResourceARN"]
        # Ended jobs and clusters stay in lists, and cost nothing.
        if arn.endswith(f":s3:::{kept}") or "/jobruns/" in arn or ":cluster/" in arn or _is_ending(cloud, arn):
            continue
        yield arn


def _is_ending(cloud: Cloud, arn: str) -> bool:
    """Whether it is a key that waits for its deletion, which takes days and costs nothing."""
    if ":kms:" not in arn:
        return False
    key = cloud.ask("kms", "describe_key", KeyId=arn)["KeyMetadata"]
    return bool(key["KeyState"] == "PendingDeletion")


def _is_ours(one: str, name: str) -> bool:
    """Whether a thing's name is the deployment's, or begins with that and a dash."""
    return one == name or one.startswith(f"{name}-")
