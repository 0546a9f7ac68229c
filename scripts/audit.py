"""`fruits audit`: whether every row, every vector and every commit is accounted for, and by whom it was written."""

import click

from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, takes_settings


@click.command(name="audit")
@takes_settings
@click.option(
    "--commits",
    "newest",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    metavar="N",
    help="How many commits of each table to look at, the newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: each commit, each holder of a lease.")
def command(settings: Settings, newest: int, as_json: bool) -> None:
    """Hold every row against the manifests, of reduced also against features, and every commit against the leases.

    Says who wrote what and when, and what is not as it should be, with what to do. Reads storage alone and changes
    nothing, whether a stream runs or not. Exit status 1 where anything is `failed` or a `warning`: docs/operations.md
    explains each finding.

    \b
    fruits audit
    fruits audit --commits 50
    fruits audit --json
    """
    import json
    from dataclasses import asdict
    from datetime import datetime

    from scripts.auditing.audit import audit
    from scripts.auditing.show import show_audit
    from scripts.findings import need_a_hand

    with opened(settings, reading=True) as settings:
        with bar("Looking at every row"):
            found = audit(settings.storage, newest)
        if as_json:
            click.echo(json.dumps(asdict(found), indent=2, default=datetime.isoformat))
        else:
            show_audit(found)
    if need_a_hand(found.findings):
        raise SystemExit(1)
