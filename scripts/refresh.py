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
def command(
    settings: Settings, variance: float | None, k: int | None, solver: str | None, as_json: bool
) -> None:
    """Refit PCA on all features and replace the reduced vectors, in one commit.

    \b
    fruits refresh
    fruits refresh --variance 0.9
    fruits refresh -k 64
    """
    import json
    from dataclasses import asdict

    from batch.refresh import run

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
        return
    show(asdict(summary))


def show(summary: dict[str, object]) -> None:
    """Print a refresh's summary as a table."""
    from rich.console import Console
    from rich.table import Table

    ratios = summary["explained_variance_ratio"]
    assert isinstance(ratios, tuple | list)  # noqa: S101 (narrows for the type checker)
    table = Table("", "", show_header=False, box=None)
    rows = {
        "PCA version": summary["pca_version"],
        "fitted on": f"{summary['n']} vectors of {summary['d']}, features version {summary['features_version']}",
        "model": summary["model_id"],
        "components": f"{summary['k']}, explaining {sum(ratios):.1%} of the variance",
        "the first three": ", ".join(f"{ratio:.1%}" for ratio in ratios[:3]),
        "solver": summary["solver"],
        "seconds": ", ".join(f"{stage} {s:.1f}" for stage, s in dict(summary["seconds"]).items()),  # type: ignore[call-overload]
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console().print(table)
