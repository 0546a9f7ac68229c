"""Who wrote: commits of all tables against the log of the leases."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from conf.commits import Commit, newest_commits
from conf.holders import Hold, Job, holds
from scripts.auditing.pins import Pins
from scripts.auditing.wrong import wrong
from scripts.findings import Finding, Severity

_WHO = "see who else may write the bucket; docs/operations.md, Who wrote what"
_SAYS = {
    "unsigned": ("that nobody signed", _WHO),
    "unlogged": (
        "by a holder whom the log of the leases does not have",
        "if state/leases/ lost anything, restore it from a copy; docs/operations.md, Who wrote what",
    ),
    "wrong_job": ("by a job whose table it is not", _WHO),
    "late": ("by a holder whose lease another had taken over", "docs/operations.md, The lease"),
}
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
    known, successors = {hold.entry for hold in log}, _successors(log)
    signed = [(commit, commit.by.hold) for commit in commits if commit.by]
    found = {
        "unsigned": [commit for commit in commits if not commit.by],
        "unlogged": [commit for commit, hold in signed if hold.entry not in known],
        "wrong_job": [commit for commit, hold in signed if hold.job != _JOBS[commit.table]],
        "late": [
            commit
            for commit, hold in signed
            if (taken := successors.get(hold.run)) and commit.at.replace(microsecond=0) > taken
        ],
    }
    findings = [
        wrong(code, len(such), "commit", *_SAYS[code], _named(such), Severity.WARNING)
        for code, such in found.items()
        if such
    ]
    return log, sorted(commits, key=lambda commit: commit.at), findings


def _successors(log: Sequence[Hold]) -> dict[str, datetime]:
    """When somebody else took the lease that each holder had, where somebody has.

    The store's clock has whole seconds: of those that took it in one, none is known to be another's successor.
    """
    moments = {job: sorted({hold.since for hold in log if hold.job == job}) for job in {hold.job for hold in log}}
    successors = {}
    for hold in log:
        later = moments[hold.job]
        if (following := bisect_right(later, hold.since)) < len(later):
            successors[hold.run] = later[following]
    return successors


def _named(commits: Sequence[Commit]) -> list[str]:
    return [f"{commit.table} version {commit.version}" for commit in commits]
