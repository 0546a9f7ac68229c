"""Databricks: a bundle of two jobs, which Databricks' own command line deploys and removes."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from conf.errors import SetupError

_INSTALLED = Path(__file__).with_name("bundle")
BUNDLE = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "deploy" / "databricks"
INSTALL = "docs.databricks.com/aws/en/dev-tools/cli"
CLI = "databricks"
_FILES = ("databricks.yml", "task.py")
_SAID = 2000


def stage(folder: Path, files: Iterable[Path]) -> Path:
    """Put the bundle together in a folder of its own, which is emptied first; in dist/ goes what was built."""
    shutil.rmtree(folder, ignore_errors=True)
    dist = folder / "dist"
    dist.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(BUNDLE / name, folder)
    for file in files:
        shutil.copy(file, dist)
    return folder


def variables(name: str, region: str, workers: int, outputs: Mapping[str, str]) -> dict[str, str]:
    """What the bundle leaves open, from the plan and what the stack has made."""
    return {
        "name": name,
        "bucket": outputs["BucketName"],
        "region": region,
        "queue_url": outputs["QueueUrl"],
        "stream_instance_profile": outputs["StreamInstanceProfileArn"],
        "refresh_instance_profile": outputs["RefreshInstanceProfileArn"],
        "most_workers": str(workers),
    }


def deployment(values: Mapping[str, str], *, always_on: bool) -> list[list[str]]:
    """The commands that deploy: the first looks for mistakes, and changes nothing."""
    options = _options(values, always_on)
    return [[CLI, "bundle", "validate", *options], [CLI, "bundle", "deploy", *options, "--auto-approve"]]


def removal(values: Mapping[str, str], *, always_on: bool) -> list[list[str]]:
    """The command that ends both jobs and removes them, with what was uploaded."""
    return [[CLI, "bundle", "destroy", *_options(values, always_on), "--auto-approve"]]


def run(commands: Sequence[Sequence[str]], bundle: Path) -> None:
    """Run commands in a bundle's folder, one after the other; what they say goes to stderr.

    Raises
    ------
    SetupError
        Where there is no `databricks`, or one fails.
    """
    if not shutil.which(CLI):
        raise SetupError(
            f"There is no `{CLI}` command on this machine, which uploads and starts bundles. Install it ({INSTALL}), "
            "tell it your workspace by `databricks auth login`, and run this again."
        )
    for words in commands:
        ran = subprocess.run(words, cwd=bundle, capture_output=True, text=True, check=False)
        if ran.returncode:
            said = (ran.stderr or ran.stdout).strip()[-_SAID:]
            raise SetupError(f"`{' '.join(words[:3])}` failed in {bundle}: {said or 'it said nothing'}")


def _options(values: Mapping[str, str], always_on: bool) -> list[str]:
    given = [word for name, value in values.items() for word in ("--var", f"{name}={value}")]
    return ["--target", "always_on" if always_on else "scheduled", *given]
