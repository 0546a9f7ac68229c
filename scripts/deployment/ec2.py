"""EMR on EC2: a cluster of its own that runs the same jobs as steps, and ends when they have."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from conf.errors import CloudError
from scripts.deployment.artefacts import spark_properties
from scripts.deployment.jobs import REQUEST_TAG, digest_of, settings_options
from scripts.deployment.plan import Plan, Running
from scripts.deployment.stack import TAG, Stack
from scripts.deployment.steps import Cloud

MANAGED_TAG = "for-use-with-amazon-emr-managed-policies"
ACTIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
_GONE = {"TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"}
_RELEASE = "emr-spark-8.1.0"
_MAIN = "m5.xlarge"
_SPOT = ("m5.xlarge", "m5a.xlarge", "m6i.xlarge", "m6a.xlarge")
"""Of the same size, so that a spot price or a shortage of one is none of the others."""
_CORES = 4
_IDLE_SECONDS = 900
_SPOT_MINUTES = 15


def parameters(plan: Plan) -> dict[str, str]:
    """What the template is told: nothing in a subnet is its to make."""
    return {}


def scheduled(plan: Plan, bucket: str, version: str) -> dict[str, str]:
    """Nothing: the refresh is a step of the cluster."""
    return {}


def cluster_request(plan: Plan, stack: Stack, version: str) -> dict[str, Any]:
    """The cluster: a machine each for the driver and HDFS, on demand; the others spot, as many as there is work for."""
    watches = plan.stays_up
    stream = _submit(plan, stack, version, "stream", *(() if watches else ("--once",)))
    refresh = _submit(plan, stack, version, "refresh", *(("--every", _every(plan)) if watches else ("--if-changed",)))
    # Of steps side by side EMR lets none end the cluster. So both are one, which ends with the first that does: a
    # refresh would keep a cluster busy, and paid for, that has no stream any more.
    both = ["bash", "-c", f"{shlex.join(stream)} & {shlex.join(refresh)} & wait -n"]
    steps = {"jobs": both} if watches else {"stream": stream, "refresh": refresh}
    groups = list(plan.security_groups)
    return {
        "Name": plan.name,
        "ReleaseLabel": plan.parameters.get("ReleaseLabel", _RELEASE),
        "Applications": [{"Name": "Spark"}],
        "ServiceRole": stack.outputs["ServiceRoleArn"],
        # By its name: it is a profile, not a role, whatever EMR calls it.
        "JobFlowRole": stack.outputs["InstanceProfileArn"].rpartition("/")[2],
        "SecurityConfiguration": stack.outputs["SecurityConfiguration"],
        "MonitoringConfiguration": {
            "CloudWatchLogConfiguration": {
                "Enabled": True,
                "LogGroupName": stack.outputs["LogGroupName"],
                "LogStreamNamePrefix": plan.name,
                "LogTypes": {"STEP_LOGS": ["STDERR"], "SPARK_DRIVER": ["STDOUT", "STDERR"]},
            }
        },
        # What goes between machines, and what is spilled; on their disks the security configuration sees to it, too.
        "Configurations": [
            {
                "Classification": "spark-defaults",
                "Properties": {
                    "spark.authenticate": "true",
                    "spark.network.crypto.enabled": "true",
                    "spark.io.encryption.enabled": "true",
                },
            }
        ],
        "Instances": {
            "InstanceFleets": [
                _fleet("MASTER", on_demand=1),
                _fleet("CORE", on_demand=1),
                # EMR makes no fleet of none; one too many goes again.
                _fleet("TASK", spot=max(plan.workers.least, 1)),
            ],
            # It ends with its last step.
            "KeepJobFlowAliveWhenNoSteps": False,
            "TerminationProtected": False,
            "Ec2SubnetIds": list(plan.subnets),
            **({"AdditionalMasterSecurityGroups": groups, "AdditionalSlaveSecurityGroups": groups} if groups else {}),
        },
        "ManagedScalingPolicy": {
            "ComputeLimits": {
                "UnitType": "InstanceFleetUnits",
                "MinimumCapacityUnits": 1 + plan.workers.least,
                "MaximumCapacityUnits": 1 + plan.workers.most,
                "MaximumOnDemandCapacityUnits": 1,
                "MaximumCoreCapacityUnits": 1,
            }
        },
        # A step that hangs before its application starts would hold it for ever.
        "AutoTerminationPolicy": {"IdleTimeout": _IDLE_SECONDS},
        "Steps": [_step(f"{plan.name}-{name}", words) for name, words in steps.items()],
        "VisibleToAllUsers": True,
    }


def make_way(cloud: Cloud, stack: Stack, changes: Sequence[Mapping[str, Any]]) -> None:
    """A cluster that runs stands in no change's way."""


