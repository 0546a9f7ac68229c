"""`fruits query`: SQL over the tables, without Spark."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, takes_settings

if TYPE_CHECKING:
    from datetime import datetime

    from click.shell_completion import CompletionItem


def _moments(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> "dict[str, int | datetime]":
    """By table: of 2026-05-04T10:00 for all, features=2026-05-04 or features=12 for one."""
    from datetime import UTC, datetime

    from conf.tables import NAMES

    moments: dict[str, int | datetime] = {}
    for value in values:
        table, moment = value.rpartition("=")[::2]
        if table and table not in NAMES:
            raise click.BadParameter(f"{table!r} is no table: there are {', '.join(NAMES)}.")
        if table and moment.isdecimal():
            moments[table] = int(moment)
            continue
        try:
            time = datetime.fromisoformat(moment)
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is no moment: write 2026-05-04T10:00 (UTC) for all tables, features=12 for a version."
            ) from None
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        moments |= dict.fromkeys([table] if table else NAMES, time)
    return moments


def _statement(_: click.Context, __: click.Parameter, value: str) -> str:
    """SQL itself, or what a file of it or stdin has."""
    if value == "-":
        return sys.stdin.read()
    if not value.endswith(".sql"):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{value} cannot be read: {error}.") from None


def _completed(_: click.Context, __: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """A file's name; or SQL whose last word is begun, with each name of a table or a column that it may become."""
    from click.shell_completion import CompletionItem

    from conf.tables import COLUMNS, NAMES, VIEWS, column_names

    word = re.split(r"\W", incomplete)[-1]
    if word == incomplete:
        return [CompletionItem(incomplete, type="file")]
    before = incomplete.removesuffix(word)
    names = {*NAMES, *VIEWS, "versions", *(name for table in COLUMNS for name in column_names(table))}
    fit = [before + name for name in sorted(names) if name.startswith(word.lower())]
    # A shell that is left no choice ends the quotes as well, in the middle of a question.
    return [CompletionItem(name) for name in (fit if len(fit) > 1 else [*fit, *(f"{name} " for name in fit)])]


@click.command(name="query")
@takes_settings
@click.argument("sql", metavar="SQL|FILE.sql|-", callback=_statement, shell_complete=_completed)
@click.option(
    "--at",
    multiple=True,
    callback=_moments,
    metavar="TIME|TABLE=VERSION|TABLE=TIME",
    help="Ask as of then; repeatable. How far back, tables.keep_days says.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="Default: table on a terminal, csv in a pipe.",
)
@click.option("--explain", is_flag=True, help="Say how the answer would be worked out, and do not.")
def command(settings: Settings, sql: str, at: "dict[str, int | datetime]", form: str | None, explain: bool) -> None:
    """Ask the tables: features, rejects, reduced, pca_models.

    Beside them: current, of features the newest version of each key; versions, what made each version of each table.

    \b
    fruits query "SELECT label, count(*) AS photographs FROM features GROUP BY label"
    fruits query "SELECT key, reason, detail FROM rejects" --format csv
    fruits query "FROM reduced" --format parquet > reduced.parquet
    fruits query "SELECT count(*) FROM features" --at features=3
    fruits query "SELECT key FROM reduced WHERE label = 'pear'" --explain
    fruits query report.sql --at 2026-05-04T10:00
    """
    from typing import cast

    from scripts.sql import Form, tables, write

    if explain and form:
        raise click.UsageError("--explain gives no rows: leave out --format.")
    form = form or ("table" if sys.stdout.isatty() else "csv")
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: add > FILE.parquet")
    with opened(settings, reading=True) as settings, tables(settings.storage, at) as asked:
        if explain:
            click.echo(asked.explain(sql))
        else:
            with bar("Asking"):
                answer = asked.ask(sql)
            write(answer, cast(Form, form))
