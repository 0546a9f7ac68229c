"""What is wrong with a store, how much it matters, and what to do about it: rules over `scripts.accounting`'s figures.

Each rule is a pure function of the figures and the settings. Codes are part of the contract: add, never rename.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from conf.settings import Settings
from conf.tables import Reason
from conf.upkeep import MANY_FILES, SMALL_BYTES
from scripts.accounting import Accounting, account
from scripts.findings import Finding, Severity
from scripts.liveness import State
from scripts.wording import by_reason, count, duration

# Photographs that wait for so long, and no micro-batch in that time: a stream hangs. It never plans one to take longer.
_STUCK, _STUCK_BATCHES = 600.0, 5
# Shorter waits are the micro-batch under way.
_BEHIND = 120.0
_LISTED = 100_000
_REJECTED_AN_HOUR = 100
# A reduced that lacks more than this share, or is older than this, is stale; below, it is merely a little behind.
_UNSEEN, _OLD = 0.1, timedelta(days=1)
# Not mistakes of whoever drops: the object went, or changed, between discovery and reading.
_PASSING = {Reason.GONE, Reason.REPLACED}
# Short enough to stay on one line of a terminal.
_NEWEST = 'fruits query "SELECT key, detail FROM rejects ORDER BY rejected_at"'


def judged(settings: Settings) -> Accounting:
    """The figures of a store as of now, with what is wrong in them.

    Raises
    ------
    StorageError
        As for `account`.
    """
    counted = account(settings.storage)
    return replace(counted, findings=find(counted, settings))


def find(accounting: Accounting, settings: Settings) -> tuple[Finding, ...]:
    """Everything that is not as it should be, what matters most first."""
    found = [finding for rule in _RULES for finding in rule(accounting, settings)]
    return tuple(sorted(found, key=lambda finding: [*Severity].index(finding.severity)))


def _lost(a: Accounting, _: Settings) -> Iterator[Finding]:
    where = "docs/operations.md, When something is lost; mostly: fruits stream --rebuild-state"
    if a.refusal:
        yield Finding("refused", Severity.FAILED, f"No stream can start. {a.refusal}", where)
    elif a.unlisted:
        says = f"{count(a.unlisted, 'row')} of which state/ knows nothing: it was lost, or is older than the tables."
        yield Finding("unlisted", Severity.FAILED, says, where)


def _stream(a: Accounting, settings: Settings) -> Iterator[Finding]:
    stream, start = a.stream, "fruits stream"
    waits = _waits(a)
    if stream.state is State.DEAD:
        says = "The stream is dead" + (f", and {waits}." if a.backlog else ": what lands waits.")
        yield Finding("dead", Severity.FAILED, says, start)
    elif stream.state is State.STOPPED and a.backlog:
        yield Finding("stopped", Severity.WARNING, f"No stream runs, and {waits}.", start)
    elif stream.state is State.NEVER_RAN and a.backlog:
        yield Finding("never_ran", Severity.WARNING, f"No stream has run yet, and {waits}.", start)
    elif stream.state is State.NEVER_RAN and not a.refusal:
        says = f"Nothing has been dropped into {settings.storage.uri('landing/', 's3')} yet."
        yield Finding("empty", Severity.WARNING, says, "if bucket and prefix are right: fruits drop photos/")
    elif stream.state is State.RUNNING:
        yield from _running(a, settings)


def _running(a: Accounting, settings: Settings) -> Iterator[Finding]:
    left, seconds = a.stream.seconds_left, a.stream.seconds
    if left is not None and seconds and left < seconds / 3:
        says = f"The stream has not renewed its lease for {seconds - left:.0f} of {seconds:.0f} s: paused, or cut off?"
        yield Finding("lease_lapses", Severity.WARNING, says, f"look at {a.stream.holder}")
    quiet = _quiet_seconds(a)
    if quiet is not None and _hangs(a, quiet, settings):
        says = f"{_waits(a)}, and no micro-batch has ended for {duration(quiet)}: the stream hangs."
        yield Finding("stuck", Severity.FAILED, says, f"kill {a.stream.holder}, then: fruits stream")
    elif (a.lag_seconds or 0) > _BEHIND and a.images_per_second and a.landed_per_second > a.images_per_second:
        says = (
            f"The backlog grows: {a.landed_per_second:.3g} a second have landed for ten minutes, and "
            f"{a.images_per_second:.3g} a second are featurized."
        )
        yield Finding("growing", Severity.WARNING, says, "after one large drop, wait; else give the stream more cores")


def _hangs(a: Accounting, quiet: float, settings: Settings) -> bool:
    """Whether something is there to do, and was all along: a stream that has nothing to do makes no micro-batch."""
    limit = max(_STUCK, _STUCK_BATCHES * settings.stream.backlog_seconds)
    # With a queue, what no event told of waits for the next listing.
    found_within = 60 * settings.discovery.relist_minutes if settings.discovery.queue_url else 0
    waits, under_way = (a.lag_seconds or 0) - found_within, a.under_way_seconds or 0
    return min(quiet, max(waits, under_way)) > limit


def _quiet_seconds(a: Accounting) -> float | None:
    """For how long nothing came of a stream, as far as is known: since its last micro-batch, or its start."""
    ended = datetime.fromisoformat(a.last_batch["at"]) if a.last_batch and "at" in a.last_batch else None
    known = [moment for moment in (ended, a.stream.since) if moment]
    return (a.at - max(known)).total_seconds() if a.at and known else None


def _rejects(a: Accounting, _: Settings) -> Iterator[Finding]:
    # Those of a day may be too many to count, and those of an hour not.
    hour, day = a.rejects_last_hour or {}, a.rejects_last_day or {}
    if day.get(Reason.CRASHED):
        says = f"{count(day[Reason.CRASHED], 'photograph')} killed a worker in the last 24 hours; was memory short?"
        yield Finding(
            "crashed", Severity.WARNING, says, "with more memory: fruits reprocess --rejects --reason crashed"
        )
    many = sum(number for reason, number in hour.items() if reason not in _PASSING)
    if many > _REJECTED_AN_HOUR:
        says = f"{many} refusals in the last hour: {by_reason(hour)}. Somebody drops what is no photograph."
        yield Finding("many_rejects", Severity.WARNING, says, _NEWEST)
    elif day:
        says = f"{count(sum(day.values()), 'refusal')} in the last 24 hours: {by_reason(day)}."
        yield Finding("rejects", Severity.NOTE, says, _NEWEST)


def _reduced(a: Accounting, _: Settings) -> Iterator[Finding]:
    refresh = "fruits refresh"
    if a.refreshing or not a.features:
        return
    since = a.features_since_pca
    if a.pca_version is None:
        yield Finding("no_reduced", Severity.NOTE, "There are features, and no PCA yet.", refresh)
    elif a.pca_model_id and a.model_id and a.pca_model_id != a.model_id:
        says = f"reduced is of {a.pca_model_id}, features are of {a.model_id}."
        yield Finding("reduced_of_another_model", Severity.WARNING, says, refresh)
    elif since is None and a.last_ingested and a.published_at and a.last_ingested > a.published_at:
        says = "Features have come since reduced was published; how many is not known any more."
        yield Finding("stale", Severity.WARNING, says, refresh)
    elif since:
        old = bool(a.at and a.published_at and a.at - a.published_at > _OLD)
        stale = old or since > _UNSEEN * a.features
        says = f"reduced lacks {since} of {a.features} features: they came after PCA version {a.pca_version}."
        yield (
            Finding("stale", Severity.WARNING, says, refresh)
            if stale
            else Finding("behind", Severity.NOTE, says, refresh)
        )


def _model(a: Accounting, settings: Settings) -> Iterator[Finding]:
    wanted = settings.model.architecture
    if a.model_id and a.model_id.partition("/")[0] != wanted:
        says = f"features are of {a.model_id}, the settings name {wanted}: a stream with them is refused."
        yield Finding("other_model", Severity.WARNING, says, "docs/operations.md, Another model")


def _upkeep(a: Accounting, _: Settings) -> Iterator[Finding]:
    if a.set_aside:
        says = f"{count(a.set_aside, 'message')} of the queue could not be understood."
        yield Finding("set_aside", Severity.WARNING, says, "look at state/set-aside/, see who sent them, delete them")
    if a.features_files > 2 * MANY_FILES and a.features_bytes / a.features_files < SMALL_BYTES:
        says = f"{a.features_files} small files of features make questions slow: they should have been made fewer."
        where = "docs/operations.md, How the tables stay small; commits of a stream do it"
        yield Finding("small_files", Severity.WARNING, says, where)


def _forgetting(a: Accounting, _: Settings) -> Iterator[Finding]:
    if a.forgetting:
        says = f"{count(a.forgetting, 'request')} to forget photographs not carried out to the end."
        if a.forgetting_failed:
            says += f" The stream could not do its part: {a.forgetting_failed}"
        where = "once that is mended" if a.forgetting_failed else "where none runs"
        yield Finding("forgetting", Severity.WARNING, says, f"{where}: fruits forget --resume")
    if a.dropped_again:
        says = f"{count(a.dropped_again, 'forgotten photograph')} dropped again: in the landing zone, and not taken in."
        yield Finding(
            "dropped_again",
            Severity.WARNING,
            says,
            "see who drops them, then erase them again; docs/operations.md, Forgetting",
        )


def _discovery(a: Accounting, settings: Settings) -> Iterator[Finding]:
    if a.landed > _LISTED and settings.discovery.queue_url is None and settings.discovery.clean == "off":
        says = f"Each look at the landing zone lists all {a.landed} objects: set discovery.queue_url or .clean."
        yield Finding("long_listing", Severity.WARNING, says, "docs/operations.md, Keep the landing zone small")


_RULES: tuple[Callable[[Accounting, Settings], Iterable[Finding]], ...] = (
    _lost,
    _stream,
    _rejects,
    _reduced,
    _model,
    _upkeep,
    _forgetting,
    _discovery,
)


def _waits(a: Accounting) -> str:
    return f"{count(a.backlog, 'photograph')} wait{'s' if a.backlog == 1 else ''}"
