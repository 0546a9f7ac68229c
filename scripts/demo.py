"""`fruits demo`: the whole of it in a few minutes, on this machine."""

from pathlib import Path

import click

from conf.settings import Settings
from scripts.session import takes_settings


@click.command(name="demo")
@takes_settings
@click.option(
    "--images", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Your own, in label folders."
)
@click.option(
    "--count", type=click.IntRange(20), default=400, show_default=True, help="Photographs to draw, or to take."
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, images: Path | None, count: int, as_json: bool) -> None:
    """Drop photographs, featurize them, refit PCA, drop more with some bad objects among them, and ask a question.

    Photographs are drawn, unless --images names a folder of real ones. Everything stays in .fruits, so that the other
    commands can go on from there; a second demo finds what the first one left.

    \b
    fruits demo
    fruits demo --images photos/ --count 200
    """
    import json

    from scripts.show import show_tour
    from scripts.tour import tour

    result = tour(settings, images, count)
    if as_json:
        click.echo(json.dumps(result, indent=2, default=str))
    else:
        show_tour(result)
