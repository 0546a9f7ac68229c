"""`fruits refresh`: the PCA refresh."""

import logging
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from conf.errors import DataError, FruitsError, LeaseError, StorageError, WorkerDiedError
from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, override, say, spark_session, takes_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from batch.refresh import Summary

_log = logging.getLogger(__name__)
_LONGEST = 366 * 86_400
_DOING = {
    "pin": "Looking for rows that count",
    "fit": "Fitting",
    "publish": "Writing model and vectors",
    "upkeep": "Deleting files of old versions",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Of a time such as 90s, 15m or 1.5h."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)
    if not found or not float(found[1]):
        raise click.BadParameter(f"{value!r} is no time: write 90s, 15m, 1.5h or 1d.")
    if (seconds := float(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise click.BadParameter(f"{value} is longer than a year.")
    return seconds


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """What click's ranges let pass: nan, and where there is no upper end, inf."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number to go by.")
    return value


@click.command(name="refresh")
@takes_settings
@click.option(
    "--variance",
    type=click.FloatRange(0, 1, min_open=True),
    callback=_finite,
    help="Keep the fewest components that explain this share (default 0.95).",
)
@click.option("-k", type=click.IntRange(1), help="Keep exactly this many components.")
@click.option("--solver", type=click.Choice(["exact", "mllib"]), help="mllib: Spark's own, slower, the same result.")
@click.option(
    "--full",
    is_flag=True,
    help="Read all rows, not only those that have changed; with --every, at first.",
)
@click.option(
    "--if-drift",
    type=click.FloatRange(0),
    callback=_finite,
    metavar="X",
    help="Refit only where the rows have drifted further than this, 0.05 say; else project what is new.",
)
@click.option(
    "--model-version",
    type=click.IntRange(1),
    metavar="N",
    help="Refit nothing: project by this PCA version. The way back to an older one.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what would be read for it; do nothing.")
@click.option(
    "--every",
    callback=_seconds,
    metavar="TIME",
    help="Stay up, and refresh that often where anything has changed: 15m, 1h.",
)
@click.option(
    "--if-changed",
    is_flag=True,
    help="For a schedule: where nothing has changed, too little has come or another refresh works, do nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines; with --every, a line each.")
def command(
    settings: Settings,
    variance: float | None,
    k: int | None,
    solver: str | None,
    full: bool,
    if_drift: float | None,
    model_version: int | None,
    dry_run: bool,
    every: float | None,
    if_changed: bool,
    as_json: bool,
) -> None:
    """Refit PCA on all features and replace the reduced vectors, in one commit.

    \b
    fruits refresh
    fruits refresh --variance 0.9
    fruits refresh -k 64 --every 15m
    fruits refresh --if-changed
    fruits refresh --every 15m --if-drift 0.05
    fruits refresh --model-version 3 --dry-run
    """
    if variance is not None and k is not None:
        raise click.UsageError("--variance and -k exclude each other: give one.")
    if model_version is not None and (variance, k, solver, if_drift) != (None, None, None, None):
        raise click.UsageError("--model-version refits nothing: leave out --variance, -k, --solver and --if-drift.")
    if dry_run and every:
        raise click.UsageError("--dry-run does nothing, however often: leave out --every.")
    if if_changed and (every or full or dry_run):
        raise click.UsageError("--if-changed refreshes once what has changed: leave out --every, --full and --dry-run.")
    if variance is not None or k is not None:
        settings = override(settings, "pca", variance=variance, k=k)
    if solver:
        settings = override(settings, "pca", solver=solver)
    if if_drift is not None and settings.pca.solver != "exact":
        raise click.UsageError(
            "Drift is told by running sums, which the solver mllib does not keep: leave out --if-drift."
        )
    if dry_run:
        _foresee(settings, full, if_drift, model_version, as_json)
        return
    from batch.refresh import CAN_WAIT, run

    with opened(settings) as settings, spark_session(settings) as spark:
        if if_changed:
            try:
                if done := _if_changed(spark, settings, if_drift, model_version):
                    _show(done, as_json, indent=2)
            except CAN_WAIT as error:
                say(f"{error} Nothing was done.")
            return
        begun = time.monotonic()
        try:
            with stages_shown() as on_stage:
                summary = run(
                    spark, settings, full=full, if_drift=if_drift, model_version=model_version, on_stage=on_stage
                )
            _show(summary, as_json, indent=None if every else 2)
        except DataError as error:
            # Photographs may be yet to come.
            if not every:
                raise
            _wait_after(error)
        while every:
            time.sleep(max(0.0, begun + every - time.monotonic()))
            begun = time.monotonic()
            if again := _again(spark, settings, if_drift, model_version):
                _show(again, as_json, indent=None)


def _foresee(settings: Settings, full: bool, if_drift: float | None, model_version: int | None, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from batch.planning import foresee
    from scripts.show import show_outlook

    with opened(settings, reading=True) as settings, bar("Looking for rows that count"):
        outlook = asdict(foresee(settings, full=full, if_drift=if_drift, model_version=model_version))
    if as_json:
        click.echo(json.dumps(outlook, indent=2))
    else:
        show_outlook(outlook)


@contextmanager
def stages_shown() -> Iterator[Callable[[str], None]]:
    """A spinner that says which stage a refresh is in, as it is told."""
    with bar("Refreshing") as shown:
        yield lambda stage: shown.says(_DOING[stage])


def _if_changed(
    spark: "SparkSession", settings: Settings, if_drift: float | None, model_version: int | None
) -> "Summary | None":
    """Refresh if anything has changed."""
    from batch.refresh import run

    with stages_shown() as on_stage:
        summary = run(
            spark, settings, if_drift=if_drift, model_version=model_version, if_changed=True, on_stage=on_stage
        )
    if summary is None:
        say(f"{datetime.now():%H:%M:%S} Nothing has changed.")
    return summary


def _again(
    spark: "SparkSession", settings: Settings, if_drift: float | None, model_version: int | None
) -> "Summary | None":
    """The same; what may be otherwise next time, such as a store that is away, is told."""
    try:
        return _if_changed(spark, settings, if_drift, model_version)
    except (StorageError, LeaseError, DataError, WorkerDiedError) as error:
        _wait_after(error)
        return None


def _wait_after(error: FruitsError) -> None:
    _log.error("%s %s The next attempt comes.", f"{datetime.now():%H:%M:%S}", error)


def _show(summary: "Summary", as_json: bool, indent: int | None) -> None:
    import json
    from dataclasses import asdict

    from scripts.show import show_refresh

    if as_json:
        click.echo(json.dumps(asdict(summary), indent=indent))
    else:
        show_refresh(asdict(summary))
