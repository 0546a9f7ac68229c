"""Everything that Fruits! raises for a reason a person can act on.

FruitsError
├── SettingsError   a setting is missing or makes no sense: mend the setting
├── SetupError      this machine lacks something (Java, a jar, weights): install it
├── StorageError    the object store refuses, is not there, or does not answer: mend access
├── ContractError   tables or state belong to another model or version: choose which to keep
│   └── StateError  the state is lost, damaged or older than its tables: restore it, or rebuild it from them
├── LeaseError      another stream works on this state: wait for it, or stop it
└── DataError       the data cannot give what was asked (no rows, not finite): mend the data

A message says what happened, the value found, and what to do next. Anything else that is raised is a defect.
"""

import re


class FruitsError(Exception):
    """Base of all errors that end in one message and exit status 1."""


class SettingsError(FruitsError):
    """A setting is missing, unknown or out of range."""


class SetupError(FruitsError):
    """This machine lacks Java, a jar, a package or weights."""


class StorageError(FruitsError):
    """The object store refuses, is missing or does not answer."""


class ContractError(FruitsError):
    """A table or the state was made by another model or contract version."""


class StateError(ContractError):
    """The state is lost, damaged or older than its tables, and can be rebuilt from them."""


class LeaseError(FruitsError):
    """Another stream holds the lease on this state, or has taken it over."""


class DataError(FruitsError):
    """The data cannot give what was asked of it."""


REBUILD = "let `fruits stream --rebuild-state` make the state anew from the tables"
"""What can be done about a StateError, besides restoring a copy."""
_LEAVES: dict[str, type[FruitsError]] = {leaf.__name__: leaf for leaf in (*FruitsError.__subclasses__(), StateError)}
_WORKER_DIED = "Python worker exited unexpectedly"
_RAISED_IN_WORKER = re.compile(r"conf\.errors\.(\w+): (.+)")


def from_spark(error: Exception) -> FruitsError | None:
    """Find the error of ours that a Python worker raised inside an exception that came back through the JVM.

    Returns None where there is none, so that a defect keeps its traceback.
    """
    found = _RAISED_IN_WORKER.findall(str(error))
    for name, message in reversed(found):
        if name in _LEAVES:
            return _LEAVES[name](message.strip())
    return None


def worker_died(error: Exception) -> bool:
    """Whether what came back through the JVM says that a Python worker's process ended in the middle of its work.

    It crashed, or the kernel killed it for its memory. What a worker raises, of ours or not, is not that.
    """
    return _WORKER_DIED in str(error) and from_spark(error) is None
