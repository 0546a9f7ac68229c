"""`fruits model`: a PCA model for another program."""

from pathlib import Path

import click

from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, say, spark_session, takes_settings


@click.command(name="model")
@takes_settings
@click.argument("place", type=click.Path(path_type=Path))
@click.option("--model-version", type=click.IntRange(1), metavar="N", help="PCA version (default: that of reduced).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["npz", "mllib"]),
    default="npz",
    show_default=True,
    help="npz: one file of numpy arrays. mllib: a new folder here, for pyspark.ml.PipelineModel.load.",
)
def command(settings: Settings, place: Path, model_version: int | None, form: str) -> None:
    """Write a PCA model to PLACE, in a form that other programs read: it makes the same vectors there.

    \b
    fruits model pca.npz
    fruits model pca-3/ --model-version 3 --format mllib
    """
    from batch.interchange import to_mllib, write_npz
    from batch.models import ModelTables
    from conf.errors import DataError, SettingsError
    from conf.spark_errors import explained
    from scripts.places import appearing, check_place

    if form == "mllib" and place.exists():
        raise SettingsError(f"{place} is there already: name a new folder.")
    check_place(place, "pca.npz")
    with opened(settings, reading=True) as settings:
        tables = ModelTables.open(settings.storage)
        version = model_version or tables.published
        if version is None:
            raise DataError(f"{settings.storage.table_uri('reduced')} has no model yet. Run `fruits refresh` first.")
        model = tables.load(version)
        if form == "npz":
            with appearing(place) as part, part.open("wb") as file:
                write_npz(model, file)
        else:
            with appearing(place) as part, spark_session(settings) as spark, bar("Writing the pipeline"), explained():
                # Not percent-encoded: Hadoop takes names as they are.
                to_mllib(spark, model).save(f"file://{part}")
    say(f"PCA version {version}, {model.pca.k_} components of {len(model.pca.mean_)} features: {place}")
