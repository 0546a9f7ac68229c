"""`fruits reprocess`: featurize again what was accounted for already."""

import re

import click

from conf.settings import Settings
from conf.tables import Reason
from scripts.session import opened, say, takes_settings


@click.command(name="reprocess")
@takes_settings
@click.option("--rejects", is_flag=True, help="What was rejected, and not featurized since.")
@click.option(
    "--reason", "reasons", multiple=True, type=click.Choice([*Reason]), help="Only for this reason; repeatable."
)
@click.option("--keys", "patterns", multiple=True, metavar="PATTERN", help="By path in the landing zone; repeatable.")
@click.option("--manifest", metavar="N[..M]", help="What these manifests list.")
@click.option("--dry-run", is_flag=True, help="Print the keys, and change nothing.")
def command(
    settings: Settings,
    rejects: bool,
    reasons: tuple[str, ...],
    patterns: tuple[str, ...],
    manifest: str | None,
    dry_run: bool,
) -> None:
    """List photographs again, so that the stream featurizes them once more.

    A stream that runs takes them up, else the next one does. Rows that are there already stay: of a photograph
    featurized twice, the later row is the current one.

    \b
    fruits reprocess --rejects --reason truncated
    fruits reprocess --keys 'apple/*'
    fruits reprocess --manifest 12..14 --dry-run
    """
    from conf.s3 import check_bucket, object_store
    from streaming.reprocess import listed_by, matching, rejected, relist

    if rejects + bool(patterns) + bool(manifest) != 1:
        raise click.UsageError("Say what: one of --rejects, --keys, --manifest.")
    if reasons and not rejects:
        raise click.UsageError("--reason goes with --rejects.")
    if manifest:
        numbers = re.fullmatch(r"(\d{1,12})(?:\.\.(\d{1,12}))?", manifest)
        if not numbers:
            raise click.UsageError(f"--manifest is a number or two, as in 12 or 12..14 (found {manifest!r}).")
        choose = listed_by(int(numbers[1]), int(numbers[2] or numbers[1]))
    else:
        archived = settings.discovery.clean == "archive"
        choose = rejected([Reason(reason) for reason in reasons]) if rejects else matching(patterns, archived=archived)
    with opened(settings) as settings:
        check_bucket(settings.storage)
        store = object_store(settings.storage)
        versions = choose(settings.storage, store)
        if dry_run:
            for version in versions:
                click.echo(version.key)
            say(f"{len(versions)} photographs would be listed again.")
        elif versions:
            written = relist(settings.storage, store, versions)
            span = f"manifest {written[0]}" if len(written) == 1 else f"manifests {written[0]} to {written[-1]}"
            say(f"{len(versions)} photographs are listed again, in {span}. `fruits stream` takes them up.")
        else:
            say("Nothing to do: no photograph fits that.")
