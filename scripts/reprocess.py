"""`fruits reprocess`: featurize again what was accounted for already."""

import re

import click

from conf.settings import Settings
from conf.tables import Reason
from scripts.progress import bar
from scripts.session import opened, say, takes_settings


@click.command(name="reprocess")
@takes_settings
@click.option("--rejects", is_flag=True, help="What was rejected, and not featurized since.")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice([reason.value for reason in Reason]),
    help="Only for this reason; repeatable.",
)
@click.option("--keys", "patterns", multiple=True, metavar="PATTERN", help="By path in the landing zone; repeatable.")
@click.option("--manifest", metavar="N[..M]", help="What these manifests list.")
@click.option("--model", is_flag=True, help="All that are there, by the model that the settings name now.")
@click.option("--dry-run", is_flag=True, help="Print the keys, and change nothing.")
def command(
    settings: Settings,
    rejects: bool,
    reasons: tuple[str, ...],
    patterns: tuple[str, ...],
    manifest: str | None,
    model: bool,
    dry_run: bool,
) -> None:
    """List photographs again, so that the stream featurizes them once more.

    A stream that runs takes them up, else the next one does. Rows that are there already stay: of a photograph
    featurized twice, the later row is the current one.

    \b
    fruits reprocess --rejects --reason truncated
    fruits reprocess --keys 'apple/*'
    fruits reprocess --manifest 2..3 --dry-run
    fruits reprocess --model --set model.weights=retrained.pt
    """
    from conf.regions import check_region
    from conf.s3 import check_bucket, object_store
    from streaming.reprocess import listed_by, matching, not_awaited, rejected, relist

    if rejects + bool(patterns) + bool(manifest) + model != 1:
        raise click.UsageError("Say what: one of --rejects, --keys, --manifest, --model.")
    if reasons and not rejects:
        raise click.UsageError("--reason goes with --rejects.")
    if model:
        _change_model(settings, dry_run)
        return
    if manifest:
        numbers = re.fullmatch(r"(\d{1,12})(?:\.\.(\d{1,12}))?", manifest)
        if not numbers:
            raise click.UsageError(f"--manifest is a number or two, as in 12 or 12..14 (found {manifest!r}).")
        choose = listed_by(int(numbers[1]), int(numbers[2] or numbers[1]))
    else:
        archived = settings.discovery.clean == "archive"
        if rejects:
            choose = rejected([Reason(reason) for reason in reasons], archived=archived)
        else:
            choose = matching(patterns, archived=archived)
    with opened(settings) as settings:
        check_region(settings)
        check_bucket(settings.storage)
        store = object_store(settings.storage)
        with bar("Looking for the photographs"):
            chosen = choose(settings.storage, store)
            versions = not_awaited(settings.storage, store, chosen)
        if len(versions) < len(chosen):
            say(f"{len(chosen) - len(versions)} photographs are listed already, and under way: they are left out.")
        if dry_run:
            for version in versions:
                click.echo(version.key)
            say(f"{len(versions)} photographs would be listed again.")
        elif versions:
            with bar("Listing them again"):
                written = relist(settings.storage, store, versions)
            say(f"{len(versions)} photographs are listed again, in {_span(written)}. `fruits stream` takes them up.")
        elif not chosen:
            say("Nothing to do: no photograph fits that.")


def _change_model(settings: Settings, dry_run: bool) -> None:
    from contextlib import nullcontext

    from conf.errors import SettingsError
    from conf.lease import Lease
    from conf.regions import check_region
    from conf.s3 import check_bucket, object_store
    from streaming.changeover import ask, plan_change, requested, withdraw
    from streaming.model import identify

    model_id = identify(settings.model.architecture, settings.model.weights)
    with opened(settings) as settings:
        storage, store = settings.storage, object_store(settings.storage)
        check_region(settings)
        check_bucket(storage)
        # A stream that runs would featurize what is listed by the model that it has.
        with nullcontext() if dry_run else Lease(storage, settings.stream.lease_seconds) as lease:
            with bar("Looking for the photographs"):
                asked, change = requested(storage, store), plan_change(storage, store, model_id)
            if change.is_done and asked in (None, model_id):
                raise SettingsError(
                    f"{storage.table_uri('features')} is of model {model_id} already, as the settings name it. Set "
                    "model.* to another first; --keys has photographs featurized again by the same."
                )
            if change.gone:
                say(
                    f"{change.gone} photographs are not in the landing zone any more: their features remain those of "
                    "another model, and `fruits refresh` leaves them out."
                )
            if change.is_done and lease is None:
                say(f"Model {asked} would not be asked for any more.")
            elif change.is_done:
                withdraw(storage, store)
                say(f"Model {asked} is not asked for any more. What was listed for it, {model_id} featurizes again.")
            elif asked == model_id:
                say(f"Model {model_id} was asked for already. `fruits stream` with these settings takes that up.")
            elif lease is None:
                say(f"{len(change.versions)} photographs would be listed again, for model {model_id}.")
            else:
                with bar("Listing them again"):
                    written = ask(storage, store, change, lease)
                say(
                    f"{len(change.versions)} photographs are listed again, in {_span(written)}. `fruits stream` with "
                    f"these settings featurizes them by {model_id}, in the place of {change.before}."
                )


def _span(written: list[int]) -> str:
    match written:
        case []:
            return "no manifest"
        case [number]:
            return f"manifest {number}"
        case _:
            return f"manifests {written[0]} to {written[-1]}"
