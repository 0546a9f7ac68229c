"""From a plan to a stream that runs. Each step looks at what is there first, so that a run goes on where one ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from conf.errors import CloudError, SettingsError
from scripts.deployment import buckets
from scripts.deployment import stack as stacks
from scripts.deployment.costs import machines
from scripts.deployment.plan import Deployed, Plan, Running
from scripts.deployment.stack import TAG, Before, Stack, nothing
from scripts.deployment.steps import Cloud
from scripts.deployment.templates import naming, takes, taking_in, template
from scripts.deployment.uploads import remove_others, upload


class Built(Protocol):
    """What is uploaded: files, and the name of the folder they go to."""

    @property
    def version(self) -> str: ...
    @property
    def files(self) -> Sequence[Path]: ...


class Platform(Protocol):
    """What differs between platforms, as functions of a module."""

    def parameters(self, plan: Plan) -> dict[str, str]: ...
    def scheduled(self, plan: Plan, bucket: str, version: str) -> dict[str, str]: ...
    def make_way(self, cloud: Cloud, stack: Stack, changes: Sequence[Mapping[str, Any]]) -> None: ...
    def run(self, cloud: Cloud, plan: Plan, stack: Stack, version: str) -> Running: ...
    def entry_points(self, cloud: Cloud, stack: Stack) -> list[str]: ...


def deploy(cloud: Cloud, platform: Platform, plan: Plan, build: Callable[[], Built]) -> Deployed:
    """Deploy, or bring what is deployed to the plan.

    Raises
    ------
    CloudError
        Where AWS refuses or fails a step. What was done stays, and is not done again.
    """
    there = place(cloud, plan)
    bucket = there.bucket
    built = build()
    told, make_way = platform.parameters(plan), partial(platform.make_way, cloud)
    # The refresh's schedule goes on with what it has, or is not made yet, until what it is to run is there.
    take_in(cloud, plan, there, told)
    stack = ensure_stack(cloud, plan, bucket, told, make_way)
    upload(cloud, bucket, built.version, built.files)
    running = platform.run(cloud, plan, stack, built.version)
    if scheduled := platform.scheduled(plan, bucket, built.version):
        stack = ensure_stack(cloud, plan, bucket, told | scheduled, make_way)
    # A refresh that the schedule has started goes on with what it was started with.
    remove_others(cloud, bucket, built.version, platform.entry_points(cloud, stack))
    cost = machines(plan.platform, plan.workers)
    return Deployed(
        name=plan.name,
        platform=plan.platform,
        region=plan.region,
        account=there.account,
        bucket=bucket,
        version=built.version,
        running=running,
        refresh=f"every {plan.refresh_every}" if scheduled or plan.stays_up else "once, at the end",
        logs=stack.outputs.get("LogGroupName", ""),
        usd_per_hour=(cost.idle, cost.full),
    )


@dataclass(frozen=True)
class Place:
    """Where a deployment goes."""

    account: str
    bucket: str
    is_kept: bool
    """Whether the bucket is there and in no stack, as `fruits undeploy` leaves it."""


def place(cloud: Cloud, plan: Plan) -> Place:
    """Where the plan leads to, if nothing there is in its way.

    Raises
    ------
    SettingsError
        Where the plan has a parameter that the template has not, or the deployment is another than planned.
    CloudError
        Where there are no credentials, or the bucket is not ours.
    """
    known = takes(template())
    if unknown := set(plan.parameters) - known:
        raise SettingsError(
            f"The template has no parameter {', '.join(sorted(unknown))}. It has {', '.join(sorted(known))}."
        )
    if ours := set(plan.parameters) & parameters(plan, "").keys():
        raise SettingsError(
            f"{', '.join(sorted(ours))}: that follows from the other options and the settings. Leave out --parameter."
        )
    account = account_of(cloud)
    bucket = plan.bucket or f"{plan.name}-{account}-{plan.region}"
    stack = stacks.settled(cloud, plan.name)
    made = stack if stack and stack.is_there else None
    if made:
        _check_kind(plan, made, bucket)
    is_kept = buckets.is_there(cloud, bucket) and not made
    if is_kept and not buckets.is_of(cloud, bucket, plan.name):
        raise CloudError(
            f"There is a bucket {bucket} that is not of this deployment: it does not bear the tag {TAG}={plan.name}. "
            "Choose another --name, or --set storage.bucket=…; or give it that tag, if it is to become this "
            "deployment's: its lifecycle rules, its notifications and its policy then become those of the template."
        )
    return Place(account, bucket, is_kept)


def _check_kind(plan: Plan, made: Stack, bucket: str) -> None:
    """Make sure that what is deployed under the name can become what is planned.

    Raises
    ------
    SettingsError
        Where it is on another platform, whose jobs would go on, or has another bucket, which would be lost sight of.
    """
    has = {"on the platform": made.parameters.get("Platform"), "with the bucket": made.bucket}
    wants = {"on the platform": plan.platform, "with the bucket": bucket}
    for what, value in has.items():
        if value and value != wants[what]:
            raise SettingsError(
                f"There is a deployment {plan.name} in {plan.region} {what} {value}, not {wants[what]}. Choose another "
                f"--name; or take it away first, `fruits undeploy --name {plan.name} --region {plan.region}`, which "
                "ends what runs and keeps the bucket with all data, and then run this again."
            )


def take_in(cloud: Cloud, plan: Plan, there: Place, told: Mapping[str, str]) -> None:
    """Make the stack with a bucket that was kept, as the bucket is; what the template says of it comes after that."""
    if there.is_kept:
        cloud.tell("Taking in the bucket that was kept")
        # Else it would go on telling a queue of what lands, where that is not wanted any more.
        cloud.ask("s3", "put_bucket_notification_configuration", Bucket=there.bucket, NotificationConfiguration={})
        stacks.ensure(cloud, plan.name, taking_in(there.bucket), _wanted(plan, there.bucket, told))


def ensure_stack(cloud: Cloud, plan: Plan, bucket: str, told: Mapping[str, str], make_way: Before = nothing) -> Stack:
    """The stack as planned; `told` is the platform's part."""
    return stacks.ensure(cloud, plan.name, naming(bucket), _wanted(plan, bucket, told), make_way)


def _wanted(plan: Plan, bucket: str, told: Mapping[str, str]) -> dict[str, str]:
    return parameters(plan, bucket) | dict(told) | dict(plan.parameters)


def account_of(cloud: Cloud) -> str:
    """The account that the credentials are of."""
    cloud.tell("Asking AWS whose credentials these are")
    account: str = cloud.ask("sts", "get_caller_identity")["Account"]
    return account


def parameters(plan: Plan, bucket: str) -> dict[str, str]:
    """What the template is told on any platform."""
    return {
        "Name": plan.name,
        "BucketName": bucket,
        "Platform": plan.platform,
        "RefreshSchedule": f"rate({plan.refresh_every})",
        "MonthlyBudget": str(plan.budget),
        "AlarmEmail": plan.email,
        "Clean": plan.clean,
        "OutsideEuBecause": plan.outside_eu_because,
    }
