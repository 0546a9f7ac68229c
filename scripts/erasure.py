"""Carrying out a request to forget from its beginning to its receipt, by whoever owns each part of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from obstore.store import ObjectStore

from conf import forgetting, lease
from conf.erasing import CONNECTIONS, Eraser
from conf.errors import DataError, FruitsError, LeaseError
from conf.forgetting import Request
from conf.holders import signed
from conf.lease import Lease
from conf.s3 import control_client
from conf.settings import Settings, Storage
from conf.spark_errors import explained
from scripts.liveness import State, liveness
from scripts.proof import Proof, prove

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from pyspark.sql import SparkSession

_LOOK_SECONDS = 1.0
NOT_REACHED = (
    "copies and backups of the bucket",
    "exports, reports and pages that were saved elsewhere",
    "messages that wait in a queue of the landing zone, and its dead letters, for 14 days at most",
    "logs of Spark, of the stream and of the platform",
    "what people have read of the tables before",
)


def carry_out(
    settings: Settings,
    store: ObjectStore,
    request: Request,
    spark: "Callable[[], SparkSession]",
    on_stage: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:
    """Carry out a request, whatever of it is done already; gives the receipt.

    Parameters
    ----------
    spark
        Called where a session is needed, again and again.
    on_stage
        Called as each stage begins, with words for it.

    Raises
    ------
    DataError
        Where the scan finds anything left.
    FruitsError
        Where the stream that runs failed with its part; the store refuses, or state or tables are damaged. What was
        asked stays asked for.
    """
    storage = settings.storage
    with closing(control_client(storage, CONNECTIONS)) as client, _stays_asked():
        now = forgetting.read(store, storage, request.id)
        if now and now.failed:
            # Who asks again has mended it: a stream takes it up at its next look.
            now = forgetting.change(store, storage, request.id, failed=None)
        while now and forgetting.receipt_of(store, storage, request) is None:
            if now.tables is None:
                _have_tables_done(settings, store, client, now, spark, on_stage)
            elif now.reduced is None:
                _have_reduced_done(settings, store, now, spark, on_stage)
            else:
                _prove(storage, store, Eraser(client, storage), now, on_stage)
            now = forgetting.read(store, storage, request.id, now)
        receipt = forgetting.receipt_of(store, storage, request)
        if receipt is not None:
            # One version of it: the proof came after those of before had gone.
            Eraser(client, storage).erase_keys([forgetting.request_path(storage, request)])
            return receipt
    raise DataError(f"Somebody has deleted the request {request.id} before it was done. Ask again: `fruits forget`.")


@contextmanager
def _stays_asked() -> Iterator[None]:
    """What goes wrong within does not end the request, and says so."""
    try:
        with explained():
            yield
    except FruitsError as error:
        says = "What was asked stays asked for: once that is mended, `fruits forget --resume` goes on."
        raise type(error)(f"{error} {says}") from None


def _have_tables_done(
    settings: Settings,
    store: ObjectStore,
    client: "S3Client",
    request: Request,
    spark: "Callable[[], SparkSession]",
    on_stage: Callable[[str], None],
) -> None:
    """By the stream that runs, of which this is one look; where none does, in its place."""
    from streaming.forgetting import carry_out as by_stream

    storage = settings.storage
    stream = liveness(lease.read(client, storage))
    if stream.state is State.RUNNING:
        if request.failed:
            raise FruitsError(f"The stream, {stream.holder}, could not do its part: {request.failed.why}")
        on_stage("Waiting for the stream that runs to take it up")
        time.sleep(_LOOK_SECONDS)
        return
    session = spark()
    on_stage("Deleting")
    with ExitStack() as stack:
        try:
            held = stack.enter_context(Lease(storage, settings.stream.lease_seconds))
        except LeaseError:
            # One has just begun.
            return
        stack.enter_context(signed(session, held.hold))
        by_stream(session, storage, store, request, held.check)


def _have_reduced_done(
    settings: Settings,
    store: ObjectStore,
    request: Request,
    spark: "Callable[[], SparkSession]",
    on_stage: Callable[[str], None],
) -> None:
    """When no refresh is at work."""
    from batch.forgetting import carry_out as by_refresh

    on_stage("Refitting without them")
    try:
        by_refresh(spark, settings, store, request)
    except LeaseError:
        on_stage("Waiting for a refresh to end")
        time.sleep(_LOOK_SECONDS)


def _prove(
    storage: Storage, store: ObjectStore, eraser: Eraser, request: Request, on_stage: Callable[[str], None]
) -> None:
    """See that nothing is left, and write the receipt."""
    plan, tables, reduced = request.plan, request.tables, request.reduced
    assert plan and tables and reduced  # noqa: S101, PT018 (narrows for the type checker)
    eraser.erase_older(storage.state_key(""))
    on_stage("Reading every file, to see that nothing is left")
    proof = prove(storage, store, plan)
    if proof.found:
        # All of it is done again then; the rows have left already.
        again = replace(plan, leaving=0)
        forgetting.change(store, storage, request.id, plan=again, tables=None, reduced=None)
        raise DataError(_left(proof))
    key = forgetting.secret(store, storage, create=True)
    forgetting.put_receipt(store, storage, request, _receipt(storage, request, key, tables, reduced, proof))


def _left(proof: Proof) -> str:
    first, what = next(iter(proof.found.items()))
    return (
        f"{len(proof.found)} of {proof.names} objects still give away what was to be forgotten, such as {first!a} "
        f"({what}). The next attempt goes over everything again; where that does not help, delete it by hand."
    )


def _receipt(
    storage: Storage,
    request: Request,
    key: bytes,
    tables: Mapping[str, Any],
    reduced: Mapping[str, Any],
    proof: Proof,
) -> dict[str, Any]:
    return {
        "contract": forgetting.CONTRACT,
        "id": request.id,
        "store": storage.uri("", "s3"),
        "asked": forgetting.hashes(key, request.asked),
        "asked_at": request.at,
        "done_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "removed": tables["removed"] | {"models": reduced["models"]},
        "versions": tables["versions"] | reduced["versions"],
        "pca_version": reduced["pca_version"],
        "proof": {
            "objects": proof.names,
            "files_read": proof.files,
            "bytes_read": proof.bytes,
            "left": 0,
            "rows_of_the_same_bytes": proof.twins,
        },
        "not_reached": list(NOT_REACHED),
    }
