"""The work of a Python worker: keys in, one row an object version out, with features or with a reason why not."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.s3 import object_store
from conf.settings import Images, Storage
from conf.tables import Reason
from streaming.archive import archive_key
from streaming.decode import Photograph, decode
from streaming.fetch import Fetcher
from streaming.isolation import Decode, Isolated
from streaming.manifests import Listed, Named
from streaming.model import Engine, Model, Recipe, engine_of
from streaming.refusal import Refusal
from streaming.tally import Tally

if TYPE_CHECKING:
    from obstore.store import S3Store
    from pyspark import Broadcast

FEATURIZED = """
    key STRING, etag STRING, size BIGINT, last_modified TIMESTAMP, manifest BIGINT, label STRING, sha256 STRING,
    width INT, height INT, format STRING, reason STRING, detail STRING, features ARRAY<FLOAT>
"""
_META = pa.schema(
    [
        ("key", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("last_modified", pa.timestamp("us", tz="UTC")),
        ("manifest", pa.int64()),
        ("label", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
_VERSION = [field.name for field in fields(Listed)]
# Rows handed to the JVM at a time.
_ROWS = 64

T = TypeVar("T")
Decoded = tuple[dict[str, Any], NDArray[np.uint8]]
Row = tuple[dict[str, Any], NDArray[np.float32] | None]


@dataclass(frozen=True)
class Featurizer:
    """A function for `DataFrame.mapInArrow`, small enough to be sent with each task; the weights come by broadcast.

    Attributes
    ----------
    archived
        Whether what is not in the landing zone any more is to be looked for in the archive.
    count
        Called once a task with what it did: `bytes`, `decodes`, and the seconds `fetch_s` (spent waiting for bytes),
        `decode_s` and `predict_s`.
    isolated
        Decode in a child process, so that a decoder that crashes costs a row. It takes longer.
    """

    storage: Storage
    images: Images
    gets_in_flight: int
    archived: bool
    recipe: Recipe
    weights: "Broadcast[bytes]"
    count: Callable[[Tally], None]
    decoder: Decode = decode
    isolated: bool = False

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        did: Tally = defaultdict(float)
        rows: list[Row] = []
        with self._decoding() as decoding:
            for row in self._rows(batches, decoding, did):
                rows.append(row)
                if len(rows) == _ROWS:
                    yield _record_batch(rows)
                    rows = []
        if rows:
            yield _record_batch(rows)
        self.count(did)

    def _decoding(self) -> AbstractContextManager[Decode]:
        return Isolated(self.decoder) if self.isolated else nullcontext(self.decoder)

    def _rows(self, batches: Iterable[pa.RecordBatch], decoding: Decode, did: Tally) -> Iterator[Row]:
        engine = engine_of(self.recipe, lambda: self.weights.value)
        archive = partial(archive_key, self.storage) if self.archived else None
        fetcher = Fetcher(_store(self.storage), self.gets_in_flight, self.images.max_bytes, archive)
        versions = (Named(**row) for batch in batches for row in batch.to_pylist())
        decoded: list[Decoded] = []
        for version, body in _timed_iterator(fetcher.fetch(versions), did, "fetch_s"):
            meta = {name: getattr(version, name) for name in _VERSION}
            meta |= {"key": version.row_key, "label": self._label(version.key)}
            try:
                if isinstance(body, Refusal):
                    raise body
                photograph = self._decode(body, decoding, did)
            except Refusal as refusal:
                yield meta | {"reason": refusal.reason.value, "detail": refusal.detail}, None
                continue
            shown = {"width": photograph.width, "height": photograph.height, "format": photograph.format}
            decoded.append((meta | shown | {"sha256": hashlib.sha256(body).hexdigest()}, photograph.pixels))
            if len(decoded) == engine.batch:
                yield from _predict(engine, decoded, did)
                decoded = []
        if decoded:
            yield from _predict(engine, decoded, did)

    def _decode(self, body: bytes, decoding: Decode, did: Tally) -> Photograph:
        did["bytes"] += len(body)
        did["decodes"] += 1
        with _timed(did, "decode_s"):
            return decoding(body, self.recipe.side, self.images.max_pixels)

    def _label(self, key: str) -> str:
        return key.removeprefix(self.storage.landing).rpartition("/")[0].rpartition("/")[2]


def featurize(data: bytes, model: Model, images: Images) -> NDArray[np.float32]:
    """Features (d,) of one file, in this process, as a worker makes them.

    Raises
    ------
    Refusal
        Where a worker would refuse it.
    """
    if len(data) > images.max_bytes:
        raise Refusal(Reason.TOO_LARGE, f"{len(data)} bytes, the limit is {images.max_bytes}")
    pixels = decode(data, model.recipe.side, images.max_pixels).pixels
    features: NDArray[np.float32] = engine_of(model.recipe, lambda: model.payload).features(pixels[np.newaxis])[0]
    return features


def _predict(engine: Engine, decoded: list[Decoded], did: Tally) -> Iterator[Row]:
    with _timed(did, "predict_s"):
        features = engine.features(np.stack([pixels for _, pixels in decoded]))
    yield from ((meta, vector) for (meta, _), vector in zip(decoded, features, strict=True))


def _record_batch(rows: list[Row]) -> pa.RecordBatch:
    """Vectors go from numpy to Arrow as one block: a Python float for each of 1280 would cost more than decoding."""
    metas = pa.RecordBatch.from_pylist([meta for meta, _ in rows], schema=_META)
    lengths = [0 if vector is None else len(vector) for _, vector in rows]
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    vectors = [vector for _, vector in rows if vector is not None]
    values = pa.array(np.concatenate(vectors) if vectors else np.empty(0, np.float32))
    missing = pa.array([vector is None for _, vector in rows])
    return metas.append_column("features", pa.ListArray.from_arrays(offsets, values, mask=missing))


@lru_cache(maxsize=1)
def _store(storage: Storage) -> "S3Store":
    """One client a worker, so that its connections outlive the micro-batch."""
    return object_store(storage)


@contextmanager
def _timed(did: Tally, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        did[stage] += time.perf_counter() - start


def _timed_iterator(iterator: Iterator[T], did: Tally, stage: str) -> Iterator[T]:
    while True:
        with _timed(did, stage):
            item = next(iterator, None)
        if item is None:
            return
        yield item
