"""EMR Serverless: the stream as a job in STREAMING mode; the refresh is the template's schedule."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from conf.errors import CloudError, SettingsError
from scripts.deployment.artefacts import spark_properties
from scripts.deployment.jobs import REQUEST_TAG, digest_of, settings_options
from scripts.deployment.plan import Plan, Running, Workers
from scripts.deployment.stack import TAG, Stack
from scripts.deployment.steps import Cloud

ACTIVE = ["SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING", "CANCELLING"]
_ENDED = {"SUCCESS", "FAILED", "CANCELLED"}
_APPLICATION = "AWS::EMRServerless::Application"
_GRACE_SECONDS = 300
"""For a stream to end in: to stop Spark and give its lease back."""
_FAILURES_PER_HOUR = 5
_DRIVER = {"cores": 1, "memory": 2, "memoryOverhead": 2}
_EXECUTOR = {"cores": 2, "memory": 2, "memoryOverhead": 2}
"""Cores, and GB for the JVM and for Python beside it. EMR Serverless wants 2 GB a core at least."""

_CEILING_VCPUS = 16
"""What the template lets an application take unless it is told."""
_REFRESH = Workers(1, 2)


def parameters(plan: Plan) -> dict[str, str]:
    """What the template is told of the application: room for the stream beside a refresh."""
    vcpus = 2 * _DRIVER["cores"] + (plan.workers.most + _REFRESH.most) * _EXECUTOR["cores"]
    ceiling = {} if vcpus <= _CEILING_VCPUS else {"MaximumVcpu": str(vcpus), "MaximumMemoryGb": str(4 * vcpus)}
    return ceiling | {
        "SubnetIds": ",".join(plan.subnets),
        "SecurityGroupIds": ",".join(plan.security_groups),
        "RefreshSettings": ",".join(_for_template(plan.settings)),
    }


def scheduled(plan: Plan, bucket: str, version: str) -> dict[str, str]:
    """What the template's schedule is told, so that it runs the refresh of a version."""
    return {
        "ArtefactsVersion": version,
        "RefreshEnabled": "true",
        "RefreshSparkParameters": submit_parameters(bucket, version, _REFRESH),
    }


def submit_parameters(bucket: str, version: str, workers: Workers) -> str:
    """What spark-submit is told: where Python is, and how large the workers are and how many."""
    properties = {
        **spark_properties("emr", f"s3://{bucket}/artefacts/{version}"),
        **_size("driver", _DRIVER),
        **_size("executor", _EXECUTOR),
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": workers.least,
        "spark.dynamicAllocation.initialExecutors": max(workers.least, 1),
        "spark.dynamicAllocation.maxExecutors": workers.most,
        # The stream asks at its start among how many tasks to share a batch: most executors have not come by then.
        "spark.default.parallelism": workers.most * _EXECUTOR["cores"],
    }
    return " ".join(f"--conf {name}={value}" for name, value in properties.items())


def stream_request(plan: Plan, stack: Stack, version: str) -> dict[str, Any]:
    """What the job is, but for the token that tells one submission from another."""
    bucket = stack.outputs["BucketName"]
    return {
        "applicationId": stack.outputs["ApplicationId"],
        "executionRoleArn": stack.outputs["StreamRoleArn"],
        "name": f"{plan.name}-stream",
        "mode": "STREAMING",
        "retryPolicy": {"maxFailedAttemptsPerHour": _FAILURES_PER_HOUR},
        # The default ends a job after twelve hours.
        "executionTimeoutMinutes": 0,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": f"s3://{bucket}/artefacts/{version}/run.py",
                "entryPointArguments": ["stream", *settings_options(plan, stack)],
                "sparkSubmitParameters": submit_parameters(bucket, version, plan.workers),
            }
        },
    }


def make_way(cloud: Cloud, stack: Stack, changes: Sequence[Mapping[str, Any]]) -> None:
    """Stop the application where a change to the stack is one to it: AWS changes none that runs."""
    if any(change["ResourceType"] == _APPLICATION for change in changes) and "ApplicationId" in stack.outputs:
        stop(cloud, stack.outputs["ApplicationId"])


def run(cloud: Cloud, plan: Plan, stack: Stack, version: str) -> Running:
    """Have the stream run as planned: one that does already is left, any other ends first, in good order."""
    request = stream_request(plan, stack, version)
    application = request["applicationId"]
    digest = digest_of(request)
    runs = cloud.listed("emr-serverless", "list_job_runs", "jobRuns", applicationId=application, mode="STREAMING")
    active = [_job(cloud, application, job["id"]) for job in runs if job["state"] in ACTIVE]
    same = [job["jobRunId"] for job in active if _bears(job, digest)][:1]
    _cancel(cloud, application, [job["jobRunId"] for job in active if job["jobRunId"] not in same])
    if same:
        return _await(cloud, plan, application, same[0], is_new=False)
    cloud.tell("Starting the stream")
    newest = max(runs, key=lambda job: job["createdAt"])["id"] if runs else ""
    started = cloud.ask(
        "emr-serverless",
        "start_job_run",
        **request,
        tags={TAG: plan.name, REQUEST_TAG: digest},
        # Asked twice before a list shows the first, AWS starts one; after that one's end, another may start.
        clientToken=f"{digest}-{newest}".strip("-"),
    )
    return _await(cloud, plan, application, started["jobRunId"], is_new=True)


