"""A deployment on Databricks: its stack by AWS, its jobs by the bundle."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.deployment import databricks
from scripts.deployment.deployment import ensure_stack, place, take_in
from scripts.deployment.plan import Plan
from scripts.deployment.steps import Cloud


def outputs(cloud: Cloud, plan: Plan) -> Mapping[str, str]:
    """What the stack, made as planned, tells."""
    there = place(cloud, plan)
    take_in(cloud, plan, there, {})
    return ensure_stack(cloud, plan, there.bucket, {}).outputs


def commands(plan: Plan, told: Mapping[str, str], always_on: bool) -> list[list[str]]:
    """What Databricks' command line is asked."""
    return databricks.deployment(
        databricks.variables(plan.name, plan.region, plan.workers.most, told), always_on=always_on
    )


def deploy(plan: Plan, told: Mapping[str, str], files: Iterable[Path], folder: Path, always_on: bool) -> None:
    """Put the bundle together and deploy it."""
    databricks.run(commands(plan, told, always_on), databricks.stage(folder, files))


def remove(name: str, region: str, told: Mapping[str, str], folder: Path) -> None:
    """Take both jobs away, of whichever target: of one that is not deployed the command line says so, and no more."""
    values = databricks.variables(name, region, 1, told)
    for always_on in (False, True):
        databricks.run(databricks.removal(values, always_on=always_on), databricks.stage(folder, ()))


def shown(plan: Plan, told: Mapping[str, str]) -> str:
    """What was deployed, and what is still to be done by hand."""
    profiles = [told["StreamInstanceProfileArn"], told["RefreshInstanceProfileArn"]]
    store = f"FRUITS_STORAGE__BUCKET={told['BucketName']} FRUITS_STORAGE__REGION={plan.region}"
    return "\n".join(
        [
            f"Deployed {plan.name} onto Databricks, with the bucket {told['BucketName']} in {plan.region}.",
            "Once, unless you have done so: let the workspace use the instance profiles (docs/emr_setup.md):",
            *(f"  databricks instance-profiles add {profile}" for profile in profiles),
            "Next:",
            f"  export FRUITS_PROFILE=aws {store}",
            "  fruits drop photos/",
            "  fruits status",
            f"  fruits undeploy --name {plan.name} --region {plan.region}",
        ]
    )
