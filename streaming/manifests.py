"""Manifests: numbered, immutable lists of object versions. What a manifest lists is what a micro-batch is, for ever.

`state/manifests/000000000042.jsonl` holds a header line and one line an object version. A manifest is created only
where none of its number exists: two discoverers cannot disagree on one, and a batch run again is the same batch. Only
forgetting (`streaming.forgetting`) takes lines away, while no batch runs; the header goes on counting them.
"""

import json
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, GenericError, NotFoundError
from obstore.store import ObjectStore

from conf.errors import REBUILD, ContractError, StateError
from conf.s3 import read_object, store_answers

CONTRACT = 1
_DIGITS = 12
# Seconds between attempts to write one.
_PAUSES = (0.1, 0.5, 2.0, 8.0)
# More than a first line ever has.
_HEADER_BYTES = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Landed:
    """One version of one object in the landing zone."""

    key: str
    etag: str
    """Without its quotes."""
    size: int
    """Bytes."""
    last_modified: datetime
    """In UTC."""

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from all others: key and etag."""
        return self.key, self.etag

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.key


@dataclass(frozen=True, slots=True)
class Listed(Landed):
    """An object version that a manifest lists."""

    manifest: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One as it is now."""

    versions: tuple[Listed, ...]
    entries: int
    """What it listed when it was written, of which some may be forgotten."""


@dataclass(frozen=True, slots=True)
class Named(Listed):
    """One with what the tables call its key, for workers, who could not tell."""

    row_key: str

    @property
    def row_id(self) -> tuple[str, str]:
        """What tells the rows of it from all others."""
        return self.row_key, self.etag

    @property
    def shown(self) -> str:
        """What messages call it: they go to logs."""
        return self.row_key

    @classmethod
    def of(cls, version: Listed, row_key: str) -> Self:
        """The same version, named."""
        return cls(version.key, version.etag, version.size, version.last_modified, version.manifest, row_key)


def listed(versions: Sequence[Landed], number: int) -> tuple[Listed, ...]:
    """What manifest `number` says of these versions, once it lists them."""
    return tuple(Listed(v.key, v.etag, v.size, _to_milliseconds(v.last_modified), number) for v in versions)


