"""Errors: one base, and the way home from a worker."""

import pytest

from conf.errors import DataError, FruitsError, LeaseError, SetupError, StorageError
from conf.spark_errors import explained, from_spark, worker_died


def test_an_error_raised_in_a_worker_is_found_in_the_jvms_words() -> None:
    through_the_jvm = RuntimeError(
        "Job aborted: Task 0 failed\nTraceback (most recent call last):\n  File x\n"
        "conf.errors.DataError: 3 of 9 vectors are not finite\n\tat org.apache.spark.Something"
    )
    found = from_spark(through_the_jvm)
    assert isinstance(found, DataError)
    assert str(found) == "3 of 9 vectors are not finite"


def test_a_defect_is_not_taken_for_one_of_ours() -> None:
    assert from_spark(RuntimeError("KeyError: 'conf'")) is None
    assert issubclass(DataError, FruitsError)


def test_a_dead_worker_is_told_from_one_that_raised() -> None:
    died = "SparkException: Python worker exited unexpectedly (crashed). Consider setting 'spark…' to 'true'"
    assert worker_died(RuntimeError(died))
    assert worker_died(RuntimeError("EOFException occurred while reading the port number from daemon's stdout."))
    assert worker_died(RuntimeError("PythonException: Traceback\n  File x\nMemoryError"))
    assert not worker_died(RuntimeError("java.lang.OutOfMemoryError: Java heap space"))
    assert not worker_died(RuntimeError("conf.errors.StorageError: no answer"))
    assert not worker_died(RuntimeError(f"conf.errors.StorageError: no answer\n{died}"))


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ("Python worker exited unexpectedly (crashed)", SetupError, "A Python worker of Spark's died"),
        ("SparkException: Python worker failed to connect back.", SetupError, "within the ten seconds"),
        ("java.io.IOException: No space left on device", SetupError, "No space left"),
        ("io.delta.exceptions.ConcurrentTransactionException: [DELTA_CONCURRENT_TRANSACTION] x", LeaseError, "taken"),
        (
            "io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] x",
            LeaseError,
            r"\(DELTA_CONCURRENT_A",
        ),
        ("io.delta.exceptions.MetadataChangedException: [DELTA_METADATA_CHANGED] x", LeaseError, "Another program"),
        (
            "Caused by: org.apache.hadoop.fs.s3a.AWSStatus500Exception: Writing Object on tables/x: try again.\n\tat y",
            StorageError,
            "Writing Object on tables/x: try again. What",
        ),
    ],
)
def test_what_goes_wrong_within_the_jvm_is_one_message(words: str, error: type[FruitsError], said: str) -> None:
    with pytest.raises(error, match=said), explained():
        raise RuntimeError(f"An error occurred while calling o1.save.\n: SparkException: aborted\n{words}")


def test_a_jvm_that_is_gone_is_one_message_whatever_was_to_be_cleaned_up() -> None:
    with pytest.raises(SetupError, match="JVM has ended"), explained():
        try:
            raise ConnectionResetError("Answer from Java side is empty")
        finally:
            raise RuntimeError("it cannot be stopped, either")


def test_a_defect_keeps_its_own_words() -> None:
    with pytest.raises(KeyError, match="conf"), explained():
        raise KeyError("conf")
