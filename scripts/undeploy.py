"""`fruits undeploy`: takes a deployment away, and shows that nothing is left that costs."""

from typing import Any

import click

from scripts.deployment import options
from scripts.deployment.options import on_aws, region_of, rehearse, takes_place
from scripts.session import HOME, say


@click.command(name="undeploy")
@takes_place
@click.option(
    "--bucket", metavar="NAME", help="The deployment's, where its stack is gone and the bucket has another name."
)
@click.option(
    "--keep-data/--delete-data",
    "keeps_data",
    default=None,
    help="What becomes of the bucket with all photographs and tables. Default: kept; on a terminal you are asked.",
)
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    region: str | None,
    aws_profile: str | None,
    bucket: str | None,
    keeps_data: bool | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take a deployment away: end what runs, delete the stack, and the data if you say so; then list what is left.

    It can be stopped at any moment and run again. Exit status 1 where something is left that should not be.

    \b
    fruits undeploy --dry-run
    fruits undeploy --name orchard --region eu-west-3 --delete-data --dry-run
    """
    from scripts.deployment import buckets, bundles, rehearsals, shown, teardown
    from scripts.deployment.steps import Cloud

    region = region_of(region)
    if dry_run:
        calls = rehearse(
            region,
            rehearsals.teardown(name, region, bucket, deletes_data=keeps_data is False),
            lambda cloud: teardown.undeploy(
                cloud, name, bucket or teardown.bucket_of(cloud, name), delete_data=keeps_data is False
            ),
        )
        click.echo(shown.calls_as_json(calls) if as_json else shown.calls(calls))
        return

    def look(cloud: Cloud) -> tuple[str, Any]:
        there = bucket or teardown.bucket_of(cloud, name)
        return there, buckets.data_of(cloud, there)

    there, data = on_aws(region, aws_profile, look)
    deletes = data is not None and _deletes(data, keeps_data, yes)
    undeployed = on_aws(
        region,
        aws_profile,
        lambda cloud: teardown.undeploy(
            cloud,
            name,
            there,
            delete_data=deletes,
            end_elsewhere=lambda stack: bundles.remove(name, region, stack.outputs, HOME / "bundle"),
        ),
    )
    click.echo(shown.undeployed_as_json(undeployed) if as_json else shown.undeployed(undeployed))
    ctx.exit(0 if undeployed.is_clean else 1)


def _deletes(data: Any, keeps_data: bool | None, yes: bool) -> bool:
    """Whether the data goes: as told, and never without a word to that."""
    from scripts.deployment import shown

    if keeps_data or (keeps_data is None and (yes or not options.somebody_answers())):
        return False
    say(f"The bucket {shown.held(data)}.")
    if keeps_data is None:
        return click.confirm("Delete it, with all photographs and tables?", default=False, err=True)
    if yes:
        return True
    if not options.somebody_answers():
        raise click.UsageError("--delete-data asks first, and there is nobody to answer: add --yes.")
    return click.confirm("Delete it, with all photographs and tables?", default=False, abort=True, err=True)
