"""Rows that leave on purpose are counted before they go, once, however often that is said."""

import obstore
import pytest
from obstore.store import MemoryStore

from conf.errors import StateError
from conf.settings import Storage
from streaming import leaving

STORAGE = Storage(bucket="fruits")


def test_each_is_counted_once_under_way_and_after() -> None:
    store = MemoryStore()
    assert leaving.read(store, STORAGE).total == 0
    for rows in (3, 99):
        # Said again, it is as it was said first: some may be gone by then.
        leaving.begin(store, STORAGE, "one", rows)
    leaving.begin(store, STORAGE, "other", 4)
    assert leaving.read(store, STORAGE).total == 7
    for _ in range(2):
        leaving.end(store, STORAGE, "one")
        found = leaving.read(store, STORAGE)
        assert (found.rows, dict(found.under_way), found.total) == (3, {"other": 4}, 7)
    leaving.reset(store, STORAGE)
    assert leaving.read(store, STORAGE).total == 0


def test_a_damaged_count_is_refused_with_what_to_do() -> None:
    store = MemoryStore()
    obstore.put(store, "state/left.json", b"{")
    with pytest.raises(StateError, match="--rebuild-state"):
        leaving.read(store, STORAGE)
