"""Requests to forget photographs: what was asked, what was found of it, and how far it is carried out.

`state/forgetting/<id>/` holds a request until nothing is left of it: `request.json`, then `plan.json`, which says what
there is of what was asked, and a mark for each part that is done. It names keys, so it goes when the rest has gone; a
receipt without them, `state/forgotten/<id>.json`, stays.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from conf.errors import ContractError
from conf.s3 import read_object, store_answers
from conf.settings import Storage

CONTRACT = 1
Name = tuple[str, str]
"""Key and etag."""
Part = Literal["tables", "reduced"]
"""What the stream owns, and what the refresh does."""
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
class Request:
    """One request."""

    id: str
    asked: Asked
    at: str
    """ISO 8601, UTC."""

    @classmethod
    def new(cls, asked: Asked) -> Self:
        """Of now, with a name of its own."""
        now = datetime.now(UTC)
        return cls(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", asked, now.isoformat(timespec="seconds"))


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
    since: str | None = None
    """When the first of their features was written: a PCA model fitted before has seen none of them."""
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
    _put(store, _path(storage, request, "request.json"), {"contract": CONTRACT, **asdict(request)})


def requests(store: ObjectStore, storage: Storage) -> list[Request]:
    """Those that are not carried out yet, in the order in which they were asked.

    Raises
    ------
    ContractError
        Where one cannot be understood.
    """
    below = storage.state_key("forgetting/")
    with store_answers(below):
        paths = [meta["path"] for page in obstore.list(store, below) for meta in page]
    found = []
    for path in sorted(path for path in paths if path.endswith("/request.json")):
        body = read_object(store, path)
        if body is None:
            continue
        try:
            told = json.loads(body)
            if told["contract"] != CONTRACT:
                raise ValueError
            asked = Asked(**{name: tuple(values) for name, values in told["asked"].items()})
            found.append(Request(told["id"], asked, told["at"]))
        except (ValueError, KeyError, TypeError):
            raise ContractError(
                f"{path} is no request of contract {CONTRACT}. Delete it, then ask again by `fruits forget`."
            ) from None
    return found


def pending(store: ObjectStore, storage: Storage, part: Part) -> list[Request]:
    """Those of which a part is not done. Raises as `requests`."""
    return [request for request in requests(store, storage) if done(store, storage, request, part) is None]


def keep_plan(store: ObjectStore, storage: Storage, request: Request, plan: Plan) -> None:
    """Write down what there is, before any of it goes."""
    _put(store, _path(storage, request, "plan.json"), asdict(plan))


def plan_of(store: ObjectStore, storage: Storage, request: Request) -> Plan | None:
    """What was found when this began to be carried out; None where it was not begun."""
    body = read_object(store, _path(storage, request, "plan.json"))
    if body is None:
        return None
    told = json.loads(body)
    told |= {name: tuple((key, etag) for key, etag in told[name]) for name in ("versions", "rows", "contents")}
    told |= {name: tuple(told[name]) for name in ("vectors", "heads", "manifests")}
    return Plan(**told)


def mark(store: ObjectStore, storage: Storage, request: Request, part: Part, did: Mapping[str, Any]) -> None:
    """Note that a part is done, and what it did."""
    _put(store, _path(storage, request, f"{part}.json"), dict(did))


def done(store: ObjectStore, storage: Storage, request: Request, part: Part) -> dict[str, Any] | None:
    """What a part did; None while it is not done."""
    body = read_object(store, _path(storage, request, f"{part}.json"))
    return None if body is None else json.loads(body)


def paths(storage: Storage, request: Request) -> list[str]:
    """Everything that may be written of a request, the request itself last."""
    names = ("tables.json", "reduced.json", "plan.json", "request.json")
    return [_path(storage, request, name) for name in names]


def put_receipt(store: ObjectStore, storage: Storage, request: Request, receipt: Mapping[str, Any]) -> None:
    """Keep the receipt."""
    path = storage.state_key(f"forgotten/{request.id}.json")
    with store_answers(path):
        obstore.put(store, path, json.dumps(receipt, indent=2).encode())


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


def _put(store: ObjectStore, path: str, body: Mapping[str, Any]) -> None:
    with store_answers(path):
        obstore.put(store, path, json.dumps(body).encode())


def _path(storage: Storage, request: Request, name: str) -> str:
    return storage.state_key(f"forgetting/{request.id}/{name}")
