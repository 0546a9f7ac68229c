"""An audit of a store: the findings, and what they were found in."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ConfigDict

from conf.commits import Commit
from conf.forgetting import requests
from conf.holders import Hold
from conf.s3 import check_bucket, object_store
from conf.settings import Storage
from scripts.auditing.entries import Entries, check_entries
from scripts.auditing.pins import asking, pin
from scripts.auditing.vectors import Vectors, check_vectors
from scripts.auditing.writers import check_writers
from scripts.findings import Finding, Severity

_UNDER_WAY = Finding(
    "forgetting",
    Severity.NOTE,
    "Photographs wait to be forgotten, or are being: what is left of these, and of no others, is passed over.",
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
    passed_over = (_UNDER_WAY,) if pins.going or requests(pins.store, storage) else ()
    return Audit(
        storage.uri("", "s3"),
        at,
        pins.versions,
        entries,
        vectors,
        tuple(holders),
        tuple(commits),
        (*passed_over, *lost, *apart, *strange),
    )
