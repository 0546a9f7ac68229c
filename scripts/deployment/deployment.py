"""From a plan to a stream that runs. Each step looks at what is there first, so that a run goes on where one ended."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from conf.errors import CloudError, SettingsError
from scripts.deployment import stack as stacks
from scripts.deployment.costs import machines
from scripts.deployment.plan import Deployed, Plan, Running
from scripts.deployment.stack import Before, Stack, nothing
from scripts.deployment.steps import Cloud
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


def deploy(cloud: Cloud, platform: Platform, plan: Plan, build: Callable[[], Built]) -> Deployed:
    """Deploy, or bring what is deployed to the plan.

    Raises
    ------
    CloudError
        Where AWS refuses or fails a step. What was done stays, and is not done again.
    """
    account, bucket = place(cloud, plan)
    built = build()
    told, make_way = platform.parameters(plan), partial(platform.make_way, cloud)
    # The refresh's schedule goes on with what it has, or is not made yet, until what it is to run is there.
    stack = ensure_stack(cloud, plan, bucket, told, make_way)
    check_bucket(cloud, bucket)
    upload(cloud, bucket, built.version, built.files)
    running = platform.run(cloud, plan, stack, built.version)
    if scheduled := platform.scheduled(plan, bucket, built.version):
        stack = ensure_stack(cloud, plan, bucket, told | scheduled, make_way)
    remove_others(cloud, bucket, built.version)
    cost = machines(plan.platform, plan.workers)
    return Deployed(
        name=plan.name,
        platform=plan.platform,
        region=plan.region,
        account=account,
        bucket=bucket,
        version=built.version,
        running=running,
        refresh=f"every {plan.refresh_every}" if scheduled or plan.stays_up else "once, at the end",
        logs=stack.outputs.get("LogGroupName", ""),
        usd_per_hour=(cost.idle, cost.full),
    )


def place(cloud: Cloud, plan: Plan) -> tuple[str, str]:
    """The account that asks, and the bucket's name, which is free or ours.

    Raises
    ------
    SettingsError
        Where the plan has a parameter that the template has not.
    CloudError
        Where there are no credentials, or the bucket is not ours.
    """
    known = stacks.takes(stacks.template())
    if unknown := set(plan.parameters) - known:
        raise SettingsError(
            f"The template has no parameter {', '.join(sorted(unknown))}. It has {', '.join(sorted(known))}."
        )
    account = account_of(cloud)
    bucket = plan.bucket or f"{plan.name}-{account}-{plan.region}"
    check_bucket(cloud, bucket)
    return account, bucket


def ensure_stack(cloud: Cloud, plan: Plan, bucket: str, told: Mapping[str, str], make_way: Before = nothing) -> Stack:
    """The stack as planned; `told` is the platform's part."""
    wanted = parameters(plan, bucket) | dict(told) | dict(plan.parameters)
    return stacks.ensure(cloud, plan.name, stacks.template(), wanted, make_way)


def account_of(cloud: Cloud) -> str:
    """The account that the credentials are of."""
    cloud.tell("Asking AWS whose credentials these are")
    account: str = cloud.ask("sts", "get_caller_identity")["Account"]
    return account


def check_bucket(cloud: Cloud, bucket: str) -> None:
    """Make sure that a bucket, where there is one of that name, is ours and lies in this region.

    Raises
    ------
    CloudError
        Where it is somebody else's, or elsewhere.
    """
    try:
        region = cloud.ask("s3", "head_bucket", Bucket=bucket).get("BucketRegion", cloud.region)
    except CloudError as error:
        if error.code in {"404", "NoSuchBucket"}:
            return
        if error.code in {"403", "AccessDenied"}:
            raise CloudError(
                f"There is a bucket {bucket} that these credentials may not see: it may be another account's, as the "
                "names of buckets are worldwide. Choose another --name, or --set storage.bucket=…."
            ) from None
        if error.code != "301":
            raise
        region = "another region"
    if region != cloud.region:
        raise CloudError(
            f"The bucket {bucket} is in {region}, not in {cloud.region}. Choose another, or give its --region."
        )


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
