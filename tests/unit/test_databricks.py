"""The bundle for Databricks holds together, and what deploys it says what is lacking."""

import importlib.metadata
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conf.errors import SetupError
from conf.settings import Model, load
from conf.spark import _properties
from scripts.deployment import artefacts
from scripts.deployment.databricks import BUNDLE, deployment, removal, run, stage, variables

TEXT = (BUNDLE / "databricks.yml").read_text(encoding="utf-8")
OUTPUTS = {
    "BucketName": "fruits-1234-eu-west-1",
    "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1234/fruits",
    "StreamInstanceProfileArn": "arn:aws:iam::1234:instance-profile/fruits-stream",
    "RefreshInstanceProfileArn": "arn:aws:iam::1234:instance-profile/fruits-refresh",
}
VALUES = variables("fruits", "eu-west-1", 4, OUTPUTS)


@pytest.fixture(scope="module")
def bundle() -> Any:
    return yaml.safe_load(TEXT)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for below in value.values():
            yield from leaves(below)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below)
    else:
        yield value


def test_each_variable_that_is_used_is_there_and_each_that_is_there_is_used(bundle: Any) -> None:
    used = {name for leaf in leaves(bundle) for name in re.findall(r"\$\{var\.(\w+)\}", str(leaf))}
    assert used == set(bundle["variables"])


def test_each_variable_without_a_default_is_given(bundle: Any) -> None:
    open_ones = {name for name, variable in bundle["variables"].items() if "default" not in variable}
    assert open_ones <= set(VALUES) <= set(bundle["variables"])


@pytest.mark.parametrize("job", ["stream", "refresh"])
def test_a_job_has_settings_that_the_aws_profile_takes(bundle: Any, job: str) -> None:
    (task,) = bundle["resources"]["jobs"][job]["tasks"]
    command, *words = task["spark_python_task"]["parameters"]
    given = [re.sub(r"\$\{var\.(\w+)\}", lambda found: VALUES.get(found[1], "--once"), word) for word in words]
    assert command == job
    settings = load("aws", ["storage.scheme=s3", *(word for word in given if not word.startswith("--"))])
    assert settings.storage.table_uri("features") == "s3://fruits-1234-eu-west-1/tables/features"
    assert (settings.discovery.queue_url == OUTPUTS["QueueUrl"]) == (job == "stream")


def test_each_job_has_the_rights_of_its_own_role(bundle: Any) -> None:
    clusters = {name: job["job_clusters"][0]["new_cluster"] for name, job in bundle["resources"]["jobs"].items()}
    for job, cluster in clusters.items():
        assert cluster["aws_attributes"]["instance_profile_arn"] == f"${{var.{job}_instance_profile}}"
        # Elsewhere code on a worker is kept from the instance profile's credentials.
        assert cluster["data_security_mode"] == "SINGLE_USER"


def test_a_stream_is_scheduled_or_always_on_and_never_two_at_a_time(bundle: Any) -> None:
    assert bundle["resources"]["jobs"]["stream"]["max_concurrent_runs"] == 1
    targets = bundle["targets"]
    assert [name for name, target in targets.items() if target.get("default")] == ["scheduled"]
    ways = {name: set(target["resources"]["jobs"]["stream"]) for name, target in targets.items()}
    assert ways == {"scheduled": {"trigger"}, "always_on": {"continuous"}}
    assert [target["variables"]["stays"] for target in targets.values()] == ["--once", "--always"]


def test_databricks_own_classes_read_both_jobs(bundle: Any) -> None:
    """Where they are installed: they are generated from Databricks' schema, and refuse a field that it has not."""
    jobs = pytest.importorskip("databricks.bundles.jobs")
    for target in bundle["targets"].values():
        for name, job in bundle["resources"]["jobs"].items():
            more = target["resources"]["jobs"].get(name, {})
            assert jobs.Job.from_dict(job | more).name == f"${{var.name}}-{name}"


def test_the_bundle_is_staged_with_what_was_built_and_nothing_of_before(tmp_path: Path) -> None:
    wheel = tmp_path / "fruits-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    (tmp_path / "bundle" / "dist").mkdir(parents=True)
    (tmp_path / "bundle" / "dist" / "fruits-0.0.9-py3-none-any.whl").touch()
    staged = stage(tmp_path / "bundle", [wheel])
    files = sorted(str(file.relative_to(staged)) for file in staged.rglob("*") if file.is_file())
    assert files == ["databricks.yml", f"dist/{wheel.name}", "task.py"]


def test_commands_are_of_one_target_and_give_each_variable() -> None:
    validate, deploy = deployment(VALUES, always_on=False)
    assert (validate[:3], deploy[:3]) == (["databricks", "bundle", "validate"], ["databricks", "bundle", "deploy"])
    assert validate[3:5] == ["--target", "scheduled"]
    assert validate.count("--var") == len(VALUES)
    (destroy,) = removal(VALUES, always_on=True)
    assert destroy[2:5] == ["destroy", "--target", "always_on"]


def test_without_the_command_line_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"Install it \(docs\.databricks\.com"):
        run(deployment(VALUES, always_on=False), tmp_path)


def command_that(does: str, folder: Path) -> None:
    command = folder / "databricks"
    command.write_text(f"#!/bin/sh\n{does}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)


def test_what_the_command_line_says_of_a_mistake_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command_that("echo 'Error: cannot resolve host' >&2; exit 1", tmp_path)
    with pytest.raises(SetupError, match=r"`databricks bundle validate` failed in .*: Error: cannot resolve host"):
        run(deployment(VALUES, always_on=False), tmp_path)


def test_a_mistake_that_validation_finds_deploys_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command_that('echo "$2" >> called; [ "$2" = deploy ]', tmp_path)
    with pytest.raises(SetupError, match="validate"):
        run(deployment(VALUES, always_on=False), tmp_path)
    assert (tmp_path / "called").read_text() == "validate\n"


def test_on_databricks_its_own_delta_is_left_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load("aws", ["storage.bucket=fruits", "storage.scheme=s3"])
    delta = {"spark.sql.extensions", "spark.sql.catalog.spark_catalog"}
    assert delta <= set(_properties(settings))
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.2")
    assert not delta & set(_properties(settings))


def test_pip_finds_all_that_it_is_to_install_in_the_list_and_brings_no_second_spark() -> None:
    """With hashes pip takes what is listed or nothing."""
    entries = artefacts._entries(artefacts._project()["dependencies"], Model(), "databricks")
    names = {line.split("==")[0] for line in entries.splitlines() if "==" in line}
    assert "pyspark" not in names
    there = {"python_version": "3.12", "python_full_version": "3.12.3", "extra": ""}
    for name in names:
        for needed in map(Requirement, importlib.metadata.requires(name) or []):
            if needed.marker is None or needed.marker.evaluate(there):
                assert canonicalize_name(needed.name) in names, f"{name} needs {needed.name}"
