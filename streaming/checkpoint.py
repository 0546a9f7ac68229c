"""What Spark's own checkpoint says: the identity of the query, and how far it has planned."""

import json
from dataclasses import dataclass

import obstore
from obstore.store import ObjectStore

from conf.errors import REBUILD, StateError
from conf.s3 import read_object, store_answers


@dataclass(frozen=True)
class Plan:
    """The last micro-batch that was planned; it may have been carried out or not."""

    batch_id: int = -1
    manifest: int = 0


def query_id(store: ObjectStore, prefix: str) -> str | None:
    """Identity of the streaming query, which lasts as long as its checkpoint; None on a new one.

    Commits are made idempotent under it. A constant in its place would let a new checkpoint, which counts its batches
    from 0 again, be taken for a repetition, and its data be dropped in silence.

    Raises
    ------
    StateError
        Where it is damaged.
    """
    path = f"{prefix}/metadata"
    text = _read(store, path)
    try:
        return None if text is None else str(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None


def last_plan(store: ObjectStore, prefix: str) -> Plan:
    """The last entry of the offset log.

    Raises
    ------
    StateError
        Where it is damaged.
    """
    planned = _newest(store, f"{prefix}/offsets/")
    if planned is None:
        return Plan()
    # Spark purges old entries while it runs; where this one is gone, a newer one has come since the listing.
    return _plan(store, prefix, planned) or last_plan(store, prefix)


def last_done(store: ObjectStore, prefix: str) -> Plan | None:
    """The last micro-batch that was carried out to its end, as Spark noted; None where it noted none.

    Raises
    ------
    StateError
        Where its entry of the offset log is damaged.
    """
    done = _newest(store, f"{prefix}/commits/")
    return None if done is None else _plan(store, prefix, done)


def _newest(store: ObjectStore, log: str) -> int | None:
    with store_answers(log):
        names = (meta["path"].rsplit("/", 1)[-1] for page in obstore.list(store, log) for meta in page)
        return max((int(name) for name in names if name.isdigit()), default=None)


def _plan(store: ObjectStore, prefix: str, batch_id: int) -> Plan | None:
    path = f"{prefix}/offsets/{batch_id}"
    log = _read(store, path)
    if log is None:
        return None
    try:
        return Plan(batch_id, int(json.loads(log.splitlines()[-1])["manifest"]))
    except (ValueError, KeyError, TypeError, IndexError):
        raise _damaged(path) from None


def discard(store: ObjectStore, prefix: str) -> None:
    """Delete it all. The identity goes first: what dying on the way leaves is no checkpoint in good order."""
    with store_answers(prefix):
        paths = [meta["path"] for page in obstore.list(store, f"{prefix}/") for meta in page]
        obstore.delete(store, [path for path in paths if path == f"{prefix}/metadata"])
        obstore.delete(store, [path for path in paths if path != f"{prefix}/metadata"])


def _read(store: ObjectStore, path: str) -> str | None:
    body = read_object(store, path)
    return None if body is None else body.decode()


def _damaged(path: str) -> StateError:
    return StateError(f"Checkpoint file {path} is damaged. Restore it from a copy, or {REBUILD}.")
