"""What both platforms tell the jobs that they run."""

import hashlib
import json
from typing import Any

from scripts.deployment.plan import Plan
from scripts.deployment.stack import Stack

REQUEST_TAG = "fruits:request"
"""Tells by which request a job or cluster was started: one of the same is not started twice."""


def digest_of(request: Any) -> str:
    """A short name for a request."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]


def settings_options(plan: Plan, stack: Stack) -> list[str]:
    """The settings of a job, as options of `fruits`."""
    ours = {"storage.bucket": stack.outputs["BucketName"], "storage.region": plan.region, "stream.metrics_file": "-"}
    # Without subnets of the user's own, a job on EMR Serverless reaches S3 but not SQS: it lists the landing zone.
    if "QueueUrl" in stack.outputs:
        ours["discovery.queue_url"] = stack.outputs["QueueUrl"]
    given = [f"{name}={value}" for name, value in ours.items()]
    return ["--profile", "aws", *(word for setting in (*given, *plan.settings) for word in ("--set", setting))]
