"""What is durably in a table: asked of the tables themselves, version by version."""

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from conf.delta import dataset, open_table
from conf.settings import Storage

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

Name = tuple[str, str]
"""Key and etag."""


class Durable:
    """What features and rejects hold, as of when this is made."""

    def __init__(self, storage: Storage) -> None:
        self._features = _rows(storage, "features")
        self._rejects = _rows(storage, "rejects")

    def of(self, manifest: int) -> tuple[set[Name], set[Name]]:
        """The versions that are in features, and those that are in rejects, as this manifest lists them.

        Reads two columns of the files whose statistics say that they may hold any.
        """
        return _names(self._features, manifest), _names(self._rejects, manifest)


def _rows(storage: Storage, table: str) -> "Dataset | None":
    opened = open_table(storage, table)
    return None if opened is None else dataset(opened, storage)


def _names(rows: "Dataset | None", manifest: int) -> set[Name]:
    if rows is None:
        return set()
    found = rows.to_table(["key", "etag"], filter=pc.field("manifest") == manifest)
    return set(zip(found["key"].to_pylist(), found["etag"].to_pylist(), strict=True))
