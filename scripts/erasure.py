"""Carrying out a request to forget from its beginning to its receipt, by whoever owns each part of it."""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from obstore.store import ObjectStore

from conf import forgetting, lease
from conf.erasing import CONNECTIONS, Eraser
from conf.errors import DataError, LeaseError
from conf.forgetting import Request
from conf.holders import signed
from conf.lease import Lease
from conf.s3 import control_client
from conf.settings import Settings, Storage
from scripts.liveness import State, liveness
from scripts.proof import Proof, prove

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_SECONDS = 1.0
NOT_REACHED = (
    "copies and backups of the bucket",
    "exports, reports and pages that were saved elsewhere",
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
        Where the store refuses, or state or tables are damaged. What was asked stays asked for.
    """
    storage = settings.storage
    with closing(control_client(storage, CONNECTIONS)) as client:
        eraser = Eraser(client, storage)
        if _receipt_of(store, storage, request) is None:
            _have_tables_done(settings, store, request, spark, on_stage)
            _have_reduced_done(settings, store, request, spark, on_stage)
            _prove(settings, store, request, eraser, on_stage)
        receipt = _receipt_of(store, storage, request)
        if receipt is None:
            raise DataError(
                f"The request {request.id} is gone, and nothing was done of it. Ask again: `fruits forget`."
            )
        eraser.erase_keys(forgetting.paths(storage, request))
    return receipt


def _receipt_of(store: ObjectStore, storage: Storage, request: Request) -> dict[str, Any] | None:
    return next((each for each in forgetting.receipts(store, storage) if each["id"] == request.id), None)


def _prove(
    settings: Settings, store: ObjectStore, request: Request, eraser: Eraser, on_stage: Callable[[str], None]
) -> None:
    """See that nothing is left, and write the receipt."""
    storage = settings.storage
    plan = forgetting.plan_of(store, storage, request)
    tables, reduced = (forgetting.done(store, storage, request, part) for part in ("tables", "reduced"))
    if plan is None or tables is None or reduced is None:
        # Another command has carried it out to its end.
        return
    eraser.erase_older(storage.state_key(""))
    on_stage("Reading every file, to see that nothing is left")
    proof = prove(storage, store, plan)
    if proof.found:
        # All of it is done again then.
        eraser.erase_keys(forgetting.paths(storage, request)[:-1])
        raise DataError(_left(proof))
    key = forgetting.secret(store, storage, create=True)
    forgetting.put_receipt(store, storage, request, _receipt(storage, request, key, tables, reduced, proof))


def _have_tables_done(
    settings: Settings,
    store: ObjectStore,
    request: Request,
    spark: "Callable[[], SparkSession]",
    on_stage: Callable[[str], None],
) -> None:
    """By the stream that runs; where none does, in its place."""
    from streaming.forgetting import carry_out as by_stream

    storage = settings.storage
    with closing(control_client(storage)) as client:
        while _waits(store, storage, request, "tables"):
            if liveness(lease.read(client, storage)).state is State.RUNNING:
                on_stage("Waiting for the stream that runs to take it up")
                time.sleep(_LOOK_SECONDS)
                continue
            session = spark()
            on_stage("Deleting")
            with ExitStack() as stack:
                try:
                    held = stack.enter_context(Lease(storage, settings.stream.lease_seconds))
                except LeaseError:
                    # One has just begun.
                    continue
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
    while _waits(store, settings.storage, request, "reduced"):
        try:
            by_refresh(spark, settings, store, request)
        except LeaseError:
            on_stage("Waiting for a refresh to end")
            time.sleep(_LOOK_SECONDS)


def _waits(store: ObjectStore, storage: Storage, request: Request, part: forgetting.Part) -> bool:
    """Whether a part is to be done; not where the whole request is gone."""
    return request.id in {each.id for each in forgetting.pending(store, storage, part)}


def _left(proof: Proof) -> str:
    first, what = next(iter(proof.found.items()))
    return (
        f"{len(proof.found)} of {proof.names} objects still give away what was to be forgotten, such as {first!a} "
        f"({what}). `fruits forget --resume` goes over everything again; where that does not help, delete it by hand."
    )


def _receipt(
    storage: Storage,
    request: Request,
    key: bytes,
    tables: dict[str, Any],
    reduced: dict[str, Any],
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
