"""`fruits doctor`: looks at what Fruits! needs, one thing at a time, with the remedy for each that is missing."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

from conf.settings import Settings
from scripts.session import say, takes_settings

if TYPE_CHECKING:
    from scripts.checks.check import Check, Result

_COLOURS = {"ok": "green", "warn": "yellow", "FAILED": "red", "left out": "cyan"}


@click.command(name="doctor")
@takes_settings
@click.option("--quick", is_flag=True, help="Leave out the run from end to end, which takes most of the time.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_context
def command(ctx: click.Context, settings: Settings, quick: bool, as_json: bool) -> None:
    """Check this machine, the store and each right; say what to do about what is missing.

    Safe beside a stream that runs: it writes objects of its own alone, and takes them away again. At the end a few
    drawn photographs go all the way, in a store of their own below state/doctor/. Exit status 1 where anything FAILED.

    \b
    fruits doctor
    fruits doctor --quick
    fruits doctor --profile aws --json
    """
    import json
    from dataclasses import asdict

    from scripts.checks.check import Outcome

    results = []
    # As Ctrl-C does, so that what was written is taken away.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for result in _results(settings, quick):
            results.append(result)
            if not as_json:
                _show(result)
    finally:
        signal.signal(signal.SIGTERM, before)
    passed = all(result.outcome is not Outcome.FAILED for result in results)
    if as_json:
        click.echo(json.dumps({"passed": passed, "checks": [asdict(result) for result in results]}, indent=2))
    ctx.exit(0 if passed else 1)


def _show(result: "Result") -> None:
    took = f" ({result.seconds:.1f} s)" if result.seconds >= 1 else ""
    outcome = click.style(f"{result.outcome:<8}", _COLOURS[result.outcome])
    click.echo(f"{outcome}  {result.name}: {result.says}{took}")
    if result.do:
        click.echo("\n".join(f"          {line}" for line in f"-> {result.do}".splitlines()))


def _results(settings: Settings, quick: bool) -> "Iterator[Result]":
    from scripts.checks import store
    from scripts.checks.check import left_out
    from scripts.checks.machine import machine_checks
    from scripts.checks.trial import trial

    for name, check in machine_checks(settings):
        yield _watched(name, check)
    reached = store.Reached()
    yield _watched("credentials", lambda: store.credentials(settings.storage))
    with ExitStack() as stack:
        yield _watched("store", lambda: store.reach(settings, stack, reached))
        yield _watched("clock", lambda: store.clock(reached))
        yield _watched("region", lambda: store.region(settings, reached))
        if reached.settings is None:
            yield _watched("rights", lambda: left_out("The store cannot be asked."))
        else:
            yield from _rights(reached.settings)
        if settings.discovery.queue_url:
            yield from _queue(settings, settings.discovery.queue_url)
        there = reached.settings
        if quick:
            yield _watched("end to end", lambda: left_out("--quick"))
        elif there is None:
            yield _watched("end to end", lambda: left_out("The store cannot be asked."))
        else:
            say("A few photographs go from end to end: a minute or so.")
            yield _watched("end to end", lambda: trial(there))


def _rights(settings: Settings) -> "Iterator[Result]":
    from conf.s3 import control_client
    from scripts.checks.rights import Rights

    storage = settings.storage
    with closing(control_client(storage)) as client, Rights(client, storage, settings.discovery.clean) as rights:
        yield from _examined(rights.checks())


def _queue(settings: Settings, url: str) -> "Iterator[Result]":
    from scripts.checks.queue import QueueRights
    from streaming.sqs import queue_client

    with closing(queue_client(settings.storage, url)) as client:
        yield from _examined(QueueRights(client, settings.storage, url).checks())


def _examined(checks: "Iterator[tuple[str, Check]]") -> "Iterator[Result]":
    for name, check in checks:
        yield _watched(name, check)


def _watched(name: str, check: "Check") -> "Result":
    from scripts.checks.check import examine
    from scripts.progress import bar

    with bar(f"Checking {name}"):
        return examine(name, check)
