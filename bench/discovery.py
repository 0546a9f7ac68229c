"""What a look at the landing zone costs, by how many objects are known: in listing mode, and with a queue.

    python -m bench.discovery                       1,000, 100,000 and 1,000,000 objects; minutes
    python -m bench.discovery --known 1000 20000 --json

The source of keys is the real one, and asked as Spark would: one trigger at the start of a stream, one that finds
nothing new, one that finds ten objects. Then a new stream on a backlog of the largest number: when its first manifest
is there. Each case runs in a process of its own; memory is the peak of its RSS during the trigger, interpreter and
libraries included. What answers is bench/landing_server.py: its pages cost no disk and no network, so seconds are the
client's, and on S3 each LIST adds its latency.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from bench.landing_server import landed, serve_landing
from conf.s3 import control_client, object_store
from conf.settings import Settings, Storage, load
from scripts.session import override, say
from streaming.ledger import Ledger
from streaming.manifests import Landed
from streaming.source import KeyReader
from streaming.sqs import queue_client

_NEW = 10
# Manifests that the known objects are said to come from: as many as make the ledger save itself.
_LAST = 500
_TASKS = 2


@dataclass(frozen=True)
class Cost:
    """Of one trigger, or of as many as it took to find what there was."""

    triggers: int
    found: int
    """Objects in its manifest; 0 where it wrote none."""
    seconds: float
    requests: dict[str, int]
    peak_mb: float | None
    """None where there is no /proc."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.discovery", description=__doc__.splitlines()[0])
    parser.add_argument("--known", type=int, nargs="+", default=[1000, 100_000, 1_000_000], help="objects known")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    figures = measure(sorted(asked.known))
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(known: Sequence[int]) -> dict[str, Any]:
    """All cases; figures by mode, number of known objects, and trigger."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    os.environ.pop("AWS_SESSION_TOKEN", None)
    triggers: dict[str, dict[str, dict[str, Cost]]] = {}
    for mode, case in (("listing", _listing), ("queue", _queue)):
        triggers[mode] = {}
        for count in known:
            triggers[mode][str(count)] = _in_a_process(case, count)
            say(f"{mode}, {count} known: {triggers[mode][str(count)]['nothing_new']}")
    backlog = _in_a_process(_backlog, known[-1])
    return {
        "triggers": {
            mode: {count: {name: asdict(cost) for name, cost in costs.items()} for count, costs in by_count.items()}
            for mode, by_count in triggers.items()
        },
        "backlog": {"objects": known[-1], **{name: asdict(cost) for name, cost in backlog.items()}},
        **_ratios(triggers, str(known[0]), str(known[-1])),
    }


def _ratios(triggers: dict[str, dict[str, dict[str, Cost]]], fewest: str, most: str) -> dict[str, float]:
    """What the same trigger costs with the most objects known, in terms of what it costs with the fewest."""
    ratios = {}
    for mode, by_count in triggers.items():
        for name in ("nothing_new", "ten_new"):
            few, many = by_count[fewest][name], by_count[most][name]
            ratios[f"{mode}_{name}_seconds_most_vs_fewest"] = many.seconds / few.seconds
            ratios[f"{mode}_{name}_requests_most_vs_fewest"] = sum(many.requests.values()) / sum(few.requests.values())
    return ratios


def _listing(endpoint: str, known: int) -> dict[str, Cost]:
    return _three_triggers(_settings(endpoint), known)


def _queue(endpoint: str, known: int) -> dict[str, Cost]:
    settings = _settings(endpoint)
    url = queue_client(settings.storage, f"{endpoint}/queue").create_queue(QueueName="landed")["QueueUrl"]
    return _three_triggers(override(settings, "discovery", queue_url=url), known)


def _backlog(endpoint: str, known: int) -> dict[str, Cost]:
    settings = _settings(endpoint)
    _hold(endpoint, known)
    reader = KeyReader(settings, 0, _TASKS)
    return {"first_manifest": _trigger(settings, reader), "second_manifest": _trigger(settings, reader)}


def _three_triggers(settings: Settings, known: int) -> dict[str, Cost]:
    endpoint = str(settings.storage.endpoint)
    # In a process of its own, or this one's memory would be that of a million objects.
    _await(multiprocessing.get_context("spawn").Process(target=_save_ledger, args=(settings.storage, known)))
    _hold(endpoint, known)
    reader = KeyReader(settings, _LAST, _TASKS)
    costs = {"start": _trigger(settings, reader), "nothing_new": _trigger(settings, reader)}
    _hold(endpoint, known + _NEW)
    if url := settings.discovery.queue_url:
        _tell(settings, url, range(known, known + _NEW))
    # A look that has lasted a second hands over the first that it finds, and the next trigger takes up the rest.
    ten = [_trigger(settings, reader)]
    while ten[-1].found and sum(cost.found for cost in ten) < _NEW:
        ten.append(_trigger(settings, reader))
    costs["ten_new"] = _together(ten)
    if [cost.found for cost in costs.values()] != [0, 0, _NEW]:
        raise SystemExit(f"not 0, 0 and {_NEW} objects were found but {costs}")
    return costs


def _trigger(settings: Settings, reader: KeyReader) -> Cost:
    """Ask as Spark does, and see what that took."""
    endpoint = str(settings.storage.endpoint)
    before = reader._planned
    _requests(endpoint)
    _forget_peak()
    begun = time.perf_counter()
    after = reader.latestOffset()["manifest"]
    seconds = time.perf_counter() - begun
    peak, requests = _peak_mb(), _requests(endpoint)
    found = reader._ledger.manifests.count(after) if after > before else 0
    return Cost(1, found, seconds, requests, peak)


def _together(costs: Sequence[Cost]) -> Cost:
    requests = sum((Counter(cost.requests) for cost in costs), Counter[str]())
    peak = max((cost.peak_mb for cost in costs if cost.peak_mb is not None), default=None)
    return Cost(len(costs), sum(c.found for c in costs), sum(c.seconds for c in costs), dict(requests), peak)


def _settings(endpoint: str) -> Settings:
    # Each trigger looks, and none waits for its time.
    settings = override(load("local", ["stream.trigger_seconds=0"]), "storage", endpoint=endpoint)
    storage = settings.storage
    client = control_client(storage)
    client.create_bucket(Bucket=storage.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    return settings


def _save_ledger(storage: Storage, known: int) -> None:
    """What a stream would have left that has seen all these: manifests before the last are never read again."""
    versions: list[Landed] = [landed(number, storage.landing) for number in range(known)]
    Ledger(object_store(storage), storage).add(_LAST, versions)


def _tell(settings: Settings, url: str, numbers: range) -> None:
    """Tell the queue, as S3 would, of objects that have landed."""
    storage = settings.storage
    client = queue_client(storage, url)
    for number in numbers:
        version = landed(number, storage.landing)
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": storage.region,
            "eventTime": version.last_modified.isoformat(),
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": storage.bucket},
                "object": {"key": version.key, "size": version.size, "eTag": version.etag},
            },
        }
        client.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))


def _hold(endpoint: str, count: int) -> None:
    urlopen(Request(f"{endpoint}/-/landing?{count}", method="PUT")).close()  # noqa: S310 (our own server)


def _requests(endpoint: str) -> dict[str, int]:
    with urlopen(f"{endpoint}/-/requests") as answer:  # noqa: S310 (our own server)
        counted: dict[str, int] = json.load(answer)
    return counted


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def _in_a_process(case: Any, known: int) -> dict[str, Cost]:
    """One case on a server and in a process of its own, so that none finds the memory of another."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with serve_landing(load("local").storage.landing) as endpoint:
        _await(context.Process(target=_run, args=(case, endpoint, known, sender)))
    costs: dict[str, Cost] = receiver.recv()
    return costs


def _run(case: Any, endpoint: str, known: int, sender: Connection) -> None:
    sender.send(case(endpoint, known))


def _await(process: Any) -> None:
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("a case failed: see above")


def show(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    for mode, by_count in figures["triggers"].items():
        for count, costs in by_count.items():
            for name, cost in costs.items():
                print(f"{mode:<8} {int(count):>9,} known  {name.replace('_', ' '):<15} {_told(cost)}")
    for name in ("first_manifest", "second_manifest"):
        objects = figures["backlog"]["objects"]
        print(f"{'backlog':<8} {objects:>9,}        {name.replace('_', ' '):<15} {_told(figures['backlog'][name])}")


def _told(cost: dict[str, Any]) -> str:
    requests = ", ".join(f"{count} {kind}" for kind, count in sorted(cost["requests"].items()))
    memory = "" if cost["peak_mb"] is None else f"{cost['peak_mb']:6.0f} MB  "
    triggers = f"  in {cost['triggers']} triggers" if cost["triggers"] > 1 else ""
    return f"{cost['seconds']:8.3f} s  {memory}{requests}{triggers}"


if __name__ == "__main__":
    main()
