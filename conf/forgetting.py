"""Requests to forget photographs: what was asked, what was found of it, and how far it is carried out.

`state/forgetting/<id>.json` is all that there is of a request until nothing is left of what it asks for. Whoever gets
further writes it anew, on condition that it is still what was read, and one deletion ends it. It names keys, so it goes
when the rest has gone; a receipt without them, `state/forgotten/<id>.json`, stays.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError, NotModifiedError, PreconditionError
from obstore.store import ObjectStore
from pydantic import TypeAdapter

from conf.errors import ContractError
from conf.s3 import read_object, store_answers
from conf.settings import Storage

CONTRACT: Final = 1
Name = tuple[str, str]
"""Key and etag."""
_SECRET_BYTES = 32
_HASH_BYTES = 16


@dataclass(frozen=True)
class Asked:
    """What is to be forgotten: photographs of some keys, of all keys that begin so, or of some bytes."""

    keys: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    """sha256, in hex."""

    def picks(self, key: str) -> bool:
        """Whether a key is one of these, or begins so."""
        return key in self.keys or key.startswith(self.prefixes)


@dataclass(frozen=True)
class Plan:
    """What there is of what was asked."""

    versions: tuple[Name, ...] = ()
    """Object versions, by their keys in the bucket."""
    rows: tuple[Name, ...] = ()
    """The same by the keys that the tables have."""
    found: Mapping[str, int] = field(default_factory=dict)
    """How many, by where."""
    manifests: tuple[int, ...] = ()
    """Numbers of those that list any."""
    leaving: int = 0
    """Of what manifests list, those that are rows and will be none, and those that would be and will not."""
    vectors: tuple[str, ...] = ()
    """Digests of their vectors."""
    heads: tuple[str, ...] = ()
    """How these begin, as bytes in hex."""
    contents: tuple[Name, ...] = ()
    """What is not to be featurized again: the tables' keys with the sha256 of bytes they had; no key: under any."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.versions or self.rows or any(self.found.values()))


@dataclass(frozen=True)
class Failure:
    """Why the last attempt of a stream was none."""

    at: str
    """ISO 8601, UTC."""
    why: str

    @property
    def age(self) -> float:
        """Seconds since then, by this machine's clock."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds()


@dataclass(frozen=True)
class Request:
    """One request, as far as it has come."""

    id: str
    asked: Asked
    meant: tuple[Name, ...]
    """What there was of its keys and prefixes when it was asked, by the keys that the tables have: no more is to go."""
    at: str
    """ISO 8601, UTC."""
    plan: Plan | None = None
    """What is to go, once that is written down, before any of it goes."""
    tables: Mapping[str, Any] | None = None
    """What was done of it in all that is the stream's; None while it is not."""
    reduced: Mapping[str, Any] | None = None
    """The same of what is the refresh's."""
    failed: Failure | None = None
    """Since it was last tried."""
    contract: Literal[1] = CONTRACT
    etag: str = field(default="", compare=False, repr=False)
    """Of the object that it was read from."""

    @classmethod
    def new(cls, asked: Asked, meant: Iterable[Name]) -> Self:
        """Of now, with a name of its own."""
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        return cls(name, asked, tuple(meant), now.isoformat(timespec="seconds"))


_WRITTEN = TypeAdapter(Request)


def secret(store: ObjectStore, storage: Storage, *, create: bool = False) -> bytes:
    """What hashes of forgotten things are keyed with; empty where there is none yet and none is made.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    path = storage.state_key("forgotten/secret")
    found = read_object(store, path)
    if found is None and create:
        # Somebody else may make one at the same moment.
        with store_answers(path), suppress(AlreadyExistsError):
            obstore.put(store, path, secrets.token_bytes(_SECRET_BYTES), mode="create")
        return secret(store, storage)
    return found or b""


def hashed(key: bytes, text: str) -> str:
    """A text's hash under a secret, in hex."""
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES, key=key).hexdigest()


