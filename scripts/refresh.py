"""`fruits refresh`: the PCA refresh."""

import click

from conf.settings import Settings
from scripts.session import opened, override, spark_session, takes_settings


@click.command(name="refresh")
@takes_settings
@click.option("--variance", type=float, help="Keep the fewest components that explain this share (default 0.95).")
@click.option("-k", type=int, help="Keep exactly this many components.")
@click.option("--solver", type=click.Choice(["exact", "mllib"]), help="mllib: Spark's own, slower, the same result.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, variance: float | None, k: int | None, solver: str | None, as_json: bool) -> None:
    """Refit PCA on all features and replace the reduced vectors, in one commit.

    \b
    fruits refresh
    fruits refresh --variance 0.9
    fruits refresh -k 64
    """
    import json
    from dataclasses import asdict

    from batch.refresh import run
    from scripts.show import show_refresh

    if variance is not None and k is not None:
        raise click.UsageError("--variance and -k exclude each other: give one.")
    if variance is not None or k is not None:
        settings = override(settings, "pca", variance=variance, k=k)
    if solver:
        settings = override(settings, "pca", solver=solver)
    with opened(settings) as settings, spark_session(settings) as spark:
        summary = run(spark, settings)
    if as_json:
        click.echo(json.dumps(asdict(summary), indent=2))
    else:
        show_refresh(asdict(summary))
