"""`fruits export`: all vectors as one file for other programs, without Spark."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, say, takes_settings, takes_space
from scripts.volume import is_watched

if TYPE_CHECKING:
    from batch.export import Form
    from batch.spaces import SpaceName

_FORMS: "tuple[Form, ...]" = ("parquet", "csv", "npz", "tfrecord")


@click.command(name="export")
@takes_settings
@click.argument("place", metavar="FILE", type=click.Path(path_type=Path))
@takes_space
@click.option("--format", "form", type=click.Choice(_FORMS), help="Default: as the file's name ends.")
def command(settings: Settings, place: Path, space: "SpaceName", form: "Form | None") -> None:
    """Write every current photograph's key, etag, label, sha256 and vector, with the versions they are of.

    \b
    fruits export reduced.parquet
    fruits export features.npz --space features
    fruits export train.records --format tfrecord
    """
    from batch.export import write
    from batch.spaces import space_of
    from scripts.places import appearing, check_place, form_of

    check_place(place, f"vectors.{form or _FORMS[0]}")
    chosen = form_of(place, form, _FORMS)
    with opened(settings, reading=True) as settings:
        with bar("Opening the tables"):
            where = space_of(settings.storage, space)
        with appearing(place) as part, bar("Writing", where.rows if is_watched() else None) as shown:
            written = write(where, part, chosen, shown.advance)
    say(f"{written} photographs in {where.says}: {place}")
