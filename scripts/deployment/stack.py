"""The CloudFormation stack: made, changed and deleted by change sets, from whatever state an earlier run left it in."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conf.errors import CloudError
from scripts.deployment.steps import Cloud
from scripts.deployment.templates import takes

TAG = "fruits:deployment"
"""What everything of a deployment bears, with the deployment's name."""
_UNMADE = "REVIEW_IN_PROGRESS"
_USELESS = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}
"""A stack that never came to be, or is half gone: it can only be deleted."""
_STUCK = {"UPDATE_ROLLBACK_FAILED"}


def nothing(*_: object) -> None:
    """What most changes need done before them."""


@dataclass(frozen=True)
class Stack:
    """What AWS says of one."""

    status: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    changed_at: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it has been made: its outputs can be read, and it can be changed."""
        return self.status not in _USELESS | {_UNMADE}

    @property
    def bucket(self) -> str:
        """Its bucket's name."""
        return self.outputs.get("BucketName") or self.parameters.get("BucketName", "")


Before = Callable[[Stack, Sequence[Mapping[str, Any]]], None]


def find(cloud: Cloud, name: str) -> Stack | None:
    """The stack of a name, if there is one."""
    try:
        described = cloud.ask("cloudformation", "describe_stacks", StackName=name)["Stacks"]
    except CloudError as error:
        if error.code == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return _stack(described[-1]) if described else None


def settled(cloud: Cloud, name: str) -> Stack | None:
    """The stack of a name, once nothing is under way in it."""
    return _awaited(cloud, name, lambda _: True)


def ensure(
    cloud: Cloud,
    name: str,
    body: str,
    parameters: Mapping[str, str],
    before: Before = nothing,
) -> Stack:
    """The stack as the template and these parameters have it; made or changed where it is not so.

    Parameters
    ----------
    cloud
    name
    body
        The template.
    parameters
        Others keep the value that they have, at first the template's.
    before
        Is given the stack and the changes to its resources before they are made to one that is there.

    Raises
    ------
    CloudError
        Where a resource cannot be made, with AWS's reason. What was changed is rolled back by then.
    """
    stack = settled(cloud, name)
    if stack and stack.is_there and stack.tags.get(TAG) != name:
        raise CloudError(
            f"In {cloud.region} there is a stack {name} that `fruits deploy` has not made. Choose another --name."
        )
    if stack and stack.status in _STUCK:
        raise CloudError(
            f"The stack {name} is stuck in {stack.status}. Mend what its events name, then "
            f"`aws cloudformation continue-update-rollback --stack-name {name} --region {cloud.region}`."
        )
    if stack and stack.status in _USELESS:
        cloud.tell("Removing what an earlier failure left of the stack")
        delete(cloud, name)
        stack = None
    kept = dict(stack.parameters) if stack and stack.is_there else {}
    change_set = _propose(cloud, name, body, kept | dict(parameters), stack)
    if change_set is None:
        return stack or Stack("")
    if stack and stack.is_there:
        before(stack, [change["ResourceChange"] for change in change_set["Changes"]])
    cloud.tell("Making the stack" if not (stack and stack.is_there) else "Changing the stack")
    cloud.ask("cloudformation", "execute_change_set", StackName=name, ChangeSetName=change_set["ChangeSetName"])
    # AWS may tell of the stack as it was, for a moment.
    before_it = stack.changed_at if stack and stack.is_there else None
    made = _awaited(cloud, name, lambda found: found.status != _UNMADE and found.changed_at != before_it)
    if made is None or made.status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        raise _failure(cloud, name, made)
    return made


def delete(cloud: Cloud, name: str) -> None:
    """Delete the stack, and wait until it is gone.

    Raises
    ------
    CloudError
        Where a resource stays, with AWS's reason.
    """
    cloud.ask("cloudformation", "delete_stack", StackName=name)
    left = _awaited(cloud, name, lambda found: found.status == "DELETE_FAILED")
    if left is not None:
        raise _failure(cloud, name, left)


