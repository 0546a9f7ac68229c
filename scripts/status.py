"""`fruits status`: whether a stream runs, what waits, what is in, what was refused, and what to do about it."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from conf.errors import StorageError
from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, say, takes_settings

if TYPE_CHECKING:
    from scripts.accounting import Accounting

# Between looks: at least so long, and so many times what a look takes.
_SECONDS, _SHARE = 5.0, 10


@click.command(name="status")
@takes_settings
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C.")
@click.option("--check", is_flag=True, help="Exit status 1 where something needs a hand, for cron and monitoring.")
@click.option("--json", "as_json", is_flag=True, help="For machines; with --watch, a line each.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --json, and nothing else.")
def command(settings: Settings, watch: bool, check: bool, as_json: bool, schema: bool) -> None:
    """Say whether a stream runs, account for every object, and say what to do about what is wrong.

    Reads storage alone: it needs no Spark, and works whether a stream runs or not. Exit status 0 whatever it finds,
    unless --check is given: then 1 where anything is `failed` or a `warning`. docs/operations.md says what each state
    and each finding means.

    \b
    fruits status
    fruits status --watch
    fruits status --json
    fruits status --check
    """
    if watch and check:
        raise click.UsageError("--watch ends with Ctrl-C, and --check with an exit status: give one.")
    if schema:
        click.echo(_json(json_schema()))
        return
    from scripts.findings import need_a_hand
    from scripts.rules import judged
    from scripts.screen import show_status

    with opened(settings, reading=True) as settings:
        if watch:
            with suppress(KeyboardInterrupt):
                _watch(partial(judged, settings), as_json)
            return
        with bar("Looking at the landing zone and the tables"):
            status = judged(settings)
        if as_json:
            click.echo(_json(status))
        else:
            show_status(status)
    if check and need_a_hand(status.findings):
        raise SystemExit(1)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of what `--json` prints."""
    from pydantic import TypeAdapter

    from scripts.accounting import Accounting

    schema = TypeAdapter(Accounting).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _watch(look: "Callable[[], Accounting]", as_json: bool) -> None:
    """Look again and again. A look that fails is told, and the next one comes; the first one must succeed."""
    import sys
    import time

    from scripts.screen import show_status
    from scripts.watching import watched

    def show(status: "Accounting") -> None:
        if as_json:
            click.echo(_json(status, line=True))
        else:
            show_status(status)

    trouble: Callable[[str], None] = say
    with ExitStack() as stack:
        begun = time.monotonic()
        status = look()
        if sys.stdout.isatty() and not as_json:
            seen = stack.enter_context(watched())
            show, trouble = seen.show, seen.trouble
        show(status)
        while True:
            # Of a large landing zone a look is a long listing: most of the time is left to the stream.
            time.sleep(max(_SECONDS, _SHARE * (time.monotonic() - begun)))
            begun = time.monotonic()
            try:
                show(look())
            except StorageError as error:
                trouble(str(error))


def _json(value: Any, *, line: bool = False) -> str:
    import json
    from dataclasses import asdict
    from datetime import datetime

    from scripts.accounting import Accounting

    plain = asdict(value) if isinstance(value, Accounting) else value
    return json.dumps(plain, indent=None if line else 2, default=datetime.isoformat)