def run(cloud: Cloud, plan: Plan, stack: Stack, version: str) -> Running:
    """Have a cluster work as planned: one that does is left, any other of the name ends first."""
    request = cluster_request(plan, stack, version)
    digest = digest_of(request)
    same = ""
    for cluster, tags in active(cloud, plan.name).items():
        if not same and tags.get(REQUEST_TAG) == digest:
            same = cluster
        else:
            end(cloud, [cluster])
    started = same
    if not same:
        cloud.tell("Starting the cluster")
        # The service's role may touch nothing that lacks the last.
        tags = {TAG: plan.name, REQUEST_TAG: digest, MANAGED_TAG: "true"}
        answer = cloud.ask(
            "emr", "run_job_flow", **request, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )
        started = answer["JobFlowId"]

    def look() -> Mapping[str, Any]:
        seen = _cluster(cloud, started)
        cloud.tell(f"Waiting for the cluster: {seen['Status']['State'].lower()}")
        return seen

    seen = cloud.wait(look, lambda seen: seen["Status"]["State"] in _GONE | {"RUNNING", "WAITING"})
    status = seen["Status"]
    if status["State"] in _GONE:
        reason = status.get("StateChangeReason", {}).get("Message") or "no reason given"
        raise CloudError(
            f"The cluster {started} ended as {status['State']} before it ran: {reason}. Mend that and run this again."
        )
    return Running(
        kind="EMR cluster",
        id=started,
        state=status["State"],
        is_new=not same,
        place=f"EMR > Clusters > {started} ({plan.name})",
    )


def entry_points(cloud: Cloud, stack: Stack) -> list[str]:
    """Nothing but what was just started: a cluster that ran something else has ended."""
    return []


def active(cloud: Cloud, name: str) -> dict[str, dict[str, str]]:
    """The clusters of a deployment that cost something, each with its tags."""
    clusters = cloud.listed("emr", "list_clusters", "Clusters", ClusterStates=ACTIVE)
    tagged = {cluster["Id"]: _tags(cloud, cluster["Id"]) for cluster in clusters if cluster["Name"] == name}
    return {cluster: tags for cluster, tags in tagged.items() if tags.get(TAG) == name}


def end(cloud: Cloud, clusters: Iterable[str]) -> None:
    """Terminate clusters, and wait until they are gone."""
    for cluster in clusters:
        cloud.tell("Terminating the cluster")
        cloud.ask("emr", "terminate_job_flows", JobFlowIds=[cluster])
        cloud.wait(partial(_cluster, cloud, cluster), lambda seen: seen["Status"]["State"] in _GONE - {"TERMINATING"})


def _fleet(kind: str, *, on_demand: int = 0, spot: int = 0) -> dict[str, Any]:
    is_task = kind == "TASK"
    types = _SPOT if is_task else (_MAIN,)
    fleet: dict[str, Any] = {
        "Name": kind.lower(),
        "InstanceFleetType": kind,
        "InstanceTypeConfigs": [{"InstanceType": name, "WeightedCapacity": 1} for name in types],
    }
    if not is_task:
        return fleet | {"TargetOnDemandCapacity": on_demand}
    patience = {"TimeoutDurationMinutes": _SPOT_MINUTES, "TimeoutAction": "SWITCH_TO_ON_DEMAND"}
    return fleet | {
        "TargetSpotCapacity": spot,
        "LaunchSpecifications": {"SpotSpecification": {**patience, "AllocationStrategy": "price-capacity-optimized"}},
    }


def _submit(plan: Plan, stack: Stack, version: str, command: str, *options: str) -> list[str]:
    """One of our commands, as a node submits it."""
    artefacts = f"s3://{stack.outputs['BucketName']}/artefacts/{version}"
    properties = spark_properties("ec2", artefacts) | {
        # As on EMR Serverless: the stream asks at its start, when most machines have not come.
        "spark.default.parallelism": str(plan.workers.most * _CORES)
    }
    conf = [word for name, value in properties.items() for word in ("--conf", f"{name}={value}")]
    return ["spark-submit", *conf, f"{artefacts}/run.py", command, *options, *settings_options(plan, stack)]


def _step(name: str, words: list[str]) -> dict[str, Any]:
    return {
        "Name": name,
        # A refresh without the stream's rows would fit what there was before.
        "ActionOnFailure": "TERMINATE_CLUSTER",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words},
    }


def _every(plan: Plan) -> str:
    """As `fruits refresh --every` takes it."""
    count, unit = plan.refresh_every.split()
    return f"{count}{unit[0]}"


def _cluster(cloud: Cloud, cluster: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = cloud.ask("emr", "describe_cluster", ClusterId=cluster)["Cluster"]
    return found


def _tags(cloud: Cloud, cluster: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in _cluster(cloud, cluster).get("Tags", [])}
