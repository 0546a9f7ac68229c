"""What Spark's own checkpoint says: the identity of the query, and the last manifest that it planned a batch for."""

import json

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import ObjectStore


def query_id(store: ObjectStore, prefix: str) -> str:
    """Identity of the streaming query, which lasts as long as its checkpoint.

    Commits are made idempotent under it. A constant in its place would let a new checkpoint, which counts its batches
    from 0 again, be taken for a repetition, and its data be dropped in silence.
    """
    found = json.loads(bytes(obstore.get(store, f"{prefix}/metadata").bytes()))
    return str(found["id"])


def planned_manifest(store: ObjectStore, prefix: str) -> int:
    """Number of the last manifest in the offset log; 0 where no batch was ever planned."""
    batches = [
        int(name)
        for page in obstore.list(store, f"{prefix}/offsets/")
        for meta in page
        if (name := meta["path"].rsplit("/", 1)[-1]).isdigit()
    ]
    if not batches:
        return 0
    try:
        log = bytes(obstore.get(store, f"{prefix}/offsets/{max(batches)}").bytes()).decode()
    except (NotFoundError, FileNotFoundError):
        # Spark purges old entries while it runs; a newer one has come since the listing.
        return planned_manifest(store, prefix)
    return int(json.loads(log.splitlines()[-1])["manifest"])
