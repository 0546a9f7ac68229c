"""`fruits explore`: one page to look at what is in the store, in a browser, without Spark."""

from pathlib import Path

import click

from conf.settings import Settings
from scripts.session import opened, say, takes_settings

_FORMS = ("html", "parquet")
MOST = 50_000
"""So many photographs a page bears."""
COMPONENTS = 32
"""And so many components of each: what comes after them tells little."""
_PICTURES = 5_000


@click.command(name="explore")
@takes_settings
@click.argument("place", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMS),
    help="Default: as the file's name ends. parquet: what the embedding-atlas program opens.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=MOST,
    show_default=True,
    help="Photographs at most, chosen evenly; always the same ones.",
)
@click.option(
    "--components",
    type=click.IntRange(2),
    default=COMPONENTS,
    show_default=True,
    help="Components at most, the first ones.",
)
@click.option(
    "--pictures",
    type=click.IntRange(0),
    default=_PICTURES,
    show_default=True,
    help="Photographs at most that are read for a small picture; a kilobyte or two each in the file.",
)
@click.option("--open/--no-open", "opens", default=None, help="Show the page in a browser. Default: on a terminal.")
def command(
    settings: Settings,
    place: Path | None,
    form: str | None,
    limit: int,
    components: int,
    pictures: int,
    opens: bool | None,
) -> None:
    """Write a page that shows the reduced vectors, with the photographs, and how the store is doing.

    FILE is explorer.html unless named. It is all in one file, and asks no network. It holds small pictures, and keys:
    share it as you would share the photographs.

    \b
    fruits explore
    fruits explore fruits.html --no-open --pictures 500
    fruits explore photographs.parquet
    """
    import os
    import shlex
    import sys

    from scripts.overview import overview
    from scripts.places import appearing, check_place, form_of
    from scripts.progress import bar
    from scripts.sample import sample
    from scripts.sql import tables
    from streaming.thumbnails import thumbnails

    place = place or Path(f"explorer.{form or 'html'}")
    check_place(place, f"explorer.{form or 'html'}")
    form = form_of(place, form, _FORMS)
    with opened(settings, reading=True) as settings, tables(settings.storage) as asked, appearing(place) as part:
        with bar("Looking at the store and its tables"):
            told = overview(settings, asked)
            chosen = sample(asked, limit, min(components, told.pca.k_))
        versions = chosen.versions(range(min(pictures, len(chosen))))
        with bar("Pictures", len(versions)) as shown:
            small = shown.count(thumbnails(settings, versions))
            if form == "html":
                from scripts.explorer import write

                write(part, told, chosen, small)
            else:
                from scripts.atlas import write as write_atlas

                write_atlas(part, told, chosen, small)
    said = f"{len(chosen)} of {told.reduced}" if len(chosen) < told.reduced else str(len(chosen))
    say(f"{said} photographs, {place.stat().st_size / 1e6:.1f} MB:")
    if form == "parquet":
        click.echo(f"uvx embedding-atlas {shlex.quote(str(place))} --x x --y y --image image")
        return
    click.echo(place.absolute().as_uri())
    if sys.stdout.isatty() if opens is None else opens:
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            say("There is no screen here to show it on: open it, or copy it to a machine that has one.")
        else:
            click.launch(place.absolute().as_uri())
