"""What the tables call an object: its key, or with `privacy.hash_keys` a keyed hash of it.

A key can name a person, as in `landing/pear/anna-meier.jpg`. Hashed, it still tells rows of one object from those of
others, and only who has the secret can tell whether a row is of a key that he knows. The secret is an object of its
own, `state/key-secret`, which is there where keys are hashed and nowhere else.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from conf.errors import ContractError
from conf.s3 import read_object, store_answers
from conf.settings import Storage

CONTRACT = 1
KEY_HASH = "fruits.key_hash"
"""The property of features and rejects that tells by which secret their keys were hashed."""
_SECRET_BYTES = 32
# 128 bits: of a billion keys, two share a hash with a probability of 1e-21.
_HASH_BYTES = 16


@dataclass(frozen=True)
class Naming:
    """Names keys as the tables do. Keyed BLAKE2b (RFC 7693), 128 bits in hex, where there is a secret."""

    secret: bytes | None = field(default=None, repr=False)

    def __reduce__(self) -> NoReturn:
        """A secret stays on the driver: no task takes it along."""
        raise TypeError("what names keys stays on the driver")

    def row_key(self, key: str) -> str:
        """What the tables call a key."""
        return key if self.secret is None else _hash(self.secret, key)

    def row_id(self, version: tuple[str, str]) -> tuple[str, str]:
        """What the tables call a version, of its key and etag."""
        return self.row_key(version[0]), version[1]

    @property
    def properties(self) -> dict[str, str]:
        """What a table that it names keys in is made with."""
        # No key begins so: they all begin with the landing zone's name.
        return {} if self.secret is None else {KEY_HASH: _hash(self.secret, "\0fingerprint")}


PLAIN = Naming()


def naming_of(store: ObjectStore, storage: Storage) -> Naming:
    """How this store names keys, at the cost of a GET.

    Raises
    ------
    ContractError
        Where the secret is not one that this version reads.
    StorageError
        Where the store does not answer.
    """
    path = _path(storage)
    body = read_object(store, path)
    if body is None:
        return PLAIN
    try:
        found = json.loads(body)
        if found["contract"] == CONTRACT and len(secret := bytes.fromhex(found["secret"])) == _SECRET_BYTES:
            return Naming(secret)
    except (ValueError, KeyError, TypeError):
        pass
    raise ContractError(
        f"{storage.uri('state/key-secret')} is no secret of contract {CONTRACT}. Restore it from a copy."
    )


def hashed_from_now(store: ObjectStore, storage: Storage) -> Naming:
    """Make the secret of a new store, unless it has one."""
    path = _path(storage)
    body = {"contract": CONTRACT, "secret": secrets.token_hex(_SECRET_BYTES)}
    # There may be one, of a start that went no further.
    with store_answers(path), suppress(AlreadyExistsError):
        obstore.put(store, path, json.dumps(body).encode(), mode="create")
    return naming_of(store, storage)


def check_naming(naming: Naming, table: str, properties: Mapping[str, str]) -> None:
    """That a table's keys are named so, by its properties.

    Raises
    ------
    ContractError
        Where they are named by another secret, or by one that is gone.
    """
    found = properties.get(KEY_HASH)
    if found == naming.properties.get(KEY_HASH):
        return
    if found is None:
        raise ContractError(
            f"Table {table} holds keys as they are, but state/key-secret is there to hash them by. Restore tables and "
            "state as of one moment."
        )
    which = "a secret that is gone from" if naming.secret is None else "another secret than that in"
    raise ContractError(
        f"The keys in {table} are hashed by {which} state/key-secret: nobody can tell which photographs they are of. "
        "Restore that object from a copy, or set another storage.prefix and drop the photographs there."
    )


def _hash(secret: bytes, text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=secret, digest_size=_HASH_BYTES).hexdigest()


def _path(storage: Storage) -> str:
    return storage.state_key("key-secret")
