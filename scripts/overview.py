"""What is in a store, in figures: what the explorer's page and the report tell beside the photographs themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batch.models import load
from batch.pca import PCA
from conf.errors import DataError
from conf.settings import Settings
from scripts.accounting import Accounting
from scripts.rules import judged
from scripts.sql import Tables

_EXAMPLES = 3
# Arrivals are counted by the shortest of these that makes no more than so many counts.
_COUNTS = 120
_SPANS = (
    ("10 seconds", 10),
    ("minute", 60),
    ("10 minutes", 600),
    ("hour", 3_600),
    ("6 hours", 21_600),
    ("day", 86_400),
    ("week", 604_800),
    ("30 days", 2_592_000),
    ("365 days", 31_536_000),
)

_REDUCED = "SELECT max(pca_version) AS pca_version, count(*) AS photographs FROM reduced"
_LABELS = "SELECT label, count(*) AS photographs FROM reduced GROUP BY label ORDER BY photographs DESC, label"
_REFITS = """
SELECT pca_version, fitted_at, n, k, list_sum(explained_variance_ratio) AS explained,
       compared_to, mean_shift, variance_change, explained_change
FROM pca_models ORDER BY pca_version
"""
_REJECTS = f"""
SELECT reason, count(*) AS objects,
       arg_max({{'key': key, 'detail': detail, 'rejected_at': rejected_at}}, rejected_at, {_EXAMPLES}) AS examples
FROM rejects GROUP BY reason ORDER BY objects DESC, reason
"""  # noqa: S608 (our own words)
_SPAN = "SELECT epoch(max(last_modified) - min(last_modified)) AS seconds FROM features"
_ARRIVALS = """
SELECT time_bucket(to_seconds({seconds}), last_modified) AS began, count(DISTINCT (key, etag)) AS photographs
FROM features GROUP BY ALL ORDER BY began
"""


@dataclass(frozen=True)
class Arrivals:
    """Photographs that were featurized, by when they landed; one that was again counts once."""

    every: str
    """What each count spans, such as hour."""
    seconds: int
    """The same."""
    counts: list[dict[str, Any]]
    """`began` and `photographs`; only where there are any."""


@dataclass(frozen=True)
class Overview:
    """A store at a glance."""

    place: str
    made_at: datetime
    accounting: Accounting
    reduced: int
    """Photographs in `reduced`."""
    pca_version: int
    model_id: str
    pca: PCA
    labels: list[dict[str, Any]]
    """`label` and `photographs`, the most frequent first."""
    refits: list[dict[str, Any]]
    """One of each, the oldest first: what it saw, and how far it was from the one before."""
    rejects: list[dict[str, Any]]
    """`reason`, `objects`, and the newest of them as `examples`; the most frequent first."""
    arrivals: Arrivals


def overview(settings: Settings, asked: Tables) -> Overview:
    """Look at all tables, as they were opened, and at what a stream does now.

    Raises
    ------
    DataError
        Where there has been no refresh.
    StorageError
        Where the store fails.
    """
    storage = settings.storage
    (reduced,) = _rows(asked, _REDUCED) if "reduced" in asked else [{"photographs": 0}]
    if not reduced["photographs"]:
        raise DataError(
            f"{storage.table_uri('reduced')} has no vectors yet. Run `fruits stream`, then `fruits refresh`."
        )
    model = load(storage, reduced["pca_version"])
    return Overview(
        place=storage.uri("", "s3"),
        made_at=datetime.now(UTC),
        accounting=judged(settings),
        reduced=reduced["photographs"],
        pca_version=model.pca_version,
        model_id=model.model_id,
        pca=model.pca,
        labels=_rows(asked, _LABELS),
        refits=_rows(asked, _REFITS),
        rejects=_rows(asked, _REJECTS) if "rejects" in asked else [],
        arrivals=_arrivals(asked),
    )


def _arrivals(asked: Tables) -> Arrivals:
    (span,) = _rows(asked, _SPAN)
    every, seconds = next((s for s in _SPANS if (span["seconds"] or 0) / s[1] <= _COUNTS), _SPANS[-1])
    return Arrivals(every, seconds, _rows(asked, _ARRIVALS.format(seconds=seconds)))


def _rows(asked: Tables, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = asked.ask(sql).read_all().to_pylist()
    return rows