def entry_points(cloud: Cloud, stack: Stack) -> list[str]:
    """What the application's jobs run, those that the schedule has started among them."""
    application = stack.outputs["ApplicationId"]
    runs = cloud.listed("emr-serverless", "list_job_runs", "jobRuns", applicationId=application, states=ACTIVE)
    jobs = [_job(cloud, application, job["id"])["jobDriver"] for job in runs]
    return [job["sparkSubmit"]["entryPoint"] for job in jobs if "sparkSubmit" in job]


def stop(cloud: Cloud, application: str) -> None:
    """End all jobs of an application, and the application; it starts by itself with the next job."""
    runs = cloud.listed("emr-serverless", "list_job_runs", "jobRuns", applicationId=application, states=ACTIVE)
    _cancel(cloud, application, [job["id"] for job in runs])
    if _state(cloud, application) not in {"CREATED", "STOPPED", "TERMINATED"}:
        cloud.tell("Stopping the application")
        cloud.ask("emr-serverless", "stop_application", applicationId=application)
        cloud.wait(lambda: _state(cloud, application), lambda state: state in {"STOPPED", "TERMINATED"})


def _for_template(settings: Iterable[str]) -> Iterator[str]:
    """Settings of the refresh, which the template writes into a list inside of a JSON text.

    Raises
    ------
    SettingsError
        Where one holds what would end a word there.
    """
    for setting in settings:
        if setting.startswith("privacy.outside_eu_because="):
            continue  # a parameter of its own
        if set(setting) & set(',"\\'):
            raise SettingsError(
                f"{setting}: the scheduled refresh takes no setting with a comma, quotation mark or backslash. "
                "Leave it out."
            )
        yield setting


def _size(part: str, size: Mapping[str, int]) -> dict[str, str]:
    return {
        f"spark.{part}.cores": str(size["cores"]),
        f"spark.{part}.memory": f"{size['memory']}g",
        f"spark.{part}.memoryOverhead": f"{size['memoryOverhead']}g",
    }


def _job(cloud: Cloud, application: str, job: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = cloud.ask("emr-serverless", "get_job_run", applicationId=application, jobRunId=job)[
        "jobRun"
    ]
    return found


def _bears(job: Mapping[str, Any], digest: str) -> bool:
    return bool(job["state"] != "CANCELLING" and job.get("tags", {}).get(REQUEST_TAG) == digest)


def _cancel(cloud: Cloud, application: str, jobs: Iterable[str]) -> None:
    for job in jobs:
        cloud.tell("Ending the job that runs; what it has committed stays")
        try:
            cloud.ask(
                "emr-serverless",
                "cancel_job_run",
                applicationId=application,
                jobRunId=job,
                shutdownGracePeriodInSeconds=_GRACE_SECONDS,
            )
        except CloudError as error:
            # It is ending already, or has just ended.
            if error.code not in {"ValidationException", "ConflictException"}:
                raise
        cloud.wait(partial(_job, cloud, application, job), lambda seen: seen["state"] in _ENDED)


def _await(cloud: Cloud, plan: Plan, application: str, job: str, is_new: bool) -> Running:
    """A job once it runs.

    Raises
    ------
    CloudError
        Where it ends instead, with what AWS says of that.
    """

    def look() -> Mapping[str, Any]:
        seen = _job(cloud, application, job)
        cloud.tell(f"Waiting for the stream: {seen['state'].lower()}")
        return seen

    seen = cloud.wait(look, lambda seen: seen["state"] in _ENDED | {"RUNNING"})
    if seen["state"] != "RUNNING":
        raise CloudError(
            f"The stream's job {job} ended as {seen['state']} before it ran: "
            f"{(seen.get('stateDetails') or 'no reason given').rstrip('.')}. Its log is in CloudWatch. Mend that and "
            "run this again: it goes on where it was."
        )
    return Running(
        kind="EMR Serverless job",
        id=job,
        state=seen["state"],
        is_new=is_new,
        place=f"EMR > EMR Serverless > application {application} ({plan.name}) > job run {job}",
    )


def _state(cloud: Cloud, application: str) -> str:
    found: str = cloud.ask("emr-serverless", "get_application", applicationId=application)["application"]["state"]
    return found
