"""The landing zone is cleaned of what is durably in a table, and of nothing else, whatever happens meanwhile."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import obstore
import pytest

from conf.errors import ContractError, LeaseError, StorageError
from conf.s3 import control_client, object_store
from conf.settings import Discovery, Settings
from streaming import cleaned, forgotten
from streaming.archive import archive_key
from streaming.cleaning import IN_FLIGHT, Cleaner
from streaming.ledger import Saved, save
from streaming.listing import list_below
from streaming.manifests import Landed, Manifests
from tests.integration.delta_log import commit

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ODD = [
    "ünï/çödé 🍎.jpg",
    "a b+c%20d&e=f?g#h.jpg",
    "line\nbreak.jpg",
    "tab\there.jpg",
    "'\"<>.jpg",
    "end ",
    "twice//x.jpg",
]
HOW = pytest.mark.parametrize("how", ["delete", "archive"])


class Killed(BaseException):
    """Stands for the end of the process."""


class Zone:
    """A store whose manifests and tables are written by hand, as a stream would have."""

    def __init__(self, settings: Settings, client: "S3Client") -> None:
        self.storage = settings.storage
        self.client = client
        self.store = object_store(self.storage)

    def put(self, path: str, data: bytes = b"photograph") -> Landed:
        key = self.storage.landing + path
        etag = self.client.put_object(Bucket=self.storage.bucket, Key=key, Body=data)["ETag"].strip('"')
        return Landed(key, etag, len(data), datetime.now(UTC))

    def account(
        self, number: int, features: Iterable[Landed] = (), rejects: Iterable[Landed] = (), lost: Iterable[Landed] = ()
    ) -> None:
        """Write a manifest, and rows of all that it lists but of what is `lost`."""
        tables = {"features": list(features), "rejects": list(rejects)}
        versions = [*tables["features"], *tables["rejects"], *lost]
        assert Manifests(self.store, self.storage.state_key("manifests")).create(number, versions)
        for table, held in tables.items():
            commit(self.store, self.storage, table, number, held)

    def cleaner(self, how: str, days: float = 0.0, **changes: Any) -> Cleaner:
        discovery = Discovery(clean=how, retention_days=days)  # type: ignore[arg-type]
        given = {"check": lambda: None} | changes
        return Cleaner(self.storage, discovery, self.store, self.client, **given)

    def clean(self, how: str) -> int:
        return self.cleaner(how).clean(Event()).left

    def landed(self) -> list[str]:
        return self._below(self.storage.landing)

    def archived(self) -> list[str]:
        return self._below(self.storage.archive)

    def _below(self, prefix: str) -> list[str]:
        return sorted(entry["Key"].removeprefix(prefix) for entry in list_below(self.client, self.storage, prefix))

    def archive_has(self, version: Landed) -> bytes:
        answer = self.client.get_object(Bucket=self.storage.bucket, Key=archive_key(self.storage, version))
        return answer["Body"].read()

    def before(self, request: str, act: Callable[[str], object]) -> None:
        """Do something right before each request of a kind is sent, given the URL."""
        self.client.meta.events.register(f"before-send.s3.{request}", lambda request, **_: act(request.url) and None)


@pytest.fixture
def zone(settings: Settings) -> Iterator[Zone]:
    client = control_client(settings.storage, IN_FLIGHT)
    yield Zone(settings, client)
    client.close()


def test_delete_takes_what_is_in_features_and_leaves_the_rest(zone: Zone, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = [zone.put(f"apple/{n}.jpg") for n in range(20)], zone.put("apple/bad.jpg")
    zone.account(1, good, [bad])
    zone.put("apple/not seen.jpg")
    with caplog.at_level(logging.INFO, "streaming.cleaning"):
        assert zone.clean("delete") == 20
    assert zone.landed() == ["apple/bad.jpg", "apple/not seen.jpg"]
    assert zone.archived() == []
    assert [record.message for record in caplog.records] == ["20 photographs left the landing zone"]


def test_archive_moves_both_and_no_version_takes_the_place_of_another(zone: Zone) -> None:
    first = zone.put("apple/1.jpg", b"first")
    zone.account(1, [first])
    assert zone.clean("archive") == 1
    second, bad = zone.put("apple/1.jpg", b"second"), zone.put("apple/bad")
    zone.account(2, [second], [bad])
    assert zone.clean("archive") == 2
    assert zone.landed() == []
    assert zone.archived() == sorted(
        [f"apple/1.{first.etag}.jpg", f"apple/1.{second.etag}.jpg", f"apple/bad.{bad.etag}"]
    )
    assert (zone.archive_has(first), zone.archive_has(second)) == (b"first", b"second")


def test_what_was_forgotten_and_is_dropped_again_is_kept_in_no_archive(zone: Zone) -> None:
    again, good, bad = zone.put("apple/1.jpg"), zone.put("apple/2.jpg"), zone.put("apple/bad.jpg")
    zone.account(1, [good], [again, bad])
    forgotten.remember(zone.store, zone.storage, [again.name])
    assert zone.clean("archive") == 2
    assert zone.landed() == ["apple/1.jpg"]
    # It holds up nothing that comes after it.
    zone.account(2, [zone.put("apple/3.jpg")])
    assert zone.clean("archive") == 1


@HOW
def test_an_overwrite_after_the_accounting_is_never_touched(zone: Zone, how: str) -> None:
    zone.account(1, [zone.put("apple/1.jpg", b"seen"), zone.put("apple/2.jpg")])
    zone.put("apple/1.jpg", b"not seen yet")
    assert zone.clean(how) == 1
    assert zone.landed() == ["apple/1.jpg"]
    assert not [name for name in zone.archived() if name.startswith("apple/1.")]
    # Once it has its row, it is cleaned like any other.
    zone.account(2, [zone.put("apple/1.jpg", b"not seen yet")])
    assert zone.clean(how) == 1
    assert zone.landed() == []


@HOW
def test_the_same_bytes_dropped_again_stay(zone: Zone, how: str) -> None:
    for number, name in enumerate(("apple/1.jpg", ODD[2]), 1):
        again = zone.put(name)
        zone.account(number, [replace(again, last_modified=again.last_modified - timedelta(seconds=10))])
    assert zone.clean(how) == 0
    assert zone.landed() == sorted(["apple/1.jpg", ODD[2]])


@pytest.mark.parametrize(
    ("how", "request_kind"), [("delete", "DeleteObject"), ("archive", "CopyObject"), ("archive", "DeleteObject")]
)
def test_an_overwrite_in_the_midst_of_cleaning_survives(zone: Zone, how: str, request_kind: str) -> None:
    zone.account(1, [zone.put("apple/1.jpg", b"seen")])
    other = object_store(zone.storage)
    zone.before(request_kind, lambda _: obstore.put(other, zone.storage.landing + "apple/1.jpg", b"new"))
    assert zone.clean(how) == 0
    assert bytes(obstore.get(zone.store, zone.storage.landing + "apple/1.jpg").bytes()) == b"new"
    assert cleaned.read(zone.store, zone.storage) == 1


def test_a_manifest_is_left_alone_until_its_time_is_over(zone: Zone) -> None:
    zone.account(1, [zone.put("apple/1.jpg")])
    now = datetime.now(UTC)
    cleaner = zone.cleaner("delete", days=7, clock=lambda: now)
    assert cleaner.clean(Event()).left == 0
    now += timedelta(days=6.99)
    assert cleaner.clean(Event()).left == 0
    now += timedelta(days=0.02)
    assert cleaner.clean(Event()).left == 1


@HOW
def test_a_manifest_not_wholly_in_the_tables_ends_the_pass(zone: Zone, how: str) -> None:
    zone.account(1, [zone.put("apple/1.jpg")])
    zone.account(2, [zone.put("apple/2.jpg")], lost=[zone.put("apple/under way.jpg")])
    zone.account(3, [zone.put("apple/3.jpg")])
    assert zone.clean(how) == 1
    assert zone.landed() == ["apple/2.jpg", "apple/3.jpg", "apple/under way.jpg"]
    assert cleaned.read(zone.store, zone.storage) == 1


def test_a_row_of_another_manifest_or_of_another_version_is_none_of_this(zone: Zone) -> None:
    old, new = zone.put("apple/1.jpg", b"old"), zone.put("apple/1.jpg", b"new")
    zone.account(1, [old])
    zone.account(2, lost=[new])
    assert zone.clean("delete") == 0
    assert zone.landed() == ["apple/1.jpg"]
    assert cleaned.read(zone.store, zone.storage) == 1


def test_a_version_listed_again_has_its_row_once_that_manifest_has(zone: Zone) -> None:
    version = zone.put("apple/1.jpg")
    zone.account(1, [version])
    zone.account(2, lost=[version])
    zone.clean("archive")
    assert cleaned.read(zone.store, zone.storage) == 1


def test_a_version_listed_again_and_not_read_yet_is_not_deleted(zone: Zone) -> None:
    again, other = zone.put("apple/1.jpg"), zone.put("apple/2.jpg")
    zone.account(1, [other])
    zone.account(2, [again])
    relisted = Manifests(zone.store, zone.storage.state_key("manifests"))
    assert relisted.create(3, [again])
    assert zone.clean("delete") == 1
    assert zone.landed() == ["apple/1.jpg"]
    commit(zone.store, zone.storage, "features", 3, [again])
    assert zone.clean("delete") == 1
    assert zone.landed() == []


@pytest.mark.parametrize("how", ["delete", "archive"])
def test_what_a_lost_state_had_under_way_holds_up_nothing(zone: Zone, how: str) -> None:
    under_way = zone.put("apple/under way.jpg")
    zone.account(1, [zone.put("apple/1.jpg")], lost=[under_way])
    save(zone.store, zone.storage.state_key("seen"), Saved(last=2, listed=1, rebuilt=2))
    zone.account(3, [zone.put("apple/3.jpg")])
    assert zone.clean(how) == 2
    assert zone.landed() == ["apple/under way.jpg"]


def test_no_table_at_all(zone: Zone) -> None:
    Manifests(zone.store, zone.storage.state_key("manifests")).create(1, [zone.put("apple/1.jpg")])
    assert zone.clean("archive") == 0
    assert zone.landed() == ["apple/1.jpg"]


@pytest.mark.parametrize("dies_before", ["DeleteObject", "CopyObject"])
def test_killed_between_copy_and_delete_it_is_taken_up(zone: Zone, dies_before: str) -> None:
    versions = [zone.put(f"apple/{n}.jpg", b"%d" % n) for n in range(30)]
    zone.account(1, versions[:5])
    zone.account(2, versions[5:])
    doomed = control_client(zone.storage)

    def die(request: Any, **_: Any) -> None:
        if "/apple/17." in request.url:
            raise Killed

    doomed.meta.events.register(f"before-send.s3.{dies_before}", die)
    discovery = Discovery(clean="archive", retention_days=0)
    with pytest.raises(Killed):
        Cleaner(zone.storage, discovery, zone.store, doomed, lambda: None).clean(Event())
    doomed.close()
    assert cleaned.read(zone.store, zone.storage) == 1
    assert "apple/17.jpg" in zone.landed()
    zone.clean("archive")
    assert zone.landed() == []
    assert [zone.archive_has(version) for version in versions] == [b"%d" % n for n in range(30)]
    assert cleaned.read(zone.store, zone.storage) == 2


@HOW
def test_odd_keys(zone: Zone, how: str) -> None:
    versions = [zone.put(path, path.encode()) for path in ODD]
    zone.account(1, versions)
    assert zone.clean(how) == len(ODD)
    assert zone.landed() == []
    if how == "archive":
        assert [zone.archive_has(version) for version in versions] == [path.encode() for path in ODD]


def test_an_upload_in_parts(zone: Zone) -> None:
    key = zone.storage.landing + "apple/large.jpg"
    where = {"Bucket": zone.storage.bucket, "Key": key}
    upload = zone.client.create_multipart_upload(**where)["UploadId"]
    part = zone.client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    etag = zone.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)["ETag"].strip('"')
    assert "-" in etag
    version = Landed(key, etag, 1, datetime.now(UTC))
    zone.account(1, [version])
    assert zone.clean("archive") == 1
    assert (zone.landed(), zone.archive_has(version)) == ([], b"x")


@HOW
def test_a_manifest_that_names_anything_else_deletes_nothing(zone: Zone, how: str) -> None:
    photograph = zone.put("apple/1.jpg")
    zone.account(1, [photograph, Landed(zone.storage.state_key("lease.json"), "e", 1, datetime.now(UTC))])
    with pytest.raises(ContractError, match=r"lists '.*state/lease\.json', which is no photograph in .*landing/"):
        zone.clean(how)
    assert zone.landed() == ["apple/1.jpg"]


def test_a_stream_that_lost_its_lease_deletes_nothing(zone: Zone) -> None:
    zone.account(1, [zone.put("apple/1.jpg")])

    def lost() -> None:
        raise LeaseError("lost")

    with pytest.raises(LeaseError):
        zone.cleaner("archive", check=lost).clean(Event())
    assert (zone.landed(), zone.archived()) == (["apple/1.jpg"], [])


def test_it_ends_promptly_and_goes_on_later(zone: Zone) -> None:
    zone.account(1, [zone.put(f"apple/{n}.jpg") for n in range(100)])
    ended = Event()
    zone.before("DeleteObject", lambda _: ended.set())
    assert 1 <= zone.cleaner("delete").clean(ended).left <= IN_FLIGHT
    assert cleaned.read(zone.store, zone.storage) == 0
    zone.clean("delete")
    assert zone.landed() == []


def test_what_the_archive_cannot_take_stays_and_holds_up_nothing(zone: Zone, caplog: pytest.LogCaptureFixture) -> None:
    fits, long = "n" * 178 + ".jpg", "n" * 179 + ".jpg"
    zone.account(1, [zone.put(fits), zone.put(long)])
    assert zone.clean("archive") == 1
    assert zone.landed() == [long]
    (warning,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "1 objects stay in the landing zone" in warning
    assert long in warning
    assert cleaned.read(zone.store, zone.storage) == 1


@pytest.mark.parametrize("pointer", [None, b"{", b'{"contract":1}'])
def test_without_a_pointer_it_goes_over_all_once_more(zone: Zone, pointer: bytes | None) -> None:
    versions = [zone.put(f"apple/{n}.jpg") for n in range(3)]
    zone.account(1, versions[:1])
    assert zone.clean("archive") == 1
    zone.account(2, versions[1:])
    path = zone.storage.state_key("cleaned.json")
    if pointer is None:
        obstore.delete(zone.store, path)
    else:
        obstore.put(zone.store, path, pointer)
    assert zone.clean("archive") == 2
    assert len(zone.archived()) == 3
    assert cleaned.read(zone.store, zone.storage) == 2


def test_a_pointer_of_a_newer_fruits_is_respected(zone: Zone) -> None:
    zone.account(1, [zone.put("apple/1.jpg")])
    obstore.put(zone.store, zone.storage.state_key("cleaned.json"), b'{"contract":2,"manifest":0}')
    with pytest.raises(ContractError, match=r"cleaned\.json is of contract 2"):
        zone.clean("delete")
    assert zone.landed() == ["apple/1.jpg"]


def test_manifests_that_were_taken_away_hold_up_nothing(zone: Zone) -> None:
    zone.put("apple/1.jpg")
    zone.account(4, [zone.put("apple/4.jpg")])
    assert zone.clean("delete") == 1
    assert zone.landed() == ["apple/1.jpg"]


def test_a_store_that_fails_is_said_and_nothing_is_lost(zone: Zone) -> None:
    zone.account(1, [zone.put("apple/1.jpg")])
    # A file where the archive needs a folder.
    obstore.put(zone.store, zone.storage.archive + "apple", b"in the way")
    with pytest.raises(StorageError, match="bucket 'fruits-test'"):
        zone.clean("archive")
    assert zone.landed() == ["apple/1.jpg"]
    assert cleaned.read(zone.store, zone.storage) == 0
    obstore.delete(zone.store, zone.storage.archive + "apple")
    assert zone.clean("archive") == 1