class Manifests:
    """The manifests below one key prefix of an object store."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix.rstrip("/")

    def create(self, number: int, entries: Sequence[Landed]) -> bool:
        """Write manifest `number` unless it is there already; tells whether it was written."""
        header = {
            "contract": CONTRACT,
            "manifest": number,
            "entries": len(entries),
            "created_at": _iso(datetime.now(UTC)),
        }
        lines = [
            header,
            *({"key": e.key, "etag": e.etag, "size": e.size, "at": _iso(e.last_modified)} for e in entries),
        ]
        body = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        attempt = 0
        with store_answers(self._path(number)):
            while True:
                try:
                    obstore.put(self._store, self._path(number), body.encode("ascii"), mode="create")
                except AlreadyExistsError:
                    # It may be ours: that of an attempt whose answer was lost.
                    return attempt > 0 and self.read(number) == listed(entries, number)
                except GenericError:
                    # obstore repeats no PUT on a condition by itself, as the one before may have landed.
                    if attempt == len(_PAUSES):
                        raise
                    time.sleep(_PAUSES[attempt])
                    attempt += 1
                else:
                    return True

    def read(self, number: int) -> tuple[Listed, ...]:
        """What manifest `number` lists.

        Raises
        ------
        StateError
            Where it is missing, cut short or damaged.
        ContractError
            Where it is of a contract that this version does not read.
        """
        return self.load(number).versions

    def load(self, number: int) -> "Manifest":
        """The same, and how many it listed when it was written. Raises as `read`."""
        return _parse(self._path(number), self._body(number))

    def forget(self, number: int, names: Container[tuple[str, str]]) -> int:
        """Take versions of these keys and etags out of manifest `number`, for good; tells how many it listed.

        Done again it changes nothing. No batch that reads this manifest may be under way. Raises as `read`.
        """
        path, body = self._path(number), self._body(number)
        versions = _parse(path, body).versions
        header, *lines = body.decode("ascii").splitlines()
        kept = [line for line, version in zip(lines, versions, strict=True) if version.name not in names]
        gone = len(lines) - len(kept)
        if gone:
            found = _header(path, header)
            told = json.dumps(found | {"forgotten": found.get("forgotten", 0) + gone}, separators=(",", ":"))
            with store_answers(path):
                obstore.put(self._store, path, "".join(f"{line}\n" for line in (told, *kept)).encode("ascii"))
        return gone

    def count(self, number: int) -> int:
        """How many object versions manifest `number` lists or listed: its first line says so, no more of it is read.

        Raises
        ------
        StateError, ContractError
            As for `read`.
        """
        return self._from_header(number, "entries", int)

    def created_at(self, number: int) -> datetime:
        """When manifest `number` was written, by the clock of the machine that did; it costs what `count` does.

        Raises
        ------
        ContractError
            As for `read`.
        """
        return self._from_header(number, "created_at", datetime.fromisoformat)

    def exists(self, number: int) -> bool:
        """Whether manifest `number` was written."""
        return self.written_at(number) is not None

    def written_at(self, number: int) -> datetime | None:
        """When manifest `number` was written, by the store's clock; None where it is not there."""
        with store_answers(self._path(number)):
            try:
                return obstore.head(self._store, self._path(number))["last_modified"]
            except (NotFoundError, FileNotFoundError):
                return None

    def numbers(self, after: int = 0) -> Iterator[int]:
        """The numbers of all manifests beyond `after`, unordered, at the cost of a listing of these."""
        with store_answers(self._prefix):
            for page in obstore.list(self._store, self._prefix + "/", offset=self._path(after)):
                for meta in page:
                    stem = meta["path"].rsplit("/", 1)[-1].removesuffix(".jsonl")
                    if stem.isdigit():
                        yield int(stem)

    def names(self, after: int) -> set[tuple[str, str]]:
        """Key and etag of everything that manifests beyond `after` list."""
        return {version.name for number in self.numbers(after) for version in self.read(number)}

    def _body(self, number: int) -> bytes:
        path = self._path(number)
        body = read_object(self._store, path)
        if body is None:
            raise _gone(path)
        return body

    def _from_header(self, number: int, name: str, convert: Callable[[Any], T]) -> T:
        path = self._path(number)
        with store_answers(path):
            try:
                start = bytes(obstore.get_range(self._store, path, start=0, length=_HEADER_BYTES))
            except (NotFoundError, FileNotFoundError):
                raise _gone(path) from None
        try:
            return convert(_header(path, start.decode("ascii").partition("\n")[0])[name])
        except (ValueError, KeyError, TypeError):
            raise _damaged(path) from None

    def _path(self, number: int) -> str:
        return f"{self._prefix}/{number:0{_DIGITS}d}.jsonl"


def _parse(path: str, body: bytes) -> Manifest:
    try:
        header, *lines = body.decode("ascii").splitlines() if body else [""]
        found = _header(path, header)
        entries, left = found["entries"], found["entries"] - found.get("forgotten", 0)
        if left != len(lines):
            raise StateError(
                f"Manifest {path} lists {len(lines)} of {left} objects. Restore it from a copy, or {REBUILD}."
            )
        rows, number = map(json.loads, lines), found["manifest"]
        listed = (Listed(r["key"], r["etag"], r["size"], datetime.fromisoformat(r["at"]), number) for r in rows)
        return Manifest(tuple(listed), entries)
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None


def _header(path: str, line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line or "{}")
    if found.get("contract") != CONTRACT:
        raise ContractError(f"Manifest {path} is of contract {found.get('contract')}; this version reads {CONTRACT}.")
    return found


def _gone(path: str) -> StateError:
    return StateError(
        f"Manifest {path} is gone, so its batch cannot be run again. Restore it from a copy, or {REBUILD}."
    )


def _damaged(path: str) -> StateError:
    return StateError(f"Manifest {path} is damaged. Restore it from a copy, or {REBUILD}.")


def _to_milliseconds(moment: datetime) -> datetime:
    return datetime.fromisoformat(_iso(moment))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
