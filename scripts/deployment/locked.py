"""What of requirements.lock a job on a platform needs: what the project stands on, less what the platform has."""

import importlib.metadata
import re
from collections.abc import Collection, Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conf.errors import SetupError


def needed(requirements: Iterable[str], without: Collection[str], python: str) -> set[str]:
    """Names of the packages that these requirements come to on 64-bit Linux, by what is installed here.

    Parameters
    ----------
    requirements
    without
        Names that are left out, with what only they need.
    python
        The version there, such as 3.11.

    Raises
    ------
    SetupError
        Where one of them is not installed here.
    """
    there = {
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    names: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in names or name in without or not (wanted.marker is None or wanted.marker.evaluate(there)):
            continue
        names.add(name)
        try:
            below = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            raise SetupError(f"{name} is not installed here, so what it needs is not known. Run: make setup") from None
        extras = {"", *wanted.extras}
        for line in below:
            further = Requirement(line)
            if further.marker is None or any(further.marker.evaluate({**there, "extra": one}) for one in extras):
                further.marker = None
                waiting.append(further)
    return names


def lines(lock: str, names: Collection[str]) -> str:
    """The entries of a lock file for these packages, with their hashes.

    Raises
    ------
    SetupError
        Where one of them is not locked.
    """
    entries = re.findall(r"^[\w.-]+==.*\n(?:[ \t]+.*\n)*", lock, flags=re.MULTILINE)
    named = [(canonicalize_name(re.split("==", entry, maxsplit=1)[0]), entry) for entry in entries]
    if missing := set(names) - {name for name, _ in named}:
        raise SetupError(
            f"requirements.lock does not have {', '.join(sorted(missing))}. Lock it again, and make setup."
        )
    return "".join(entry for name, entry in named if name in names)
