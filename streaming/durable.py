"""What is durably in a table: asked of the tables themselves, version by version."""

import pyarrow.compute as pc

from conf.delta import dataset, open_table, reading
from conf.settings import Storage
from streaming.state import TABLES, last_manifest

Name = tuple[str, str]
"""Key, as the tables call it, and etag."""


class Durable:
    """What features and rejects hold, as of when this is made."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        tables = {table: opened for table in TABLES if (opened := open_table(storage, table)) is not None}
        self.newest = max(map(last_manifest, tables.values()), default=0)
        """The last manifest of which they hold anything."""
        self._rows = {table: dataset(opened, storage) for table, opened in tables.items()}

    def of(self, manifest: int) -> tuple[set[Name], set[Name]]:
        """The versions that are in features, and those that are in rejects, as this manifest lists them.

        Reads two columns of the files whose statistics say that they may hold any.
        """
        return self._names("features", manifest), self._names("rejects", manifest)

    def _names(self, table: str, manifest: int) -> set[Name]:
        if table not in self._rows:
            return set()
        with reading(self._storage):
            found = self._rows[table].to_table(["key", "etag"], filter=pc.field("manifest") == manifest)
        return set(zip(found["key"].to_pylist(), found["etag"].to_pylist(), strict=True))