def _propose(
    cloud: Cloud, name: str, body: str, parameters: Mapping[str, str], stack: Stack | None
) -> Mapping[str, Any] | None:
    """A change set that can be executed; None where nothing would change."""
    known = takes(body)
    given = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items()) if key in known
    ]
    is_there = stack is not None and stack.is_there
    # Named by all that it depends on: one that a killed run has made is found again.
    told = json.dumps([body, given, stack.changed_at if stack and is_there else ""]).encode()
    change_set = {"StackName": name, "ChangeSetName": f"fruits-{hashlib.sha256(told).hexdigest()[:12]}"}
    try:
        cloud.ask(
            "cloudformation",
            "create_change_set",
            **change_set,
            ChangeSetType="UPDATE" if is_there else "CREATE",
            TemplateBody=body,
            Parameters=given,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Tags=[{"Key": TAG, "Value": name}],
            # A bucket that an earlier deployment has left, with its data, becomes this one's: by its name in the body.
            ImportExistingResources=True,
        )
    except CloudError as error:
        if error.code != "AlreadyExistsException":
            raise
    described = cloud.wait(
        lambda: cloud.ask("cloudformation", "describe_change_set", **change_set),
        lambda seen: seen["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"},
    )
    if described["Status"] == "CREATE_COMPLETE":
        return {"Changes": [], **described, **change_set}
    cloud.ask("cloudformation", "delete_change_set", **change_set)
    reason = described.get("StatusReason", "")
    if "didn't contain changes" in reason or "No updates are to be performed" in reason:
        return None
    raise CloudError(f"CloudFormation does not take the stack {name}: {reason}")


def _failure(cloud: Cloud, name: str, stack: Stack | None) -> CloudError:
    """Which resource failed first, and why: the others were cancelled because of it."""
    failed = [event for event in _of_last_operation(cloud, name) if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return CloudError(
            f"The stack {name} ended as {stack.status if stack else 'gone'}, and no event of it says why. "
            "Run this again: it goes on where it was."
        )
    first = failed[-1]
    kind = first["ResourceType"].removeprefix("AWS::").replace("::", " ")
    reason = " ".join(first.get("ResourceStatusReason", "no reason given").split())
    return CloudError(
        f"The stack {name} failed at {first['LogicalResourceId']} ({kind}): {reason.rstrip('.')}. "
        "Mend that and run this again: it goes on where it was."
    )


def _of_last_operation(cloud: Cloud, name: str) -> Iterable[Mapping[str, Any]]:
    """The stack's events since it was last told to do something, newest first."""
    for event in cloud.listed("cloudformation", "describe_stack_events", "StackEvents", StackName=name):
        yield event
        if event["LogicalResourceId"] == name and event.get("ResourceStatusReason") == "User Initiated":
            return


def _awaited(cloud: Cloud, name: str, is_over: Callable[[Stack], bool]) -> Stack | None:
    """The stack of a name, once nothing is under way in it, and that is so; or it is gone."""

    def look() -> Stack | None:
        found = find(cloud, name)
        if found and not _is_settled(found):
            cloud.tell(f"Waiting for the stack: {_under_way(cloud, name) or found.status}")
        return found

    return cloud.wait(look, lambda found: found is None or (_is_settled(found) and is_over(found)))


def _under_way(cloud: Cloud, name: str) -> str:
    """The newest event, as a person reads it."""
    for page in cloud.pages("cloudformation", "describe_stack_events", StackName=name):
        for event in page["StackEvents"][:1]:
            return f"{event['LogicalResourceId']} {event['ResourceStatus'].lower().replace('_', ' ')}"
    return ""


def _is_settled(stack: Stack) -> bool:
    return not stack.status.endswith("_IN_PROGRESS") or stack.status == _UNMADE


def _stack(described: Mapping[str, Any]) -> Stack:
    return Stack(
        status=described["StackStatus"],
        outputs={output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])},
        parameters={one["ParameterKey"]: one["ParameterValue"] for one in described.get("Parameters", [])},
        tags={tag["Key"]: tag["Value"] for tag in described.get("Tags", [])},
        changed_at=str(described.get("LastUpdatedTime", described.get("CreationTime", ""))),
    )
