"""The figures of a store, as `fruits status --json` prints them. Names are part of the contract: add, never rename."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ConfigDict
from typing_extensions import TypedDict

from scripts.findings import Finding
from scripts.liveness import Liveness


class MicroBatch(TypedDict, total=False):
    """What the stream told of a micro-batch, as the newest line of `stream.metrics_file`."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # type: ignore[misc]

    at: str
    """When its rows could be queried: ISO 8601, UTC."""
    batch_id: int
    """The micro-batch."""
    manifest: int
    """The last manifest that it took in."""
    objects: int
    """Object versions in all."""
    features: int
    """Of these, those featurized."""
    rejects: dict[str, int]
    """Of these, those refused, by reason."""
    bytes: int
    """Read from the store."""
    decodes: int
    """Photographs decoded."""
    batch_seconds: float
    """The whole of it, from looking for what landed to Spark's own note of its end."""
    images_per_second: float | None
    """Objects by these seconds."""
    oldest_age_seconds: float
    """From landing to queryable, for the oldest object."""
    backlog: int | None
    """What manifests listed and no table had after it; None where that was not known."""
    seconds: dict[str, float]
    """Wall time by stage."""
    worker_seconds: dict[str, float]
    """By stage, summed over the workers."""


@dataclass(frozen=True)
class Accounting:
    """Object versions by where they are, and the stream that moves them."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    stream: Liveness
    """Whether a stream runs."""
    last_batch: MicroBatch | None
    """What the stream told of its last micro-batch; None before the first."""
    landed: int
    """Photographs in the landing zone now."""
    waiting: int
    """Of these, those that no manifest lists yet."""
    lag_seconds: float | None
    """For how long the oldest of those has waited; None where none waits."""
    discovered: int
    """Object versions that manifests list, less those that left the tables on purpose, as those that were forgotten."""
    features: int
    """Rows of features."""
    under_way: int
    """Listed by a manifest, and in no table yet."""
    backlog: int
    """Waiting or under way."""
    rejects: dict[str, int] = field(default_factory=dict)
    """Rows of rejects, by reason."""
    unlisted: int = 0
    """Rows beyond what manifests list: more than none where the state was lost, or is older than the tables."""
    set_aside: int = 0
    """Messages of a queue that could not be understood."""
    forgetting: int = 0
    """Requests of `fruits forget` that are not carried out yet."""
    forgetting_failed: str | None = None
    """Why the stream could not carry one of them out when it last tried."""
    dropped_again: int = 0
    """Photographs in the landing zone that were forgotten: they are not taken in again."""
    model_id: str | None = None
    """Of the network that features are of."""
    last_ingested: datetime | None = None
    """When the newest row of features was made."""
    features_files: int = 0
    """Data files of features."""
    features_bytes: int = 0
    """Of these files, in all."""
    current: int | None = None
    """Distinct keys in features; None where it would take too long to count them."""
    reduced: int = 0
    """Rows of reduced."""
    pca_version: int | None = None
    """Of the model that made them; None before the first refresh."""
    features_since_pca: int | None = None
    """Rows of features that the published PCA has not seen; None where that is not known any more."""
    store: str = ""
    """Which store this is of."""
    at: datetime | None = field(default=None, compare=False)
    """When it was looked at, by the store's clock where that is told."""
    landed_per_second: float = field(default=0.0, compare=False)
    """What has landed in the last ten minutes and is still in the landing zone, a second."""
    images_per_second: float | None = None
    """Of the last micro-batch."""
    backlog_seconds: float | None = None
    """How long the backlog takes at that rate, if no more lands; None without a backlog or a rate."""
    rejects_last_hour: dict[str, int] | None = None
    """Of rejects, those of the last hour; None where it would take too long to count them."""
    rejects_last_day: dict[str, int] | None = None
    """Of rejects, those of the last 24 hours; None where it would take too long to count them."""
    under_way_seconds: float | None = field(default=None, compare=False)
    """How long ago the newest manifest was written; None where nothing is under way."""
    refusal: str | None = None
    """Why the next start of a stream would be refused, while none runs: tables and state do not fit together."""
    fitted_at: datetime | None = None
    """When the PCA that made reduced was fitted."""
    published_at: datetime | None = None
    """When vectors were last written to reduced; None where the log does not tell any more."""
    pca_model_id: str | None = None
    """Of the network whose features that PCA was fitted on."""
    refreshing: str | None = None
    """Who is at a refresh at this moment."""
    findings: tuple[Finding, ...] = ()
    """What is not as it should be, what matters most first; empty where all is well."""
