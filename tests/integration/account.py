"""An account of AWS's in this process, for deployments. What moto lacks or does otherwise than AWS is mended here.

Change sets import nothing, and stacks never fail: those are tested by canned answers.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import yaml
from moto import mock_aws
from moto.cloudformation import models as stacks
from moto.cloudformation import parsing
from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow
from moto.emrserverless import models as emr
from moto.iam.access_control import PermissionResult
from moto.s3 import models as s3

from tests.cloud_types import teach

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


class _AlreadyExists(ServiceException):
    code = "AlreadyExistsException"


def _propose_once(self: stacks.CloudFormationBackend, stack_name: str, change_set_name: str, **asked: Any) -> Any:
    """A change set of a name that its stack has no other of: moto would make a second stack."""
    for change_set in self.change_sets.values():
        if (change_set.stack.name, change_set.change_set_name) == (stack_name, change_set_name):
            raise _AlreadyExists(f"ChangeSet {change_set_name} already exists")
    return _proposed(self, stack_name, change_set_name, **asked)


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
    _applied(self)
    stack = self.stack
    resolved = stack.resource_map.resolved_parameters.items()
    whole = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in resolved}
    stack.creation_time = utcnow()
    stack.parameters = stack.resource_map.input_parameters = whole
    stack.output_map = parsing.OutputMap(stack.resource_map, self.template_dict, stack.stack_id)


_list_jobs = emr.EMRServerlessBackend.list_job_runs
_start_job = emr.EMRServerlessBackend.start_job_run
_begun = datetime(2026, 1, 1, tzinfo=UTC)


def _jobs_of_any(self: emr.EMRServerlessBackend, application_id: str, *args: Any, **asked: Any) -> Any:
    """None, of an application that has had none: moto takes it for one that is not there."""
    self.job_runs.setdefault(application_id, [])
    return _list_jobs(self, application_id, *args, **asked)


def _start_once(self: emr.EMRServerlessBackend, **asked: Any) -> Any:
    """The job of a token that has been there already; else a new one, which runs, and not since midnight."""
    jobs = self.job_runs.setdefault(asked["application_id"], [])
    for job in jobs:
        if job.client_token == asked["client_token"]:
            return job
    job = _start_job(self, **asked)
    job.state = "RUNNING"
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
        patch.object(stacks.CloudFormationBackend, "create_change_set", _propose_once),
        patch.object(parsing.ResourceMap, "build_resource_diff", _compare_all),
        patch.object(parsing.ResourceMap, "delete", _delete_but_kept),
        patch.object(stacks.ChangeSet, "diff", _tell_changes),
        patch.object(stacks.ChangeSet, "apply", _apply_whole),
        patch.object(emr.EMRServerlessBackend, "list_job_runs", _jobs_of_any),
        patch.object(emr.EMRServerlessBackend, "start_job_run", _start_once),
        # moto minds no condition, and so takes what is denied without TLS for denied to all. It stays to be asked for.
        patch.object(s3.FakeBucket, "get_permission", lambda *_: PermissionResult.PERMITTED),
    ):
        yield
