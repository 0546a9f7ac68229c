"""Whether a stream runs, as its lease tells: from storage alone, and so when the stream is dead, too."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict

from conf.lease import Held
from scripts.wording import clock


class State(StrEnum):
    """What can be said of the stream of a store."""

    NEVER_RAN = "never ran"
    RUNNING = "running"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True)
class Liveness:
    """The state of the stream, and the lease that tells it."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    state: State
    """docs/operations.md says what each means."""
    holder: str | None
    """Who has the lease, or had it and did not give it back."""
    until: datetime | None
    """When that lease runs out, or ran out, by the store's clock."""
    says: str
    """The same for a person."""
    since: datetime | None = None
    """When who has the lease, or had it last, took it, by the store's clock; None where that is not told."""
    renewed: datetime | None = None
    """When the lease was taken, renewed or given back last, by the store's clock."""
    seconds_left: float | None = None
    """Of the lease, while a stream is running."""
    seconds: float | None = None
    """How long the lease lasts unless renewed; it is renewed three times in that."""


def liveness(lease: Held | None, *, worked: bool = False) -> Liveness:
    """What a lease tells of the stream; None where there is no lease, although, maybe, a stream has worked here."""
    if lease is None and worked:
        says = "its lease.json was deleted: a stream that ran has stopped for that; `fruits stream` goes on from there"
        return Liveness(State.STOPPED, None, None, says)
    if lease is None:
        return Liveness(State.NEVER_RAN, None, None, "no stream has worked here yet; `fruits stream` starts one")
    if lease.holder is None:
        says = f"it ended at {clock(lease.written)} and gave its lease back; `fruits stream` goes on from there"
        return Liveness(State.STOPPED, None, None, says, lease.since, lease.written)
    holder, until = str(lease.holder), lease.until
    if lease.expired:
        says = (
            f"{holder} did not renew its lease, which ran out at {clock(until)}: it was killed, is paused or cut off; "
            "`fruits stream` takes its place"
        )
        return Liveness(State.DEAD, holder, until, says, lease.since, lease.written)
    if lease.holder.is_dead():
        says = (
            f"{holder} has ended and not given its lease back; `fruits stream` takes its place, at once on this "
            f"machine and from {clock(until)} on elsewhere"
        )
        return Liveness(State.DEAD, holder, until, says, lease.since, lease.written)
    up = f", up since {clock(lease.since)}," if lease.since else ""
    says = f"{holder}{up} has the lease until {clock(until)}, and renews it"
    left = (until - lease.now).total_seconds() if lease.now else None
    return Liveness(State.RUNNING, holder, until, says, lease.since, lease.written, left, lease.seconds)
