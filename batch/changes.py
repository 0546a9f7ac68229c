"""What came to features and what went, between two of its versions, as the files that the log names.

A commit that only rearranges rows, such as a compaction, says so: its files hold no row that was not there.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from obstore.store import ObjectStore

from conf.s3 import read_object
from conf.settings import Storage

_IN_FLIGHT = 16
# To read more of these takes longer than to read the features, in all but very large tables.
_MOST_COMMITS = 10_000


@dataclass(frozen=True)
class Changes:
    """Data files by their key in the bucket, and their sizes in bytes. What changed are the rows of `added` less those
    of `removed`. Some of either may have been rearranged into others since, and be no part of the table any more."""

    added: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    def take(self, commit: bytes, storage: Storage) -> bool:
        """Take in the next commit; False where it does not tell enough.

        So it is of an UPDATE or a MERGE, whose rows may be the same by all that tells them apart, and of a file that
        comes or goes twice: in between, it was in others, as where a table is restored to before a compaction.
        """
        came: dict[str, int] = {}
        went: dict[str, int] = {}
        changed = False
        for line in commit.splitlines():
            action: dict[str, Any] = json.loads(line)
            if action.get("commitInfo", {}).get("operation") in ("UPDATE", "MERGE"):
                return False
            for files, told in ((came, action.get("add")), (went, action.get("remove"))):
                if told is not None:
                    if told.get("size") is None:
                        return False
                    # Paths are relative to the table and percent-encoded.
                    files[storage.table_key("features", unquote(told["path"]))] = told["size"]
                    changed |= told.get("dataChange", True)
        if changed:
            return all(_move(file, size, self.added, self.removed) for file, size in went.items()) and all(
                _move(file, size, self.removed, self.added) for file, size in came.items()
            )
        if went.keys() <= self.added.keys():
            # What has come since is now in fewer files.
            for file in went:
                del self.added[file]
            self.added.update(came)
        return True


def read_changes(store: ObjectStore, storage: Storage, since: int, until: int) -> Changes | None:
    """What the versions of features after `since`, up to `until`, have changed; None where the log does not tell.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    if not 0 <= until - since <= _MOST_COMMITS:
        return None
    paths = (_path(storage, number) for number in range(since + 1, until + 1))
    found = Changes()
    with ThreadPoolExecutor(_IN_FLIGHT, "log") as pool:
        for commit in pool.map(lambda path: read_object(store, path), paths):
            if commit is None or not found.take(commit, storage):
                return None
    return found


def commit_digest(store: ObjectStore, storage: Storage, version: int) -> str | None:
    """What tells a version of features from one of the same number in another history; None where the log is cut.

    A table that was replaced by an older copy of itself counts on from there.
    """
    commit = read_object(store, _path(storage, version))
    return None if commit is None else hashlib.sha256(commit).hexdigest()


def _path(storage: Storage, version: int) -> str:
    return storage.table_key("features", f"_delta_log/{version:020}.json")


def _move(file: str, size: int, source: dict[str, int], target: dict[str, int]) -> bool:
    """What comes after it went, or goes after it came, has not changed; False for what is there already."""
    if file in target:
        return False
    if file in source:
        del source[file]
    else:
        target[file] = size
    return True
