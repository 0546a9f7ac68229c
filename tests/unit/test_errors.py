"""Errors: one base, and the way home from a worker."""

from conf.errors import DataError, FruitsError, from_spark, worker_died


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
    assert not worker_died(RuntimeError("conf.errors.StorageError: no answer"))
    assert not worker_died(RuntimeError(f"conf.errors.StorageError: no answer\n{died}"))
