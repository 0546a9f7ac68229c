"""Deployments as a person, or another program, reads them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from conf.settings import Storage
from scripts.deployment.buckets import Data
from scripts.deployment.plan import Deployed
from scripts.deployment.steps import Call
from scripts.deployment.teardown import Undeployed
from scripts.deployment.templates import template

_WIDTH = 120


def calls(made: Iterable[Call]) -> str:
    """Each request with its parameters; those that change nothing in one line."""
    return "\n".join(_call(number, call) for number, call in enumerate(made, 1))


def calls_as_json(made: Iterable[Call]) -> str:
    """The same, as one list."""
    return _json(
        [
            {
                "service": call.service,
                "operation": call.operation,
                "changes": call.changes,
                "parameters": _abridged(call.parameters),
            }
            for call in made
        ]
    )


def deployed(done: Deployed, aws_profile: str | None) -> str:
    """What runs, where, what it costs, and what to type next."""
    least, most = done.usd_per_hour
    running = done.running
    settings = [f"FRUITS_STORAGE__BUCKET={done.bucket}", f"FRUITS_STORAGE__REGION={done.region}"]
    profile = [f"AWS_PROFILE={aws_profile}"] if aws_profile else []
    return "\n".join(
        [
            f"Deployed {done.name}, version {done.version}, in {done.region} (account {done.account}).",
            f"  {running.kind} {running.id}: {running.state}, {'started now' if running.is_new else 'as before'}",
            f"  PCA refresh: {done.refresh}",
            f"  bucket:      {done.bucket}; drop photographs below landing/<label>/",
            f"  console:     {running.place}; region {done.region}",
            f"  log:         CloudWatch > Log groups > {done.logs}",
            f"  costs:       about {least:.2f} USD an hour while nothing lands, {most:.2f} at most; beside it, S3's",
            "Next:",
            f"  export {' '.join([*profile, 'FRUITS_PROFILE=aws', *settings])}",
            "  fruits drop photos/",
            "  fruits status",
            f"  fruits undeploy --name {done.name}{_elsewhere(done.region)}",
        ]
    )


def deployed_as_json(done: Deployed) -> str:
    """The same, for machines."""
    return _json(asdict(done))


def undeployed(done: Undeployed) -> str:
    """What was looked for and what is left, and what that costs."""
    lines = [f"What AWS lists of {done.name} in {done.region}:"]
    lines += [f"  {left.kind}: {', '.join(left.names) or 'none'}" for left in done.looked]
    if done.kept:
        lines.append(
            f"Kept: the bucket {held(done.kept)}. The next `fruits deploy` takes it in again; `fruits undeploy --name "
            f"{done.name}{_elsewhere(done.region)} --bucket {done.kept.bucket} --delete-data` deletes it."
        )
    if not done.is_clean:
        lines.append(
            "Something is left. Run this again in a minute: AWS lists some things for a while after their end."
        )
    elif not done.kept:
        lines.append("Nothing is left that costs.")
    return "\n".join(lines)


def undeployed_as_json(done: Undeployed) -> str:
    """The same, for machines."""
    kept = asdict(done.kept) | {"usd_per_month": round(done.kept.usd_per_month, 4)} if done.kept else None
    left = {left.kind: left.names for left in done.looked}
    return _json({"name": done.name, "region": done.region, "clean": done.is_clean, "left": left, "kept": kept})


def held(data: Data) -> str:
    """A bucket, with what is in it."""
    least = "" if data.is_all else "at least "
    size = f"{data.bytes / 1e9:,.1f} GB" if data.bytes >= 1e9 else f"{data.bytes / 1e6:,.1f} MB"
    month = "under a cent" if data.usd_per_month < 0.01 else f"about {data.usd_per_month:.2f} USD"
    return f"{data.bucket} has {least}{data.versions:,} object versions, {size}, {month} a month"


def _elsewhere(region: str) -> str:
    """The option that names a region, where it is not the one that goes without saying."""
    return "" if region == Storage.model_fields["region"].default else f" --region {region}"


def _call(number: int, call: Call) -> str:
    given = _abridged(call.parameters)
    if not call.changes:
        words = json.dumps(given, ensure_ascii=False) if given else ""
        return f"{number:>3}. {call.service} {call.operation} {words}".rstrip()
    return "\n".join([f"{number:>3}. {call.service} {call.operation}: changes", *_lines(given, "       ")])


def _lines(value: Any, indent: str) -> Iterator[str]:
    """JSON, where what is short is in one line."""
    for name, below in value.items() if isinstance(value, dict) else enumerate(value):
        head = f"{indent}{name}: " if isinstance(value, dict) else f"{indent}- "
        whole = json.dumps(below, ensure_ascii=False, default=str)
        if isinstance(below, dict | list) and len(head + whole) > _WIDTH:
            yield head.rstrip()
            yield from _lines(below, indent + "  ")
        else:
            yield head + whole


def _abridged(value: Any) -> Any:
    """Without the template's text."""
    if isinstance(value, dict):
        return {key: _abridged(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_abridged(one) for one in value]
    return "<deploy/fruits.yaml, with the bucket's name>" if str(value).startswith(template()[:80]) else value


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
