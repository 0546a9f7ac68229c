"""What `--dry-run` takes AWS to answer. Names that only AWS can give stand in angle brackets."""

from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from conf.errors import CloudError
from scripts.deployment.plan import Plan
from scripts.deployment.stack import TAG
from scripts.deployment.templates import template

ACCOUNT = "<account>"


@dataclass(frozen=True)
class _Built:
    """What is built: a dry run needs none of it."""

    version: str = f"{version_of('fruits')}-<hash>"
    files: tuple[Path, ...] = tuple(
        Path(name) for name in (f"fruits-{version_of('fruits')}-py3-none-any.whl", "environment.tar.gz", "run.py")
    )


BUILT = _Built()
_ABSENT = CloudError("Stack does not exist", "ValidationError")
_NOT_THERE = CloudError("Not Found", "404")


def deployment(plan: Plan) -> dict[tuple[str, str], Any]:
    """An account where nothing is yet."""
    stack = _stack(plan.name, plan.region, plan.platform, plan.bucket)
    made, changed = ({"Stacks": [stack | {"LastUpdatedTime": time}]} for time in ("<made>", "<changed>"))
    return _who() | {
        ("s3", "head_bucket"): _NOT_THERE,
        ("s3", "head_object"): _NOT_THERE,
        # At first, before the first change set and after it, before the second and after it.
        ("cloudformation", "describe_stacks"): [_ABSENT, _ABSENT, made, made, changed],
        ("cloudformation", "describe_change_set"): {"Status": "CREATE_COMPLETE", "Changes": []},
        ("emr-serverless", "start_job_run"): {"jobRunId": "<job run>"},
        ("emr-serverless", "get_job_run"): {"jobRun": {"jobRunId": "<job run>", "state": "RUNNING"}},
        ("emr", "run_job_flow"): {"JobFlowId": "<cluster>"},
        ("emr", "describe_cluster"): {"Cluster": {"Status": {"State": "RUNNING"}}},
    }


def teardown(name: str, region: str, bucket: str | None, *, deletes_data: bool) -> dict[tuple[str, str], Any]:
    """An account where all is that deployments of a name make, with one object in the bucket."""
    stack = _stack(name, region, "emr", bucket)
    stack["Parameters"] = [{"ParameterKey": "RefreshEnabled", "ParameterValue": "true"}]
    there, changed = {"Stacks": [stack]}, {"Stacks": [stack | {"LastUpdatedTime": "<changed>"}]}
    # For the bucket's name, at first, before the schedule ends and after that.
    seen = [*([] if bucket else [there]), there, there, changed, _ABSENT]
    held = {"Versions": [{"Key": "<key>", "VersionId": "<version>", "Size": 0}]}
    cluster = {"Id": "<cluster>", "Name": name}
    job = {"jobRunId": "<job run>", "id": "<job run>"}
    return _who() | {
        ("cloudformation", "describe_stacks"): seen,
        ("cloudformation", "get_template"): {"TemplateBody": template()},
        ("cloudformation", "describe_change_set"): {"Status": "CREATE_COMPLETE", "Changes": []},
        ("emr", "list_clusters"): [{"Clusters": [cluster]}, {}],
        ("emr", "describe_cluster"): {
            "Cluster": {"Status": {"State": "TERMINATED"}, "Tags": [{"Key": TAG, "Value": name}]}
        },
        ("emr-serverless", "list_job_runs"): {"jobRuns": [job | {"state": "RUNNING"}]},
        ("emr-serverless", "get_job_run"): {"jobRun": job | {"state": "CANCELLED"}},
        ("emr-serverless", "get_application"): [
            {"application": {"state": "STARTED"}},
            {"application": {"state": "STOPPED"}},
        ],
        ("s3", "list_object_versions"): held,
        ("s3", "list_multipart_uploads"): {"Uploads": [{"Key": "<key>", "UploadId": "<upload>"}]},
        ("s3", "head_bucket"): _NOT_THERE if deletes_data else {},
    }


def outputs(plan: Plan) -> dict[str, str]:
    """What the stack of a plan tells."""
    return {
        one["OutputKey"]: one["OutputValue"]
        for one in _stack(plan.name, plan.region, plan.platform, plan.bucket)["Outputs"]
    }


def _who() -> dict[tuple[str, str], Any]:
    return {("sts", "get_caller_identity"): {"Account": ACCOUNT}}


def _stack(name: str, region: str, platform: str, bucket: str | None) -> dict[str, Any]:
    outputs = {
        "Region": region,
        "BucketName": bucket or f"{name}-{ACCOUNT}-{region}",
        "LogGroupName": f"/fruits/{name}",
    }
    if platform == "emr":
        outputs |= {
            "ApplicationId": "<application>",
            "StreamRoleArn": "<role of the stream>",
        }
    elif platform == "databricks":
        outputs |= {
            "QueueUrl": "<queue>",
            "StreamInstanceProfileArn": "<stream profile>",
            "RefreshInstanceProfileArn": "<refresh profile>",
        }
    else:
        outputs |= {
            "ServiceRoleArn": "<role of EMR>",
            "InstanceProfileArn": "<profile of the machines>",
            "SecurityConfiguration": "<security configuration>",
            "QueueUrl": "<queue>",
        }
    return {
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Tags": [{"Key": TAG, "Value": name}],
    }
