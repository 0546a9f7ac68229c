"""Reading data files: every row once, whoever reads which part, and no more of a file than is asked for."""

import io
from itertools import pairwise

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from batch.datafiles import Split, read
from batch.pinning import cut

COLUMNS = ["key", "features"]


def put(store: MemoryStore, name: str, first: int, rows: int, row_group: int) -> tuple[str, int]:
    """A data file of rows numbered from `first`; its key and its size."""
    numbers = range(first, first + rows)
    table = pa.table(
        {
            "key": [f"{n}" for n in numbers],
            "padding": [np.random.default_rng(n).bytes(2000) for n in numbers],
            "features": pa.array([[n, n + 0.5] for n in numbers], pa.list_(pa.float32())),
        }
    )
    written = io.BytesIO()
    pq.write_table(table, written, row_group_size=row_group)
    store.put(name, written.getvalue())
    return name, len(written.getvalue())


def keys(store: MemoryStore, splits: tuple[Split, ...]) -> list[int]:
    return [int(key) for batch in read(store, splits, COLUMNS) for key in batch.column("key").to_pylist()]


def whole(key: str, size: int) -> Split:
    return Split(key, size, 0, size)


def test_rows_come_in_order_with_the_columns_asked_for() -> None:
    store = MemoryStore()
    files = [whole(*put(store, f"{n}.parquet", 100 * n, 100, 30)) for n in range(12)]
    batches = list(read(store, files, COLUMNS))
    assert {tuple(batch.schema.names) for batch in batches} == {("key", "features")}
    assert [int(key) for batch in batches for key in batch.column("key").to_pylist()] == list(range(1200))
    assert batches[0].column("features")[3].as_py() == [3.0, 3.5]


@settings(deadline=None, max_examples=20)
@given(share=st.integers(1000, 200_000), row_group=st.integers(1, 150))
def test_a_file_that_is_split_gives_each_row_to_one_reader(share: int, row_group: int) -> None:
    store = MemoryStore()
    key, size = put(store, "large.parquet", 0, 100, row_group)
    parts = [Split(key, size, start, min(start + share, size)) for start in range(0, size, share)]
    assert [number for part in parts for number in keys(store, (part,))] == list(range(100))


def test_large_row_groups_are_read_in_batches() -> None:
    store = MemoryStore()
    split = whole(*put(store, "a.parquet", 0, 3000, 3000))
    assert [batch.num_rows for batch in read(store, [split], COLUMNS)] == [1024, 1024, 952]


def test_columns_that_are_not_asked_for_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    get_range = obstore.get_range

    def counting(store: MemoryStore, key: str, *, start: int, length: int) -> obstore.Bytes:
        fetched.append(length)
        return get_range(store, key, start=start, length=length)

    store = MemoryStore()
    key, size = put(store, "a.parquet", 0, 1000, 1000)
    monkeypatch.setattr(obstore, "get_range", counting)
    assert len(keys(store, (whole(key, size),))) == 1000
    assert sum(fetched) < size / 10
    assert len(fetched) <= 3


def test_a_file_that_is_gone_stops_the_reading() -> None:
    store = MemoryStore()
    present = whole(*put(store, "a.parquet", 0, 10, 10))
    with pytest.raises(FileNotFoundError, match="gone"):
        keys(store, (present, Split("gone.parquet", 5000, 0, 5000)))


@settings(deadline=None, max_examples=100)
@given(
    sizes=st.lists(st.integers(1, 300_000_000), min_size=1, max_size=50),
    parallelism=st.integers(1, 40),
)
def test_readers_share_every_byte_of_every_file_about_equally(sizes: list[int], parallelism: int) -> None:
    files = [(f"{n}", size) for n, size in enumerate(sizes)]
    parts = cut(files, parallelism)
    assert 1 <= len(parts) <= parallelism
    assert all(parts)
    taken = sorted(split for part in parts for split in part)
    for key, size in files:
        mine = sorted((split.start, split.stop) for split in taken if split.key == key)
        assert mine[0][0] == 0
        assert mine[-1][1] == size
        assert all(left[1] == right[0] for left, right in pairwise(mine))
    loads = [sum(split.stop - split.start for split in part) for part in parts]
    largest_split = max(split.stop - split.start for split in taken)
    assert max(loads) - min(loads) <= largest_split


def test_little_is_left_to_one_reader() -> None:
    assert len(cut([(f"{n}", 50_000) for n in range(20)], parallelism=8)) == 1
