"""What went wrong behind Spark, as an error of ours: an exception comes through the JVM as text, and a long one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from conf.errors import (
    FruitsError,
    LeaseError,
    SetupError,
    StateError,
    StorageError,
    TooFewRowsError,
    WorkerDiedError,
)

_LEAVES: dict[str, type[FruitsError]] = {
    leaf.__name__: leaf for leaf in (*FruitsError.__subclasses__(), StateError, TooFewRowsError)
}
# A cluster's manager that sees a container take too much memory ends all of it, not the worker alone.
# Where a worker's address space is bounded (spark.executor.pyspark.memory), it is told instead.
# The third is of the process that workers are forked from, before it could fork any.
_WORKER_DIED = re.compile(
    r"Python worker exited unexpectedly|ExecutorLostFailure|EOFException occurred while reading the port number|"
    r"(?<!OutOf)MemoryError"
)
_RAISED_IN_WORKER = re.compile(r"conf\.errors\.(\w+): (.+)")
_NO_ROOM = re.compile(r"No space left on device|File too large|Disk quota exceeded")
_CAME_LATE = "Python worker failed to connect back"
_OVERTAKEN = "DELTA_CONCURRENT_TRANSACTION"
# Others that Delta refuses a commit for: somebody else's, on rows that this one has read, or on the table itself.
_CROSSED = re.compile(r"DELTA_CONCURRENT_\w+|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED")
_STORE_FAILED = re.compile(r"org\.apache\.hadoop\.fs\.s3a\.\w+: (.+)")
_MESSAGE_LENGTH = 300


@contextmanager
def explained() -> Iterator[None]:
    """Raise the error of ours that an exception from Spark stands for in its place.

    Raises
    ------
    FruitsError
        What `from_spark` finds. Anything else is a defect, and keeps its traceback.
    """
    try:
        yield
    except FruitsError:
        raise
    except Exception as error:
        found = from_spark(error)
        if found is None:
            raise
        raise found from None


def from_spark(error: BaseException) -> FruitsError | None:
    """Find what a person can act on in an exception that came back through the JVM, or for want of one.

    That is an error of ours that a Python worker or the sink raised; a full disk; a store that fails within Spark's own
    reading and writing; a table to which another stream has committed this batch, or that another program has changed;
    a JVM or a worker that is no more.
    """
    text = str(error)
    for name, message in reversed(_RAISED_IN_WORKER.findall(text)):
        if name in _LEAVES:
            return _LEAVES[name](message.strip())
    if found := _NO_ROOM.search(text):
        return SetupError(
            f"Spark cannot write its own files on this machine: {found[0]}. Free some room, or set "
            "spark.options.spark.local.dir to a larger disk, then start again. What was committed stays."
        )
    if _OVERTAKEN in text:
        return LeaseError(
            "Another stream has committed this micro-batch while this one held still: it has taken over. Nothing is "
            "doubled. `fruits status` shows who has the lease; let one of the two run."
        )
    if found := _CROSSED.search(text):
        return LeaseError(
            f"Another program has changed the table while this one worked on it ({found[0]}), so nothing was written. "
            "Is a statement run by hand under way, or another refresh? Start again when it is done."
        )
    if failures := _STORE_FAILED.findall(text):
        short = " ".join(failures[-1].split())[:_MESSAGE_LENGTH].rstrip(".")
        return StorageError(f"S3 failed while Spark worked with it: {short}. What was committed stays. Start again.")
    if any(_says_jvm_is_gone(link) for link in _chain(error)):
        return SetupError(
            "Spark's JVM has ended in the middle of its work: it was killed, or this machine ran out of memory. Its "
            "log has its last words. What was committed stays. Start again."
        )
    if _CAME_LATE in text:
        return SetupError(
            "A Python process did not start within the ten seconds that Spark gives it: this machine has too much else "
            "to do. What was committed stays. Start again when it has less."
        )
    if _WORKER_DIED.search(text):
        return WorkerDiedError(
            "A Python worker of Spark's died. Has this machine run out of memory (its kernel's log says so)? Give "
            "it more, or fewer cores to Spark, and start again. What was committed stays."
        )
    return None


def worker_died(error: Exception) -> bool:
    """Whether what came back through the JVM says that a Python worker's process ended in the middle of its work.

    It crashed, or the kernel killed it for its memory. What a worker raises, of ours or not, is not that.
    """
    return isinstance(from_spark(error), WorkerDiedError)


def worker_came_late(error: Exception) -> bool:
    """Whether a Python process was not there within the ten seconds that Spark gives it: nothing has begun by then."""
    return _CAME_LATE in str(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_jvm_is_gone(error: BaseException) -> bool:
    return isinstance(error, ConnectionError) or type(error).__name__ == "Py4JNetworkError"
