"""An account of AWS's in this process, for deployments. What moto lacks or does otherwise than AWS is mended here.

Stacks never fail: that is tested by canned answers.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import yaml
from moto import mock_aws
from moto.cloudformation import models as stacks
from moto.cloudformation import parsing, responses
from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow
from moto.emrserverless import models as emr
from moto.emrserverless import responses as emr_responses
from moto.iam.access_control import PermissionResult
from moto.s3 import models as s3

from tests.cloud_types import client_of, teach

REGION = "eu-west-1"
ACCOUNT = "123456789012"


_loaded = yaml.load
_loads: dict[str, Any] = {}


def _load_once(text: str, Loader: Any) -> Any:  # noqa: N803
    """A template, which takes most of a second to read, and is read several times a request."""
    if text not in _loads:
        _loads[text] = _loaded(text, Loader)
    return deepcopy(_loads[text])


_proposed = stacks.CloudFormationBackend.create_change_set
_answered = responses.CloudFormationResponse.create_change_set
_imports: list[bool] = [False]


def _hear_of_imports(self: responses.CloudFormationResponse) -> Any:
    _imports[0] = self._get_bool_param("ImportExistingResources", False)
    return _answered(self)


class _AlreadyExists(ServiceException):
    code = "AlreadyExistsException"


def _propose_once(self: stacks.CloudFormationBackend, stack_name: str, change_set_name: str, **asked: Any) -> Any:
    """A change set of a name that its stack has no other of: moto would make a second stack."""
    for change_set in self.change_sets.values():
        if (change_set.stack.name, change_set.change_set_name) == (stack_name, change_set_name):
            raise _AlreadyExists(f"ChangeSet {change_set_name} already exists")
    told = _proposed(self, stack_name, change_set_name, **asked)
    self.change_sets[told[0]].imports = _imports[0]
    return told


_compared = parsing.ResourceMap.build_resource_diff


def _compare_all(self: parsing.ResourceMap, template: Any, parameters: Any = None) -> Any:
    """What would change, also by a parameter in a text or in a condition: moto looks at plain references only."""
    names = _compared(self, template, None)
    changed = {name for name, value in (parameters or {}).items() if self.input_parameters.get(name) != value}
    while more := {
        name
        for name, condition in template.get("Conditions", {}).items()
        if name not in changed and _mentions(condition, changed)
    }:
        changed |= more
    there = [name for name in template["Resources"] if name in self._resource_json_map]
    names["Modify"] += [
        name for name in there if name not in names["Modify"] and _mentions(template["Resources"][name], changed)
    ]
    return names


def _mentions(told: Any, names: set[str]) -> bool:
    text = json.dumps(told, default=str)
    return any(f'"{name}"' in text or f"${{{name}}}" in text for name in names)


def _tell_changes(self: stacks.ChangeSet) -> list[Any]:
    """The changes, with those by parameters."""
    names = self.stack.resource_map.build_resource_diff(self.template_dict, self.parameters)
    types = {name: one["Type"] for name, one in self.template_dict["Resources"].items()}
    return [stacks.Change(action, name, types.get(name, "")) for action in names for name in names[action]]


_deleted = parsing.ResourceMap.delete


def _delete_but_kept(self: parsing.ResourceMap) -> None:
    """A stack's resources, but those that any policy keeps, and one that moto can make and not delete."""
    for resource in self._resource_json_map.values():
        kept = resource.get("DeletionPolicy") == "RetainExceptOnCreate"
        if kept or resource["Type"] == "AWS::EMR::SecurityConfiguration":
            resource["DeletionPolicy"] = "Retain"
    _deleted(self)


_applied = stacks.ChangeSet.apply


def _apply_whole(self: stacks.ChangeSet) -> None:
    """A change set that leaves the stack with its outputs, all its parameters, and the time of its change."""
    _taken_in.clear()
    if self.imports:
        _taken_in.update(_names_written_out(self.template_dict))
    _applied(self)
    stack = self.stack
    resolved = stack.resource_map.resolved_parameters.items()
    whole = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in resolved}
    stack.creation_time = utcnow()
    stack.parameters = stack.resource_map.input_parameters = whole
    stack.output_map = parsing.OutputMap(stack.resource_map, self.template_dict, stack.stack_id)


_made = s3.FakeBucket.create_from_cloudformation_json
_taken_in: set[str] = set()
"""Buckets that may be there already: AWS takes in one that stays with its stack, and has a name to be read as it is."""


def _names_written_out(template: Any) -> Iterator[str]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::S3::Bucket" and "Retain" in resource.get("DeletionPolicy", ""):
            name = resource["Properties"].get("BucketName")
            if isinstance(name, str):
                yield name


