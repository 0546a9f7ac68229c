"""Names in the archive: readable, and no two versions ever share one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.settings import Storage
from streaming.archive import archive_key, can_archive, original
from streaming.manifests import Landed

STORAGE = Storage(bucket="fruits", prefix="team/")
PARTS = st.text(st.sampled_from("ab.%/+ é\n"), min_size=1, max_size=8)


def version(path: str, etag: str = "e1", size: int = 10) -> Landed:
    return Landed(STORAGE.landing + path, etag, size, datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("path", "etag", "name"),
    [
        ("apple/1.jpg", "0af", "apple/1.0af.jpg"),
        ("1.jpg", "0af-2", "1.0af-2.jpg"),
        ("apple/a.b/no suffix", "0af", "apple/a.b/no suffix.0af"),
        ("apple/two.dots.JPEG", "0af", "apple/two.dots.0af.JPEG"),
        ("apple/1.jpg", "a/b", "apple/1.a%2Fb.jpg"),
    ],
)
def test_the_etag_stands_before_the_suffix(path: str, etag: str, name: str) -> None:
    assert archive_key(STORAGE, version(path, etag)) == "team/archive/" + name


@given(PARTS, PARTS)
def test_of_which_version_it_is_can_be_told_from_its_name(path: str, etag: str) -> None:
    assert original(STORAGE, archive_key(STORAGE, version(path, etag))) == version(path, etag).name


def test_what_is_no_archived_version_is_none() -> None:
    assert original(STORAGE, "team/archive/apple/") is None


@given(PARTS, PARTS, PARTS, PARTS)
def test_no_two_versions_share_a_name(path: str, etag: str, other_path: str, other_etag: str) -> None:
    same = (path, etag) == (other_path, other_etag)
    keys = archive_key(STORAGE, version(path, etag)), archive_key(STORAGE, version(other_path, other_etag))
    assert (keys[0] == keys[1]) is same


def test_what_no_copy_can_be_made_of_is_known_before() -> None:
    assert can_archive(STORAGE, version("a/" * 300 + "1.jpg"))
    assert not can_archive(STORAGE, version("a/" * 510 + "1.jpg"))
    assert not can_archive(STORAGE, version("é" * 110 + ".jpg"))
    assert not can_archive(STORAGE, version("1.jpg", size=5 * 2**30 + 1))