def ask(store: ObjectStore, storage: Storage, request: Request) -> None:
    """Record a request. From then on it is carried out, whatever happens."""
    path = _path(storage, request.id)
    # Of an answer that was lost, the second attempt finds the first.
    with store_answers(path), suppress(AlreadyExistsError):
        obstore.put(store, path, _body(request), mode="create")


def requests(store: ObjectStore, storage: Storage) -> list[Request]:
    """Those that are not carried out to the end yet, in the order in which they were asked.

    Raises
    ------
    ContractError
        Where one cannot be understood.
    """
    below = storage.state_key("forgetting/")
    with store_answers(below):
        paths = sorted(meta["path"] for page in obstore.list(store, below) for meta in page)
    return [found for path in paths if (found := _read(store, path)) is not None]


def read(store: ObjectStore, storage: Storage, name: str, known: Request | None = None) -> Request | None:
    """A request as it is; None where it has gone.

    Parameters
    ----------
    known
        As it was: where it still is so, it is not read again.

    Raises
    ------
    ContractError
        Where it cannot be understood.
    """
    return _read(store, _path(storage, name), known)


def change(store: ObjectStore, storage: Storage, name: str, **changes: Any) -> Request | None:
    """Write down that a request has come further, whoever else writes there; None where it has gone meanwhile."""
    path = _path(storage, name)
    while (found := _read(store, path)) is not None:
        changed = replace(found, **changes)
        with store_answers(path), suppress(PreconditionError, NotFoundError):
            etag = obstore.put(store, path, _body(changed), mode={"e_tag": found.etag})["e_tag"]
            return replace(changed, etag=etag or "")
    return None


def request_path(storage: Storage, request: Request) -> str:
    """Where it is: what is to be deleted for it to end."""
    return _path(storage, request.id)


def put_receipt(store: ObjectStore, storage: Storage, request: Request, receipt: Mapping[str, Any]) -> None:
    """Keep the receipt."""
    path = _receipt_path(storage, request.id)
    with store_answers(path):
        obstore.put(store, path, json.dumps(receipt, indent=2).encode())


def receipt_of(store: ObjectStore, storage: Storage, request: Request) -> dict[str, Any] | None:
    """The receipt of a request; None where it is not carried out."""
    body = read_object(store, _receipt_path(storage, request.id))
    return None if body is None else json.loads(body)


def receipts(store: ObjectStore, storage: Storage) -> list[dict[str, Any]]:
    """All receipts, the oldest first."""
    below = storage.state_key("forgotten/")
    with store_answers(below):
        found = sorted(meta["path"] for page in obstore.list(store, below) for meta in page)
    bodies = (read_object(store, path) for path in found if path.endswith(".json"))
    return [json.loads(body) for body in bodies if body is not None]


def hashes(key: bytes, asked: Asked) -> dict[str, list[str]]:
    """What was asked, as a receipt says it."""

    def of(texts: Iterable[str]) -> list[str]:
        return [hashed(key, text) for text in texts]

    return {"keys": of(asked.keys), "prefixes": of(asked.prefixes), "sha256": of(asked.digests)}


def _read(store: ObjectStore, path: str, known: Request | None = None) -> Request | None:
    with store_answers(path):
        try:
            got = obstore.get(store, path, options={"if_none_match": known.etag} if known and known.etag else None)
            body, etag = bytes(got.bytes()), got.meta["e_tag"]
        except NotModifiedError:
            return known
        except (NotFoundError, FileNotFoundError):
            return None
    try:
        return replace(_WRITTEN.validate_json(body), etag=etag or "")
    except ValueError:
        raise ContractError(
            f"{path} is no request of contract {CONTRACT}. Delete it, then ask again by `fruits forget`."
        ) from None


def _body(request: Request) -> bytes:
    return _WRITTEN.dump_json(request, exclude={"etag"})


def _path(storage: Storage, name: str) -> str:
    return storage.state_key(f"forgetting/{name}.json")


def _receipt_path(storage: Storage, name: str) -> str:
    return storage.state_key(f"forgotten/{name}.json")
