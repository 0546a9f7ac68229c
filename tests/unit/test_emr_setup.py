"""What docs/emr_setup.md has its reader type is followed in bash, with stand-ins for the commands that need an account.

What the AWS command line is then given is held to AWS's own description of its requests, which boto3 brings.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from click.testing import CliRunner

from scripts.fruits import fruits

PAGE = Path(__file__).parents[2] / "docs" / "emr_setup.md"
_BLOCK = re.compile(r"^( *)```bash\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_STAND_IN = """#!{python}
import json, os, sys
words = sys.argv[1:]
given = [json.load(open(word.removeprefix("file://"))) for word in words if word.startswith("file://")]
with open(os.environ["ASKED"], "a") as asked:
    print(json.dumps([os.path.basename(sys.argv[0]), words, *given]), file=asked)
is_role = any("RoleArn" in word for word in words)
answer = "arn:aws:iam::123456789012:role/fruits-eu-west-1-stream" if is_role else "123456789012"
print("" if "export-credentials" in words else answer)
"""
# The one program of ours that takes a minute is not run here; any other is Python itself.
_PYTHON = """#!/bin/sh
[ "$1" = -c ] && echo 0.1.0-0123456789ab || exec {python} "$@"
"""
ADDED = {
    "configure sso",
    "configure export-credentials",
    "sso login",
    "cloudformation deploy",
    "cloudformation wait",
    "s3 cp",
    "s3 rm",
    "logs tail",
}
"""What the command line knows beside AWS's requests."""
CREATE_CLUSTER = "emr create-cluster"
"""Takes a form of its own of what RunJobFlow takes."""
EVERYWHERE = {"query", "output", "cli-input-json"}


@dataclass(frozen=True)
class Asked:
    """One command for AWS."""

    service: str
    operation: str
    options: dict[str, str]
    words: list[str]
    """All of them, as one option may take several."""
    given: Any
    """The request, where it came from a file."""

    @property
    def name(self) -> str:
        return f"{self.service} {self.operation}"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    folder = tmp_path_factory.mktemp("reader")
    path = folder / "bin"
    path.mkdir()
    for name in ("aws", "fruits", "databricks"):
        (path / name).write_text(_STAND_IN.format(python=sys.executable))
    (path / "python").write_text(_PYTHON.format(python=sys.executable))
    for file in path.iterdir():
        file.chmod(0o755)
    script = "\n".join(re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in blocks())
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}", "ASKED": str(folder / "asked")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in (folder / "asked").read_text().splitlines()]
    return [of_aws(*words) for name, *words in lines if name == "aws"]


def blocks() -> list[tuple[str, str]]:
    return _BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def of_aws(words: list[str], given: Any = None) -> Asked:
    service, operation, *rest = words
    options: dict[str, str] = {}
    for word, value in zip(rest, [*rest[1:], "--"], strict=True):
        if word.startswith("--"):
            options[word[2:]] = "" if value.startswith("--") else value
    return Asked(service, operation, options, rest, given or {})


def test_each_request_is_one_that_aws_describes_and_whole(asked: list[Asked]) -> None:
    session = botocore.session.get_session()
    for one in asked:
        if one.name in ADDED | {CREATE_CLUSTER}:
            continue
        service = session.get_service_model({"s3api": "s3"}.get(one.service, one.service))
        known = {xform_name(name, "-"): name for name in service.operation_names}
        assert one.operation in known, one.name
        model = service.operation_model(known[one.operation])
        shape = model.input_shape
        members = {xform_name(name, "-"): name for name in shape.members} if shape else {}
        if one.name == "emr list-clusters":
            # A shorter word of the command line's for --cluster-states.
            members |= {"active": "ClusterStates"}
        assert set(one.options) <= set(members) | EVERYWHERE, one.name
        # The command line makes up such tokens by itself.
        request = dict.fromkeys(model.idempotent_members, "token") | one.given
        for option, value in one.options.items():
            if option not in EVERYWHERE:
                name = members[option]
                request[name] = parsed(value, shape.members[name].type_name) if option != "active" else []
        report = ParamValidator().validate(request, shape) if shape else None
        assert not (report and report.has_errors()), f"{one.name}: {report and report.generate_report()}"


def parsed(value: str, kind: str) -> Any:
    """As the command line reads an option: JSON, or its own shorthand."""
    if value.startswith(("{", "[")):
        return json.loads(value)
    if kind == "structure":
        return dict(pair.split("=") for pair in value.split(","))
    if kind == "list":
        return [dict(pair.split("=") for pair in value.split(","))] if "=" in value else [value]
    return int(value) if kind == "integer" else value


