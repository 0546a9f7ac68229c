"""`fruits status`: whether a stream runs, what waits, what is in, what was refused, how fresh everything is."""

import click

from conf.settings import Settings
from scripts.session import opened, takes_settings


@click.command(name="status")
@takes_settings
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, as_json: bool) -> None:
    """Say whether a stream runs, and account for every object: waiting, featurized, refused.

    Reads storage alone: it needs no Spark, and works whether a stream runs or not. docs/operations.md says what each
    state means and what to do.

    \b
    fruits status
    fruits status --json
    """
    import json
    from dataclasses import asdict
    from datetime import datetime

    from scripts.accounting import account
    from scripts.show import show_accounting

    with opened(settings) as settings:
        accounting = account(settings.storage)
    if as_json:
        click.echo(json.dumps(asdict(accounting), indent=2, default=datetime.isoformat))
    else:
        show_accounting(asdict(accounting))
