"""Photographs of `reduced` with what `features` tells of them: all, or as many as a page can show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scripts.sql import Tables
from streaming.manifests import Listed

# Ordered by a hash of what is in them: of many photographs the same ones each time, and of each kind its share. Of one
# that was featurized again, features has several rows, and the last one counts.
_PHOTOGRAPHS = """
WITH chosen AS (
    SELECT key, etag, label, sha256, reduced[1:{components}] AS vector FROM reduced ORDER BY sha256, key LIMIT {most}
)
SELECT c.key, c.etag, c.label, c.sha256, f.size, f.last_modified, f.ingested_at, f.batch_id, f.width, f.height,
       f.format, f.manifest, c.vector
FROM chosen c JOIN features f USING (key, etag)
QUALIFY row_number() OVER (PARTITION BY c.key, c.etag ORDER BY f.manifest DESC) = 1
ORDER BY c.sha256, c.key
"""


@dataclass(frozen=True)
class Sample:
    """Some photographs.

    Attributes
    ----------
    rows
        One a photograph: key, etag, label, sha256, size, last_modified, ingested_at, batch_id, width, height, format,
        manifest.
    vectors
        float32 (m, c): their first components.
    """

    rows: pa.Table
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)

    def versions(self, chosen: Sequence[int]) -> list[Listed]:
        """Some of them, as manifests list them."""
        columns = ("key", "etag", "size", "last_modified", "manifest")
        return [Listed(**row) for row in self.rows.select(columns).take(pa.array(chosen, pa.int64())).to_pylist()]

    def typical(self, label: str, most: int) -> list[int]:
        """Of one label, those that are nearest to its mean, the nearest first; none where none was chosen."""
        rows = np.flatnonzero(np.asarray(pc.equal(self.rows["label"], label)))
        if not len(rows):
            return []
        away = self.vectors[rows] - self.vectors[rows].mean(axis=0)
        nearest: list[int] = rows[np.argsort((away**2).sum(axis=1), kind="stable")[:most]].tolist()
        return nearest


def sample(asked: Tables, most: int, components: int) -> Sample:
    """At most so many photographs of the tables, chosen evenly, and at most so many components of each."""
    found = asked.ask(_PHOTOGRAPHS.format(most=most, components=components)).read_all()
    numbers = np.concatenate([np.empty(0, np.float32), *(part.flatten() for part in found["vector"].chunks)])
    return Sample(found.drop_columns("vector"), numbers.reshape(found.num_rows, -1))
