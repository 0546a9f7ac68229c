"""An audit of a store: the findings, and what they were found in."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import ConfigDict

from conf.commits import Commit
from conf.holders import Hold
from conf.s3 import check_bucket, object_store
from conf.settings import Storage
from scripts.auditing.entries import Entries, check_entries
from scripts.auditing.pins import asking, being_forgotten, pin
from scripts.auditing.vectors import Vectors, check_vectors
from scripts.auditing.writers import check_writers
from scripts.findings import Finding, Severity

# What a forgetting makes and unmakes.
_PASSING = {"missing", "foreign", "unlisted", "orphaned", "model_lost"}
_UNDER_WAY = Finding(
    "forgetting",
    Severity.NOTE,
    "Photographs wait to be forgotten, or are being: rows may seem to be lacking, or strange.",
    "fruits forget --resume, then audit again",
)


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what is wrong with it."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    store: str
    """Which store this is of."""
    at: datetime
    """When it was pinned, by this machine's clock."""
    versions: dict[str, int]
    """Delta version of each table that was looked at."""
    entries: Entries
    """Manifests and the rows that they became."""
    vectors: Vectors
    """What `reduced` holds."""
    holders: tuple[Hold, ...]
    """Everybody who has held a lease, oldest first."""
    commits: tuple[Commit, ...]
    """The newest of each table, oldest first."""
    findings: tuple[Finding, ...]
    """What is not as it should be; empty where all is well."""


def audit(storage: Storage, newest: int) -> Audit:
    """Look at everything, and change nothing. Safe beside a stream and a refresh that run.

    Parameters
    ----------
    newest
        Commits of each table to look at.

    Raises
    ------
    StorageError
        Where the bucket is not there, or does not answer.
    ContractError
        Where a table is of another contract, or the checkpoint is damaged.
    """
    check_bucket(storage)
    at, pins = datetime.now(UTC), pin(storage, object_store(storage))
    with asking(pins) as connection:
        entries, lost = check_entries(pins, connection)
        vectors, apart = check_vectors(pins, connection)
    holders, commits, strange = check_writers(pins, newest)
    findings = (*lost, *apart, *strange)
    # What takes photographs out of one place after another may have been met in the middle.
    if pins.forgetting | being_forgotten(storage, pins.store):
        findings = (
            _UNDER_WAY,
            *(replace(one, severity=Severity.NOTE) if one.code in _PASSING else one for one in findings),
        )
    return Audit(
        storage.uri("", "s3"),
        at,
        pins.versions,
        entries,
        vectors,
        tuple(holders),
        tuple(commits),
        findings,
    )
