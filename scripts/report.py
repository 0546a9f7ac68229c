"""`fruits report`: the explorer's figures on two pages, for somebody who will not click."""

from pathlib import Path

import click

from conf.settings import Settings
from scripts.explore import COMPONENTS, MOST
from scripts.session import opened, say, takes_settings

_FORMS = ("pdf", "html")


@click.command(name="report")
@takes_settings
@click.argument("place", metavar="[FILE]", required=False, type=click.Path(path_type=Path), default="report.pdf")
@click.option("--format", "form", type=click.Choice(_FORMS), help="Default: as the file's name ends.")
def command(settings: Settings, place: Path, form: str | None) -> None:
    """Write what is in the store, and how it is doing, on two pages. FILE is report.pdf unless named.

    It holds small pictures, and keys of what was refused: share it as you would share the photographs.

    \b
    fruits report
    fruits report monday.html
    """
    from scripts.overview import overview
    from scripts.places import appearing, check_place, form_of
    from scripts.progress import bar
    from scripts.sample import sample
    from scripts.sql import tables
    from streaming.thumbnails import thumbnails

    check_place(place, "report.pdf")
    chosen = form_of(place, form, _FORMS)
    with opened(settings, reading=True) as settings, tables(settings.storage) as asked, appearing(place) as part:
        from scripts.pages import EACH, LABELS, write

        with bar("Looking at the store and its tables"):
            told = overview(settings, asked)
            some = sample(asked, MOST, min(COMPONENTS, told.pca.k_))
        labels = [one["label"] for one in told.labels[:LABELS]]
        rows = [(label, row) for label in labels for row in some.typical(label, EACH)]
        pictures: dict[str, list[bytes]] = {label: [] for label in labels}
        with bar("Pictures", len(rows)) as shown:
            small = shown.count(thumbnails(settings, some.versions([row for _, row in rows])))
            for (label, _), data in zip(rows, small, strict=True):
                pictures[label] += [data] if data else []
        with bar("Drawing the pages"):
            write(part, chosen, told, some, pictures)
    say(f"{len(some)} photographs on two pages:")
    click.echo(place.absolute().as_uri())
