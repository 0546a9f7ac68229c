"""Whether a stream runs, as its lease tells: from storage alone, and so when the stream is dead, too."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from conf.lease import Held


class State(StrEnum):
    """What can be said of the stream of a store."""

    NEVER_RAN = "never ran"
    RUNNING = "running"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True)
class Liveness:
    """The state of the stream, and the lease that tells it."""

    state: State
    holder: str | None
    """Who has the lease, or had it and did not give it back."""
    until: datetime | None
    """When that lease runs out, or ran out, by the store's clock."""
    says: str
    """For a person."""


def liveness(lease: Held | None, *, worked: bool = False) -> Liveness:
    """What a lease tells of the stream; None where there is no lease, although, maybe, a stream has worked here."""
    if lease is None and worked:
        says = "its lease.json was deleted: a stream that ran has stopped for that; `fruits stream` goes on from there"
        return Liveness(State.STOPPED, None, None, says)
    if lease is None:
        return Liveness(State.NEVER_RAN, None, None, "no stream has worked here yet; `fruits stream` starts one")
    if lease.holder is None:
        says = f"it ended at {_clock(lease.written)} and gave its lease back; `fruits stream` goes on from there"
        return Liveness(State.STOPPED, None, None, says)
    holder, until = str(lease.holder), lease.until
    if lease.expired:
        says = (
            f"{holder} did not renew its lease, which ran out at {_clock(until)}: it was killed, is paused or cut off; "
            "`fruits stream` takes its place"
        )
        return Liveness(State.DEAD, holder, until, says)
    if lease.holder.is_dead():
        says = (
            f"{holder} has ended and not given its lease back; `fruits stream` takes its place, at once on this "
            f"machine and from {_clock(until)} on elsewhere"
        )
        return Liveness(State.DEAD, holder, until, says)
    return Liveness(State.RUNNING, holder, until, f"{holder} has the lease until {_clock(until)}, and renews it")


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
