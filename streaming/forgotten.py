"""What was forgotten on request, by keyed hashes alone, so that it is not taken in again.

`state/forgotten/versions` is the set of object versions that no list takes up; `state/forgotten/contents` that of keys
with the bytes that they had. Where S3 gives the same bytes another etag each time, as with SSE-KMS, these tell, and the
version that was read is one of the first set from then on. The hash is keyed with `conf.forgetting.secret`: who has a
set and not the secret cannot tell what is in it.
"""

from collections.abc import Collection
from contextlib import suppress
from typing import Literal

import obstore
from obstore.store import ObjectStore

from conf.errors import StateError
from conf.forgetting import hashed, secret
from conf.naming import naming_of
from conf.s3 import read_object, store_answers
from conf.settings import Storage
from conf.tables import RowId
from streaming.manifests import Manifests
from streaming.seen import Seen

Which = Literal["versions", "contents"]


def read(store: ObjectStore, storage: Storage, which: Which = "versions") -> Seen:
    """A set as it is.

    Raises
    ------
    StateError
        Where it is damaged, or its secret lost: what was forgotten must not be taken in for want of it.
    """
    path = _path(storage, which)
    body = read_object(store, path)
    if body is None:
        return Seen()
    key = secret(store, storage)
    fingerprint, _, seen = body.partition(b"\n")
    if key and fingerprint == _fingerprint(key):
        with suppress(ValueError, KeyError, TypeError):
            return Seen.from_bytes(seen, key)
    raise StateError(
        f"{storage.uri(f'state/forgotten/{which}')} is damaged, or state/forgotten/secret is not its own: what was "
        "forgotten could be taken in again. Restore both from a copy."
    )


def remember(
    store: ObjectStore, storage: Storage, names: Collection[tuple[str, str]], which: Which = "versions"
) -> None:
    """Add versions of these keys and etags; or contents, of these keys and sha256. Needs the stream's lease."""
    seen = read(store, storage, which)
    if not len(seen):
        seen = Seen(secret=secret(store, storage, create=True))
    before = len(seen)
    seen.add_named(names)
    if len(seen) > before:
        path = _path(storage, which)
        with store_answers(path):
            obstore.put(store, path, _fingerprint(secret(store, storage)) + b"\n" + seen.to_bytes())


def remember_rows(store: ObjectStore, storage: Storage, rows: Collection[RowId]) -> None:
    """Add the versions that some rows are of, whose keys the manifests tell. Needs the stream's lease."""
    naming, manifests = naming_of(store, storage), Manifests(store, storage.state_key("manifests"))
    wanted = frozenset(rows)
    listed = (version for number in {number for *_, number in wanted} for version in manifests.read(number))
    names = [version.name for version in listed if (*naming.row_id(version.name), version.manifest) in wanted]
    remember(store, storage, names)


def _fingerprint(key: bytes) -> bytes:
    # No version is called so.
    return hashed(key, "fingerprint").encode()


def _path(storage: Storage, which: Which) -> str:
    return storage.state_key(f"forgotten/{which}")
