"""`fruits status`: whether a stream runs, what waits, what is in, what was refused, how fresh everything is."""

from contextlib import suppress

import click

from conf.settings import Settings
from scripts.session import opened, takes_settings

# Between looks: at least so long, and so many times what a look takes.
_SECONDS, _SHARE = 5.0, 10


@click.command(name="status")
@takes_settings
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="For machines; with --watch, a line each.")
def command(settings: Settings, watch: bool, as_json: bool) -> None:
    """Say whether a stream runs, and account for every object: waiting, featurized, refused.

    Reads storage alone: it needs no Spark, and works whether a stream runs or not. docs/operations.md says what each
    state means and what to do.

    \b
    fruits status
    fruits status --watch
    fruits status --json
    """
    import json
    import time
    from dataclasses import asdict
    from datetime import datetime

    from scripts.accounting import account
    from scripts.show import show_accounting

    with opened(settings) as settings, suppress(*[KeyboardInterrupt] if watch else []):
        while True:
            begun = time.monotonic()
            accounting = asdict(account(settings.storage))
            if as_json:
                click.echo(json.dumps(accounting, indent=None if watch else 2, default=datetime.isoformat))
            else:
                if watch:
                    click.clear()  # where there is a terminal
                show_accounting(accounting)
            if not watch:
                return
            # Of a large landing zone a look is a long listing: most of the time is left to the stream.
            time.sleep(max(_SECONDS, _SHARE * (time.monotonic() - begun)))