def _make_or_take_in(cls: Any, name: str, told: Any, account_id: str, region_name: str, **more: Any) -> s3.FakeBucket:
    """A bucket as it is told of; or one that is there, as it is, whatever is told of it. moto refuses any other."""
    bucket = s3.s3_backends[account_id]["aws"].buckets.get(name) if name in _taken_in else None
    if bucket is None:
        bucket = _made(name, {}, account_id, region_name, **more)
        _set(name, region_name, {}, told["Properties"])
    bucket.told = told["Properties"]
    return bucket


def _change(
    cls: Any,
    original_resource: Any,
    new_resource_name: str,
    cloudformation_json: Any,
    account_id: str,
    region_name: str,
) -> Any:
    """As AWS does: by what differs from what was told before, and not from what there is."""
    told = cloudformation_json["Properties"]
    _set(original_resource.name, region_name, original_resource.told, told)
    original_resource.told = told
    return original_resource


def _set(name: str, region: str, before: Any, after: Any) -> None:
    client = client_of("s3", region)
    changed = {part: after.get(part) for part in {*before, *after} if before.get(part) != after.get(part)}
    if "Tags" in changed:
        client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": changed["Tags"]})
    if "LifecycleConfiguration" in changed:
        rules = [_rule(**rule) for rule in changed["LifecycleConfiguration"]["Rules"]]
        client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    if "NotificationConfiguration" in changed:
        queues = (changed["NotificationConfiguration"] or {}).get("QueueConfigurations", [])
        told = {"QueueConfigurations": [{"QueueArn": one["Queue"], "Events": [one["Event"]]} for one in queues]}
        client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=told)


def _rule(Id: str, Status: str, Prefix: str = "", ExpirationInDays: Any = None, **more: Any) -> dict[str, Any]:  # noqa: N803
    days = {"Expiration": {"Days": int(ExpirationInDays)}} if ExpirationInDays else {}
    return {"ID": Id, "Status": Status, "Filter": {"Prefix": Prefix}, **days, **more}


_list_jobs = emr.EMRServerlessBackend.list_job_runs
_start_job = emr.EMRServerlessBackend.start_job_run
_begun = datetime(2026, 1, 1, tzinfo=UTC)
_mode = [""]


def _hear_of_modes(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An operation that minds a job's mode, of which moto knows nothing."""

    def heard(self: Any) -> Any:
        _mode[0] = self._get_param("mode") or ""
        return answer(self)

    return heard


def _jobs_of_any(self: emr.EMRServerlessBackend, application_id: str, *args: Any, **asked: Any) -> Any:
    """None, of an application that has had none: moto takes it for one that is not there."""
    self.job_runs.setdefault(application_id, [])
    jobs = _list_jobs(self, application_id, *args, **asked)
    return [job for job in jobs if _mode[0] in ("", job.mode)]


def _start_once(self: emr.EMRServerlessBackend, **asked: Any) -> Any:
    """The job of a token that has been there already; else a new one, which runs, and not since midnight."""
    jobs = self.job_runs.setdefault(asked["application_id"], [])
    for job in jobs:
        if job.client_token == asked["client_token"]:
            return job
    job = _start_job(self, **asked)
    job.state, job.mode = "RUNNING", _mode[0] or "BATCH"
    job.created_at = _begun + timedelta(minutes=len(jobs))
    return job


@contextmanager
def account() -> Iterator[None]:
    """An empty one, with credentials for it in the environment."""
    teach()
    with (
        mock_aws(),
        patch.dict(os.environ, {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}),
        patch.object(yaml, "load", _load_once),
        patch.object(responses.CloudFormationResponse, "create_change_set", _hear_of_imports),
        patch.object(stacks.CloudFormationBackend, "create_change_set", _propose_once),
        patch.object(s3.FakeBucket, "create_from_cloudformation_json", classmethod(_make_or_take_in)),
        patch.object(s3.FakeBucket, "update_from_cloudformation_json", classmethod(_change)),
        patch.object(parsing.ResourceMap, "build_resource_diff", _compare_all),
        patch.object(parsing.ResourceMap, "delete", _delete_but_kept),
        patch.object(stacks.ChangeSet, "diff", _tell_changes),
        patch.object(stacks.ChangeSet, "apply", _apply_whole),
        patch.object(asks := emr_responses.EMRServerlessResponse, "list_job_runs", _hear_of_modes(asks.list_job_runs)),
        patch.object(asks, "start_job_run", _hear_of_modes(asks.start_job_run)),
        patch.object(emr.EMRServerlessBackend, "list_job_runs", _jobs_of_any),
        patch.object(emr.EMRServerlessBackend, "start_job_run", _start_once),
        # moto minds no condition, and so takes what is denied without TLS for denied to all. It stays to be asked for.
        patch.object(s3.FakeBucket, "get_permission", lambda *_: PermissionResult.PERMITTED),
    ):
        yield
