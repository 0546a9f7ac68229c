"""Everything that Fruits! raises for a reason a person can act on.

FruitsError
├── SettingsError   a setting is missing or makes no sense: mend the setting
├── SetupError      this machine lacks something (Java, a jar, weights): install it
│   └── WorkerDiedError  a Python worker of Spark's ended in the middle of its work: give it memory
├── StorageError    the object store refuses, is not there, or does not answer: mend access
├── CloudError      AWS refuses or fails a part of a deployment: mend what it names, and run it again
├── ContractError   tables or state belong to another model or version: choose which to keep
│   └── StateError  the state is lost, damaged or older than its tables: restore it, or rebuild it from them
├── LeaseError      another stream or refresh works on this store: wait for it, or stop it
└── DataError       the data cannot give what was asked (not finite, of two models): mend the data
    └── TooFewRowsError  there are none yet, or fewer than that takes: drop more photographs

A message says what happened, the value found, and what to do next. Anything else that is raised is a defect.
"""


class FruitsError(Exception):
    """Base of all errors that end in one message and exit status 1."""


class SettingsError(FruitsError):
    """A setting is missing, unknown or out of range."""


class SetupError(FruitsError):
    """This machine lacks Java, a jar, a package or weights."""


class WorkerDiedError(SetupError):
    """A Python worker of Spark's crashed, or the kernel killed it for its memory."""


class StorageError(FruitsError):
    """The object store refuses, is missing or does not answer."""


class CloudError(FruitsError):
    """AWS refuses a part of a deployment, or has failed it; `code` is AWS's own word, where there is one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ContractError(FruitsError):
    """A table or the state was made by another model or contract version."""


class StateError(ContractError):
    """The state is lost, damaged or older than its tables, and can be rebuilt from them."""


class LeaseError(FruitsError):
    """Another stream or refresh holds the lease, or has taken it over; or another program changed the table."""


class DataError(FruitsError):
    """The data cannot give what was asked of it."""


class TooFewRowsError(DataError):
    """There are no rows yet, or fewer, or fewer different ones, than what was asked takes."""


REBUILD = "let `fruits stream --rebuild-state` make the state anew from the tables"
"""What can be done about a StateError, besides restoring a copy."""
