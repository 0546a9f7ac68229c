"""`fruits query`: SQL over the tables, without Spark."""

import click

from conf.settings import Settings
from scripts.session import opened, takes_settings


@click.command(name="query")
@takes_settings
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="Default: table on a terminal, csv in a pipe.",
)
def command(settings: Settings, sql: str, form: str | None) -> None:
    """Ask the tables: features, rejects, reduced, pca_models.

    \b
    fruits query "SELECT label, count(*) AS photographs FROM features GROUP BY label"
    fruits query "SELECT key, reason, detail FROM rejects" --format csv
    fruits query "FROM reduced" --format parquet > reduced.parquet
    """
    import sys
    from typing import cast

    from scripts.sql import Form, tables, write

    form = form or ("table" if sys.stdout.isatty() else "csv")
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: add > FILE.parquet")
    with opened(settings) as settings, tables(settings.storage) as asked:
        write(asked.ask(sql), cast(Form, form))