def test_each_step_of_the_way_is_shown_from_the_budget_to_the_bill(asked: list[Asked]) -> None:
    names = [one.name for one in asked]
    way = [
        "budgets create-budget",
        "cloudformation deploy",
        "s3 cp",
        "emr-serverless start-job-run",
        "logs tail",
        "cloudformation delete-stack",
        "s3api delete-bucket",
        "emr-serverless list-applications",
        "ce get-cost-and-usage",
    ]
    places = [names.index(step) for step in way]
    assert places == sorted(places)


def test_the_stream_stays_up_and_the_refresh_ends_and_each_is_itself(asked: list[Asked]) -> None:
    stream, refresh = (one.given for one in asked if one.name == "emr-serverless start-job-run")
    assert (stream["mode"], stream["executionTimeoutMinutes"]) == ("STREAMING", 0)
    assert (refresh["mode"], "retryPolicy" in refresh) == ("BATCH", False)
    assert [job["executionRoleArn"].rpartition("-")[2] for job in (stream, refresh)] == ["stream", "refresh"]
    arguments = [job["jobDriver"]["sparkSubmit"]["entryPointArguments"] for job in (stream, refresh)]
    assert [words[0] for words in arguments] == ["stream", "refresh"]
    assert arguments[1][1:] == arguments[0][1:-2]


def test_the_stream_is_the_one_that_our_command_starts(asked: list[Asked]) -> None:
    shown = CliRunner().invoke(fruits, ["deploy", "emr", "--dry-run", "--json"])
    calls = json.loads(shown.stdout.replace("<account>", "123456789012").replace("<hash>", "0123456789ab"))
    (request,) = (call["parameters"] for call in calls if call["operation"] == "start_job_run")
    by_hand = next(one.given for one in asked if one.name == "emr-serverless start-job-run")
    for what in ("name", "mode", "retryPolicy", "executionTimeoutMinutes"):
        assert by_hand[what] == request[what]
    mine, its = (job["jobDriver"]["sparkSubmit"] for job in (by_hand, request))
    assert (mine["entryPoint"], mine["entryPointArguments"]) == (its["entryPoint"], its["entryPointArguments"])
    assert spark(mine["sparkSubmitParameters"]) == spark(its["sparkSubmitParameters"])


def test_the_schedule_of_the_refresh_is_the_one_that_our_command_makes(asked: list[Asked]) -> None:
    shown = CliRunner().invoke(fruits, ["deploy", "emr", "--dry-run", "--json"])
    calls = json.loads(shown.stdout.replace("<account>", "123456789012").replace("<hash>", "0123456789ab"))
    *_, last = (call["parameters"] for call in calls if call["operation"] == "create_change_set")
    its = {one["ParameterKey"]: one["ParameterValue"] for one in last["Parameters"]}
    _, update, end = (one for one in asked if one.name == "cloudformation deploy")
    assert "RefreshEnabled=false" in end.words
    mine = dict(word.split("=", 1) for word in update.words if word.startswith(("Artefacts", "Refresh")))
    assert spark(mine.pop("RefreshSparkParameters")) == spark(its["RefreshSparkParameters"])
    assert mine.items() <= its.items()
    assert len(mine) == 3


def test_the_cluster_is_the_one_that_our_command_starts(asked: list[Asked]) -> None:
    shown = CliRunner().invoke(fruits, ["deploy", "ec2", "--subnet", "subnet-0a1b2c3d", "--dry-run", "--json"])
    # Whatever the stack tells, the stand-in tells a number.
    text = re.sub("<account>|<queue>|/fruits/fruits", "123456789012", shown.stdout).replace("<hash>", "0123456789ab")
    (its,) = (call["parameters"] for call in json.loads(text) if call["operation"] == "run_job_flow")
    mine = next(one for one in asked if one.name == CREATE_CLUSTER)
    told = {name: mine.options[name] for name in ("instance-fleets", "configurations")}
    assert json.loads(told["instance-fleets"]) == its["Instances"]["InstanceFleets"]
    assert json.loads(told["configurations"]) == its["Configurations"]
    assert json.loads(mine.options["managed-scaling-policy"]) == its["ManagedScalingPolicy"]
    assert json.loads(mine.options["monitoring-configuration"]) == its["MonitoringConfiguration"]
    assert mine.options["auto-termination-policy"] == f"IdleTimeout={its['AutoTerminationPolicy']['IdleTimeout']}"
    assert mine.options["release-label"] == its["ReleaseLabel"]
    by_hand = [(step["Name"], step["ActionOnFailure"], set(step["Args"])) for step in mine.given]
    ours = [(step["Name"], step["ActionOnFailure"], set(step["HadoopJarStep"]["Args"])) for step in its["Steps"]]
    assert by_hand == ours


def spark(parameters: str) -> set[str]:
    return set(parameters.removeprefix("--conf ").split(" --conf "))
