"""What is told of a micro-batch, as text: one line of JSON, and the format that Prometheus reads.

The text format is a name, labels and a number a line, and every value here is ours: a library for it would be one more
thing to keep, and would write no line of it differently.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from conf.tables import Reason

if TYPE_CHECKING:
    from streaming.sink import BatchReport

# What Spark measures of a trigger, by our names for it; `addBatch` is the sink, which measures itself.
_PHASES = {"latestOffset": "discover", "queryPlanning": "plan", "walCommit": "log_plan", "commitOffsets": "log_commit"}
_FEATURIZED = ("featurized", "")

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[Labels, float | None]

_METRICS = {
    "photographs_total": ("counter", "Object versions accounted for since the stream started."),
    "bytes_total": ("counter", "Bytes of photographs read since the stream started."),
    "batches_total": ("counter", "Micro-batches since the stream started."),
    "busy_seconds_total": ("counter", "Wall seconds spent in micro-batches since the stream started."),
    "batch_timestamp_seconds": ("gauge", "When the rows of the last micro-batch could be queried."),
    "stage_seconds": ("gauge", "Wall seconds of the last micro-batch by stage."),
    "worker_seconds": ("gauge", "Seconds of the last micro-batch by stage, summed over the workers."),
    "oldest_age_seconds": ("gauge", "From landing to queryable, for the oldest object of the last micro-batch."),
    "backlog": ("gauge", "Object versions that manifests listed and no table had after the last micro-batch."),
    "lease_until_timestamp_seconds": ("gauge", "When the stream's lease runs out unless renewed; 0 once it ended."),
}


def describe(batch: "BatchReport", phases: Mapping[str, int], backlog: int | None) -> dict[str, Any]:
    """One micro-batch, as it is told.

    Parameters
    ----------
    phases
        Milliseconds of its trigger by Spark's names; empty where Spark has not told.
    backlog
        Object versions that manifests listed and no table had after it; None where that is not known.

    Returns
    -------
    dict
        Ready for JSON. `batch_seconds` is the whole trigger where Spark told, and the sink's part of it otherwise.
    """
    sink = batch.featurize_s + batch.commit_s
    seconds = phases.get("triggerExecution", 0) / 1000 or sink
    stages = {ours: phases[name] / 1000 for name, ours in _PHASES.items() if name in phases}
    stages |= {"featurize": batch.featurize_s, "commit": batch.commit_s}
    return {
        "at": batch.committed_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "batch_id": batch.batch_id,
        "manifest": batch.manifest,
        "objects": batch.objects,
        "features": batch.features,
        "rejects": batch.rejects,
        "bytes": batch.bytes,
        "decodes": batch.decodes,
        "batch_seconds": round(seconds, 3),
        "images_per_second": round(batch.objects / seconds, 3) if seconds else None,
        "oldest_age_seconds": round(batch.oldest_age_s, 3),
        "backlog": backlog,
        "seconds": {stage: round(took, 3) for stage, took in stages.items()},
        "worker_seconds": {name.removesuffix("_s"): round(took, 3) for name, took in batch.stages.items()},
    }


def as_line(told: Mapping[str, Any]) -> bytes:
    """JSON on one line, and its end."""
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


class Totals:
    """All micro-batches of a run, and the last of them, as Prometheus reads them.

    Parameters
    ----------
    store
        Label of every sample, as node_exporter takes two files only where no sample of one is in the other.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._last: Mapping[str, Any] = {}
        # Reasons start at 0: a counter that appears out of nowhere has not grown, as far as Prometheus can tell.
        self._photographs = Counter({_FEATURIZED: 0} | {("rejected", reason.value): 0 for reason in Reason})
        self._sums = Counter({"bytes": 0, "batches": 0, "busy_seconds": 0})

    def add(self, told: Mapping[str, Any]) -> None:
        """One more micro-batch, as described."""
        self._photographs[_FEATURIZED] += told["features"]
        self._photographs.update({("rejected", reason): count for reason, count in told["rejects"].items()})
        self._sums.update(bytes=told["bytes"], batches=1, busy_seconds=told["batch_seconds"])
        self._last = told

    def text(self, lease_until: datetime | None) -> str:
        """Everything, in the text exposition format 0.0.4; a gauge that is not known is left out."""
        last = self._last
        at = datetime.fromisoformat(last["at"]).timestamp() if last else None
        samples: dict[str, Samples] = {
            "photographs_total": {_of(outcome=o, reason=r): count for (o, r), count in self._photographs.items()},
            **{f"{name}_total": {(): number} for name, number in self._sums.items()},
            "batch_timestamp_seconds": {(): at},
            "stage_seconds": {_of(stage=stage): took for stage, took in last.get("seconds", {}).items()},
            "worker_seconds": {_of(stage=stage): took for stage, took in last.get("worker_seconds", {}).items()},
            "oldest_age_seconds": {(): last.get("oldest_age_seconds")},
            "backlog": {(): last.get("backlog")},
            "lease_until_timestamp_seconds": {(): lease_until.timestamp() if lease_until else 0},
        }
        return "".join(line for name in _METRICS for line in self._family(name, samples[name]))

    def _family(self, name: str, samples: Samples) -> Iterator[str]:
        kind, help_text = _METRICS[name]
        known = {labels: value for labels, value in samples.items() if value is not None}
        if known:
            yield f"# HELP fruits_{name} {help_text}\n# TYPE fruits_{name} {kind}\n"
        for labels, value in known.items():
            written = ",".join(f'{label}="{_escaped(of)}"' for label, of in (("store", self._store), *labels))
            yield f"fruits_{name}{{{written}}} {round(value, 3)}\n"


def _of(**labels: str) -> Labels:
    return tuple(labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
