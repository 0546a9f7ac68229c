"""`fruits forget`: erasure on request."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conf.settings import Settings, Storage
from scripts.progress import bar
from scripts.session import opened, say, spark_session, takes_settings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from conf.forgetting import Asked, Request
    from scripts.progress import Bar

_WHERE = {
    "landing": "in the landing zone",
    "archive": "in the archive",
    "manifests": "listed by manifests",
    "features": "rows of features",
    "rejects": "rows of rejects",
    "reduced": "rows of reduced",
    "set_aside": "messages set aside",
    "models": "PCA models of before",
}


@click.command(name="forget")
@takes_settings
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--prefix", "prefixes", multiple=True, metavar="PREFIX", help="All keys that begin so; repeatable.")
@click.option("--sha256", "digests", multiple=True, metavar="HEX", help="All photographs of these bytes; repeatable.")
@click.option("--resume", is_flag=True, help="Carry out what was asked before and is not done.")
@click.option("--dry-run", is_flag=True, help="Count what would go, by place; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask first. Needed where nobody can be asked.")
@click.option("--receipt", type=click.Path(dir_okay=False, path_type=Path), help="Write the receipt to this file, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt, or what would go, for machines.")
def command(
    settings: Settings,
    keys: tuple[str, ...],
    prefixes: tuple[str, ...],
    digests: tuple[str, ...],
    resume: bool,
    dry_run: bool,
    yes: bool,
    receipt: Path | None,
    as_json: bool,
) -> None:
    """Erase photographs for good: objects, rows, vectors, all that older versions tell, and the PCA's memory of them.

    A KEY is what the tables call a photograph, or its path in the landing zone. What there is of it now goes, and not
    what is dropped later. A stream that runs is asked to do its part, and pauses for it; else this does. Then PCA is
    refitted, every file of the store is read to see that nothing is left, and a receipt says so. It cannot be undone,
    and ends time travel. Killed at any moment, it goes on with --resume, or with the same words again.

    \b
    fruits forget pear/7.jpg --dry-run
    fruits forget pear/7.jpg pear/8.jpg --yes
    fruits forget --prefix apple/7 --yes --receipt receipt.json
    fruits forget --resume
    """
    if resume == bool(keys or prefixes or digests):
        raise click.UsageError("Say what: KEY, --prefix or --sha256; or --resume alone, for what was asked before.")
    if resume and (dry_run or receipt):
        raise click.UsageError("--resume carries out what was asked before: leave out --dry-run and --receipt.")
    if "" in (*keys, *prefixes):
        raise click.UsageError("An empty KEY or --prefix would be everything there is: name what is to go.")
    if receipt and not (os.access(receipt, os.W_OK) if receipt.exists() else os.access(receipt.parent, os.W_OK)):
        problem = f"{receipt} cannot be written: name a file in a folder that is there."
        raise click.BadParameter(problem, param_hint="--receipt")
    for digest in digests:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise click.BadParameter(f"{digest!r} is no sha256: it has 64 hexadecimal digits.", param_hint="--sha256")
    from conf.forgetting import Asked
    from conf.regions import check_region
    from conf.s3 import check_bucket, object_store

    with opened(settings) as settings:
        storage = settings.storage
        check_region(settings)
        check_bucket(storage)
        store = object_store(storage)
        if resume:
            _resume(settings, store, as_json)
            return
        if storage.landing in {_whole(storage, each) for each in (*keys, *prefixes)}:
            raise click.UsageError(
                f"{storage.landing} is everything that ever landed: name what is to go. A folder of that name in it is "
                f"{storage.landing}{storage.landing}."
            )
        asked = Asked(
            tuple(sorted(_whole(storage, key) for key in keys)),
            tuple(sorted(_whole(storage, prefix) for prefix in prefixes)),
            tuple(sorted(digest.lower() for digest in digests)),
        )
        _forget(settings, store, asked, dry_run=dry_run, yes=yes, receipt=receipt, as_json=as_json)


def _whole(storage: Storage, key: str) -> str:
    """A key in the bucket, of one that may be a path in the landing zone."""
    return key if key.startswith(storage.landing) else storage.landing + key


def _forget(
    settings: Settings,
    store: "ObjectStore",
    asked: "Asked",
    *,
    dry_run: bool,
    yes: bool,
    receipt: Path | None,
    as_json: bool,
) -> None:
    import json

    from conf.errors import DataError
    from conf.forgetting import Request, ask, requests
    from streaming.traces import find

    storage = settings.storage
    waiting = [each for each in requests(store, storage) if each.asked == asked]
    with bar("Looking for what there is"):
        plan = find(storage, store, asked)
    if dry_run and as_json:
        click.echo(json.dumps(dict(plan.found), indent=2))
        return
    if plan.is_empty and not waiting:
        if before := _forgotten(storage, store, asked):
            say(f"That was forgotten already: {before['done_at']}. Nothing has come of it since.")
            if receipt:
                _write(receipt, before)
            return
        raise DataError(
            f"There is nothing of that in {storage.uri('', 's3')}. A key is what the column `key` of a table says, or "
            "a path in the landing zone: `fruits forget pear/7.jpg`. All of a folder is `--prefix pear/`."
        )
    # Where keys are hashed, one may be asked for as the tables call it.
    there = {key for key, _ in (*plan.versions, *plan.rows)}
    for key in () if waiting else asked.keys:
        if not there & {key, key.removeprefix(storage.landing)}:
            say(f"There is nothing of {key}. What there is of the others goes.")
    if dry_run:
        _show(plan.found)
        say("Nothing was changed. Without --dry-run all of that goes for good, and what older versions tell of it.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here, and it cannot be undone: give --yes.")
        _show(plan.found, err=True)
        click.confirm("Erase that for good?", abort=True, err=True)
    # What has come since the same was asked before was not meant by it.
    if not waiting or not {name for each in waiting for name in each.meant}.issuperset(plan.rows):
        waiting.append(Request.new(asked, plan.rows))
        ask(store, storage, waiting[-1])
    _carry_out(settings, store, waiting, receipt, as_json)


def _resume(settings: Settings, store: "ObjectStore", as_json: bool) -> None:
    from conf.forgetting import requests

    waiting = requests(store, settings.storage)
    if not waiting:
        say("Nothing waits: what was asked is done.")
        return
    _carry_out(settings, store, waiting, None, as_json)


def _carry_out(
    settings: Settings, store: "ObjectStore", requests: "list[Request]", receipt: Path | None, as_json: bool
) -> None:
    import json
    from contextlib import ExitStack

    from scripts.erasure import carry_out

    with ExitStack() as stack:
        started: list[Any] = []

        def spark() -> Any:
            if not started:
                started.append(stack.enter_context(spark_session(settings)))
            return started[0]

        for request in requests:
            with bar("Forgetting") as shown:
                told = carry_out(settings, store, request, spark, _Stages(shown).begin)
            if receipt:
                _write(receipt, told)
            if as_json:
                click.echo(json.dumps(told, indent=2))
            else:
                _show(told["removed"])
                proof = told["proof"]
                refit = f"PCA version {told['pca_version']} has none of it. " if told["pca_version"] else ""
                say(
                    f"Forgotten. {refit}{proof['files_read']} files were read, {proof['bytes_read']:,} bytes, and none "
                    f"has any of it. The receipt is {settings.storage.uri(f'state/forgotten/{request.id}.json', 's3')}"
                )
                if twins := proof["rows_of_the_same_bytes"]:
                    say(f"{twins} rows of other keys are of the same bytes, and stay: --sha256 is for these.")


class _Stages:
    """Says which stage it is in; of one that may last as long as others please, also where nobody watches."""

    def __init__(self, shown: "Bar") -> None:
        self._shown = shown
        self._last = ""

    def begin(self, stage: str) -> None:
        self._shown.says(stage)
        if stage != self._last and stage.startswith("Waiting"):
            say(f"{stage}.")
        self._last = stage


def _write(file: Path, receipt: Any) -> None:
    import json

    file.write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")


def _forgotten(storage: Storage, store: "ObjectStore", asked: "Asked") -> dict[str, Any] | None:
    """The receipt of when exactly that was forgotten before; None where it never was."""
    from conf.forgetting import hashes, receipts, secret

    wanted = hashes(secret(store, storage), asked)
    return next((each for each in reversed(receipts(store, storage)) if each["asked"] == wanted), None)


def _show(found: Any, *, err: bool = False) -> None:
    for where, count in found.items():
        if count:
            click.echo(f"{count:>8,} {_WHERE.get(where, where)}", err=err)
