"""Who wrote: commits of all tables against the log of the leases."""

from collections.abc import Sequence
from datetime import datetime

from conf.commits import Commit, newest_commits
from conf.holders import Hold, Job, holds
from scripts.auditing.pins import Pins
from scripts.auditing.wrong import wrong
from scripts.findings import Finding, Severity

_WHO = "see who else may write the bucket; docs/operations.md, Who wrote what"
_JOBS: dict[str, Job] = {"features": "stream", "rejects": "stream", "reduced": "refresh", "pca_models": "refresh"}


def check_writers(pins: Pins, newest: int) -> tuple[list[Hold], list[Commit], list[Finding]]:
    """The log of the leases, and the newest commits of each table, so many at most; and what does not go together.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    commits = [
        commit
        for table, version in pins.versions.items()
        for commit in newest_commits(pins.store, pins.storage, table, version, newest)
    ]
    # After the commits, so that who made them has held a lease by now.
    log = holds(pins.store, pins.storage)
    runs = {hold.run: hold for hold in log}
    # Commits from before there was a log are of an earlier version of Fruits!.
    begun = {hold.job: hold.since for hold in reversed(log)}
    unsigned = [
        commit
        for commit in commits
        if (since := begun.get(_JOBS[commit.table])) and commit.at.replace(microsecond=0) > since
        if commit.by is None or commit.by.hold.run not in runs
    ]
    successors = _successors(log)
    late = [
        commit
        for commit in commits
        if commit.by and (taken := successors.get(commit.by.hold.run)) and commit.at.replace(microsecond=0) > taken
    ]
    findings = []
    if unsigned:
        what = "by nobody who held a lease"
        findings.append(wrong("unsigned", len(unsigned), "commit", what, _WHO, _named(unsigned), Severity.WARNING))
    if late:
        what = "by a holder whose lease another had taken over"
        do = "docs/operations.md, The lease"
        findings.append(wrong("late", len(late), "commit", what, do, _named(late), Severity.WARNING))
    return log, sorted(commits, key=lambda commit: commit.at), findings


def _successors(log: Sequence[Hold]) -> dict[str, datetime]:
    """When somebody else took the lease that each holder had, where somebody has."""
    taken: dict[Job, datetime] = {}
    successors = {}
    for hold in reversed(log):
        if hold.job in taken:
            successors[hold.run] = taken[hold.job]
        taken[hold.job] = hold.since
    return successors


def _named(commits: Sequence[Commit]) -> list[str]:
    return [f"{commit.table} version {commit.version}" for commit in commits]
