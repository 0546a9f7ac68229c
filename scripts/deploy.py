"""`fruits deploy`: all of it onto a platform, by one command."""

import importlib
from typing import TYPE_CHECKING, Any, cast

import click

from conf.errors import SetupError
from scripts.deployment.options import confirm, on_aws, plan, rehearse, takes_plan, takes_stack
from scripts.session import HOME, say

if TYPE_CHECKING:
    from scripts.deployment.artefacts import Artefacts
    from scripts.deployment.plan import Plan


@click.group(name="deploy")
def command() -> None:
    """Put all of it onto AWS: bucket, rights, alarms, the stream and its refresh, in one region of the EU.

    Each run looks at what is there and does what is missing: after a failure or Ctrl-C, run it again, with the same
    options. `fruits undeploy` takes everything away.
    """


@command.command(name="emr")
@takes_plan
def emr(**options: Any) -> None:
    """Onto EMR Serverless, where the stream stays up and the refresh is on a schedule.

    \b
    fruits deploy emr --dry-run
    fruits deploy emr --region eu-west-3 --email you@example.org --refresh-every 1d --dry-run
    fruits deploy emr --name orchard --workers 0..8 --set discovery.clean=archive --dry-run
    """
    _deploy("emr", **options)


@command.command(name="ec2")
@click.option(
    "--stay-up",
    "stays_up",
    is_flag=True,
    help="Watch for what lands, and refit each --refresh-every; without, the cluster ends when what waits is done.",
)
@takes_plan
def ec2(**options: Any) -> None:
    """Onto a cluster of EMR on EC2, which featurizes what waits, refits PCA and ends.

    The machines of driver and HDFS are on demand, one each; the others are spot machines, as many as there is work for.
    They need a --subnet of yours with a way to S3 and SQS. It bears the tag
    for-use-with-amazon-emr-managed-policies=true, and so do its VPC and each --security-group.

    \b
    fruits deploy ec2 --subnet subnet-0a1b2c3d --dry-run
    fruits deploy ec2 --subnet subnet-0a1b2c3d --stay-up --workers 2..10 --dry-run
    """
    if not options["subnets"]:
        raise click.UsageError("EMR on EC2 puts its machines into a network of yours: give --subnet.")
    _deploy("ec2", **options)


@command.command(name="databricks")
@click.option("--always-on", is_flag=True, help="The stream stays up; without, it takes in what waits, each hour.")
@takes_stack
def databricks(
    always_on: bool, *, aws_profile: str | None, dry_run: bool, yes: bool, as_json: bool, **options: Any
) -> None:
    """Onto Databricks: the stack by AWS, and both jobs by Databricks' own command line, `databricks`.

    \b
    fruits deploy databricks --dry-run
    fruits deploy databricks --always-on --workers 8 --dry-run
    """
    import json
    import shlex

    from scripts.deployment import bundles, rehearsals, shown

    planned = plan("databricks", **options)
    if dry_run:
        calls = rehearse(planned.region, rehearsals.deployment(planned), lambda cloud: bundles.outputs(cloud, planned))
        commands = bundles.commands(planned, rehearsals.outputs(planned), always_on)
        if as_json:
            click.echo(json.dumps({"calls": json.loads(shown.calls_as_json(calls)), "commands": commands}, indent=2))
        else:
            click.echo("\n".join([shown.calls(calls), *("$ " + shlex.join(words) for words in commands)]))
        return
    _ask(planned, yes)
    files = _build(planned, yes).files
    outputs = on_aws(planned.region, aws_profile, lambda cloud: bundles.outputs(cloud, planned))
    bundles.deploy(planned, outputs, files, HOME / "bundle", always_on)
    if as_json:
        click.echo(json.dumps({"name": planned.name, "region": planned.region, "outputs": dict(outputs)}, indent=2))
    else:
        click.echo(bundles.shown(planned, outputs))


def _deploy(platform: str, *, aws_profile: str | None, dry_run: bool, yes: bool, as_json: bool, **options: Any) -> None:
    from scripts.deployment import deployment, rehearsals, shown

    planned, module = plan(platform, **options), importlib.import_module(f"scripts.deployment.{platform}")
    if dry_run:
        calls = rehearse(
            planned.region,
            rehearsals.deployment(planned),
            lambda cloud: deployment.deploy(cloud, module, planned, lambda: rehearsals.BUILT),
        )
        click.echo(shown.calls_as_json(calls) if as_json else shown.calls(calls))
        return
    _ask(planned, yes)
    deployed = on_aws(
        planned.region,
        aws_profile,
        lambda cloud: deployment.deploy(cloud, module, planned, lambda: _build(planned, yes)),
    )
    click.echo(shown.deployed_as_json(deployed) if as_json else shown.deployed(deployed, aws_profile))


def _ask(planned: "Plan", yes: bool) -> None:
    from scripts.deployment.costs import machines

    cost = machines(planned.platform, planned.workers)
    say(
        f"{planned.name} onto {planned.platform} in {planned.region}: about {cost.idle:.2f} USD an hour while nothing "
        f"lands, {cost.full:.2f} at most. `fruits costs` tells more."
    )
    confirm("Go on?", yes)


def _build(planned: "Plan", yes: bool) -> "Artefacts":
    """What the jobs need, built anew where it has changed.

    Raises
    ------
    SetupError
        Where it would not run there.
    """
    from scripts.deployment.artefacts import build

    artefacts = build((HOME / "artefacts").resolve(), cast("Any", planned.platform), planned.model)
    if artefacts.warnings and not yes:
        raise SetupError(f"{' '.join(artefacts.warnings)} --yes goes on all the same.")
    return artefacts
