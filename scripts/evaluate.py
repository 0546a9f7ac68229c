"""`fruits evaluate`: how many components are enough to tell one label from another."""

import click

from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, takes_settings


@click.command(name="evaluate")
@takes_settings
@click.option(
    "-k", "ks", type=click.IntRange(1), multiple=True, help="Components to try; repeatable. Default: 1, 2, 4, ..."
)
@click.option(
    "--neighbours", type=click.IntRange(1, 100), default=5, show_default=True, help="How many of the nearest."
)
@click.option(
    "--rows",
    type=click.IntRange(10),
    default=10_000,
    show_default=True,
    help="Photographs, about; drawn by their content.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, ks: tuple[int, ...], neighbours: int, rows: int, as_json: bool) -> None:
    """Tell the labels of photographs that the axes have not seen, in k components and in the features themselves.

    A fifth of the photographs is held out; on the rest a PCA is fitted, as in `fruits refresh`. Nothing is written.

    \b
    fruits evaluate
    fruits evaluate -k 16 -k 32 -k 64 --neighbours 1
    """
    import json
    from dataclasses import asdict

    from batch.evaluate import run
    from scripts.show import show_evaluation

    with opened(settings, reading=True) as settings, bar("Fitting some photographs, and telling the labels of others"):
        summary = asdict(run(settings, ks=ks, neighbours=neighbours, rows=rows))
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        show_evaluation(summary)
