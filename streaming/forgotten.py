"""What was forgotten on request: object versions by a keyed hash alone, so that none is taken in again.

`state/forgotten/versions` is the set of them. Its hash is keyed with `conf.forgetting.secret`: who has the set and not
the secret cannot tell of a photograph whether it is in it.
"""

from collections.abc import Collection

import obstore
from obstore.store import ObjectStore

from conf.errors import StateError
from conf.forgetting import secret
from conf.s3 import read_object, store_answers
from conf.settings import Storage
from streaming.seen import Seen


def read(store: ObjectStore, storage: Storage) -> Seen:
    """The set as it is.

    Raises
    ------
    StateError
        Where it is damaged: what was forgotten must not be taken in for want of it.
    """
    path = _path(storage)
    body = read_object(store, path)
    if body is None:
        return Seen()
    try:
        return Seen.from_bytes(body, secret(store, storage))
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{storage.uri('state/forgotten/versions')} is damaged. Restore it from a copy.") from None


def remember(store: ObjectStore, storage: Storage, names: Collection[tuple[str, str]]) -> None:
    """Add versions of these keys and etags. Needs the stream's lease."""
    key = secret(store, storage, create=True)
    known = read(store, storage)
    seen = known if len(known) else Seen(secret=key)
    before = len(seen)
    seen.add_named(names)
    if len(seen) > before:
        path = _path(storage)
        with store_answers(path):
            obstore.put(store, path, seen.to_bytes())


def _path(storage: Storage) -> str:
    return storage.state_key("forgotten/versions")
