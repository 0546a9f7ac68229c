"""With `privacy.hash_keys`, no key is in a table, and all that is promised of keys holds of their hashes."""

import hashlib
import json
import pickle
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import obstore
import pytest
from click.testing import CliRunner

from batch.refresh import run as refresh
from conf.errors import ContractError
from conf.forgetting import Asked
from conf.naming import Naming, hashed_from_now, naming_of
from conf.s3 import object_store
from conf.settings import Settings
from scripts.accounting import account
from scripts.auditing.audit import audit
from scripts.erasure import carry_out
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.fruits import fruits
from scripts.session import override
from streaming import forgotten
from streaming.changeover import plan_change
from streaming.manifests import Landed, Manifests
from streaming.reprocess import matching, rejected, relist
from streaming.sink import Sink
from streaming.stream import run
from tests.asking import ask_to_forget
from tests.integration.commands import reprocess
from tests.integration.tables import rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOW = datetime.now(UTC)
Drop = Callable[[dict[str, bytes]], None]
# A person's name in each key, and none in a label.
GOOD = {f"{photo.label}/anna-meier-{photo.name}": photo.data for photo in draw_photos(8, seed=41)}
BAD = {f"{bad.label}/anna-meier-{bad.name}": bad.data for bad in draw_bad_objects(seed=41)}


@pytest.fixture
def hashed(settings: Settings) -> Settings:
    return override(settings, "privacy", hash_keys=True)


def naming(settings: Settings) -> Naming:
    return naming_of(object_store(settings.storage), settings.storage)


def names(settings: Settings, table: str) -> list[str]:
    """Keys of a table's rows."""
    return sorted(row["key"] for row in rows(settings, table))


def of(settings: Settings, files: Iterable[str]) -> list[str]:
    """What the tables are to call these."""
    return sorted(naming(settings).row_key(settings.storage.landing + name) for name in files)


def assert_exact(settings: Settings) -> None:
    """Each is in its table once, and all that manifests list is accounted for."""
    assert (names(settings, "features"), names(settings, "rejects")) == (of(settings, GOOD), of(settings, BAD))
    counted = account(settings.storage)
    assert (counted.discovered, counted.under_way, counted.waiting) == (len(GOOD | BAD), 0, 0)
    assert counted.refusal is None


def below(settings: Settings, prefix: str) -> dict[str, bytes]:
    store = object_store(settings.storage)
    found = [meta["path"] for meta in obstore.list(store, settings.storage.prefix + prefix).collect() if meta["size"]]
    return {path: bytes(obstore.get(store, path).bytes()) for path in found}


def test_no_table_holds_a_key_and_nothing_but_its_object_the_secret(
    spark: "SparkSession", hashed: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | BAD)
    run(spark, hashed, once=True)
    assert_exact(hashed)
    refresh(spark, override(hashed, "pca", k=4))
    assert names(hashed, "reduced") == of(hashed, GOOD)
    for table in ("features", "rejects", "reduced"):
        assert "anna" not in repr([{**row, "features": None, "reduced": None} for row in rows(hashed, table)])
    files = below(hashed, "tables/")
    assert not [path for path, body in files.items() if b"anna" in body and path.endswith(".json")]
    secret = naming(hashed).secret
    assert secret is not None
    holders = [path for path, body in below(hashed, "").items() if secret in body or secret.hex().encode() in body]
    assert holders == [hashed.storage.state_key("key-secret")]
    assert secret.hex() not in repr(naming(hashed)) + CliRunner().invoke(fruits, ["config", "--profile=test"]).output
    with pytest.raises(TypeError, match="stays on the driver"):
        pickle.dumps(naming(hashed))
    # A new start knows them all, and so does one of what was dropped once more.
    drop_files(GOOD)
    assert run(spark, hashed, once=True).objects == 0


@pytest.mark.parametrize("dies_before", ["features", "rejects"])
def test_a_driver_that_dies_between_commits_loses_and_doubles_nothing(
    spark: "SparkSession", hashed: Settings, drop_files: Drop, monkeypatch: pytest.MonkeyPatch, dies_before: str
) -> None:
    drop_files(GOOD | BAD)
    append = Sink._append

    def dying(self: Sink, table_rows: "DataFrame", table: str, batch_id: int, *, again: bool) -> None:
        if table == dies_before:
            raise RuntimeError("Killed")
        append(self, table_rows, table, batch_id, again=again)

    monkeypatch.setattr(Sink, "_append", dying)
    with pytest.raises(Exception, match="Killed"):
        run(spark, hashed, once=True)
    monkeypatch.undo()
    run(spark, hashed, once=True)
    assert_exact(hashed)


def test_reprocessing_is_asked_for_by_keys_or_reasons_as_ever(
    spark: "SparkSession", hashed: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | {"x/anna-meier-large.jpg": max(GOOD.values(), key=len) + b" "})
    run(spark, override(hashed, "images", max_bytes=max(map(len, GOOD.values()))), once=True)
    name = sorted(GOOD)[0]
    assert reprocess(hashed, "--rejects", "--dry-run").stdout == f"{hashed.storage.landing}x/anna-meier-large.jpg\n"
    assert "1 photographs are listed again, in manifest 2" in reprocess(hashed, "--keys", name).output
    assert "1 photographs are listed again, in manifest 3" in reprocess(hashed, "--rejects").output
    assert run(spark, hashed, once=True).features == 2
    again = [row["key"] for row in rows(hashed, "features") if row["manifest"] == 2]
    assert again == of(hashed, [name])
    change = plan_change(hashed.storage, object_store(hashed.storage), "another/network/0")
    assert (len(change.versions), change.gone) == (len(GOOD) + 1, 0)


@pytest.mark.parametrize("clean", ["delete", "archive"])
def test_what_is_in_a_table_leaves_the_landing_zone(
    spark: "SparkSession", hashed: Settings, drop_files: Drop, clean: str
) -> None:
    hashed = override(hashed, "discovery", clean=clean, retention_days=0.0)
    storage, store = hashed.storage, object_store(hashed.storage)
    drop_files(GOOD | BAD)
    run(spark, hashed, once=True)
    stay = sorted(path.removeprefix(storage.landing) for path in below(hashed, "landing/"))
    # An empty object has no place in that listing.
    assert stay == sorted(name for name, data in BAD.items() if data and clean == "delete")
    assert_exact(hashed)
    if clean == "archive":
        # Without the manifests, too, the archive's own names tell which key a row is of.
        obstore.delete(store, [*below(hashed, "state/manifests/"), *below(hashed, "state/checkpoint/")])
        run(spark, hashed, once=True, rebuild_state=True)
        assert len(relist(storage, store, matching(["*"], archived=True)(storage, store))) == 1
        assert len(rejected(archived=True)(storage, store)) == len(BAD)
        assert run(spark, hashed, once=True).features == len(GOOD)


def test_a_state_that_was_lost_is_rebuilt_with_its_secret_and_refused_without(
    spark: "SparkSession", hashed: Settings, drop_files: Drop
) -> None:
    drop_files(GOOD | BAD)
    run(spark, hashed, once=True)
    store, path = object_store(hashed.storage), hashed.storage.state_key("key-secret")
    secret = bytes(obstore.get(store, path).bytes())
    obstore.delete(store, list(below(hashed, "state/")))
    for rebuild in (False, True):
        with pytest.raises(ContractError, match="a secret that is gone from state/key-secret: nobody can tell which"):
            run(spark, hashed, once=True, rebuild_state=rebuild)
    assert "gone from state/key-secret" in (account(hashed.storage).refusal or "")
    obstore.put(store, path, json.dumps({"contract": 1, "secret": "0" * 64}).encode())
    with pytest.raises(ContractError, match="another secret than that in state/key-secret"):
        run(spark, hashed, once=True, rebuild_state=True)
    obstore.put(store, path, secret)
    assert run(spark, hashed, once=True, rebuild_state=True).objects == 0
    assert (names(hashed, "features"), names(hashed, "rejects")) == (of(hashed, GOOD), of(hashed, BAD))


@pytest.mark.parametrize("asked_by", ["path", "hash", "sha256"])
def test_what_is_forgotten_is_found_by_its_hash(
    spark: "SparkSession", hashed: Settings, drop_files: Drop, asked_by: str
) -> None:
    storage, store = hashed.storage, object_store(hashed.storage)
    drop_files(GOOD)
    run(spark, hashed, once=True)
    refresh(spark, override(hashed, "pca", k=3))
    name, *others = sorted(GOOD)
    (row_key,) = of(hashed, [name])
    key = storage.landing + (row_key if asked_by == "hash" else name)
    digest = hashlib.sha256(GOOD[name]).hexdigest()
    if asked_by != "sha256":
        sets = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
        foreseen = CliRunner().invoke(fruits, ["forget", key, "--dry-run", "--profile", "test", *sets])
        assert (foreseen.exit_code, "There is nothing of" in foreseen.stderr) == (0, False), foreseen.output
    request = ask_to_forget(storage, Asked(digests=(digest,)) if asked_by == "sha256" else Asked(keys=(key,)))
    receipt = carry_out(override(hashed, "pca", k=3), store, request, lambda: spark)
    assert (receipt["removed"]["landing"], receipt["removed"]["features"], receipt["removed"]["reduced"]) == (1, 1, 1)
    assert names(hashed, "features") == names(hashed, "reduced") == of(hashed, others)
    assert not [path for path, body in below(hashed, "").items() if name.encode() in body or row_key.encode() in body]
    drop_files({name: GOOD[name]})
    assert run(spark, hashed, once=True).objects == 0
    assert audit(storage, 100).findings == ()


def test_a_version_that_was_read_and_forgotten_is_known_by_its_key_where_the_row_has_a_hash(settings: Settings) -> None:
    storage, store = settings.storage, object_store(settings.storage)
    naming = hashed_from_now(store, storage)
    again, other = (Landed(storage.landing + name, "e1", 1, NOW) for name in ("pear/anna.jpg", "pear/otto.jpg"))
    assert Manifests(store, storage.state_key("manifests")).create(1, [again, other])
    forgotten.remember_rows(
        store, storage, [(naming.row_key(again.key), "e1", 1), (naming.row_key(other.key), "e2", 1)]
    )
    known = forgotten.read(store, storage)
    assert (again in known, other in known, len(known)) == (True, False, 1)


@pytest.mark.parametrize("first", [False, True])
def test_it_is_decided_once_for_a_store(
    spark: "SparkSession", settings: Settings, hashed: Settings, drop_files: Drop, first: bool
) -> None:
    made, other = (hashed, settings) if first else (settings, hashed)
    run(spark, made, once=True)
    before = below(made, "")
    with pytest.raises(ContractError, match=f"set it to {str(first).lower()}, or storage.prefix to a new one"):
        run(spark, other, once=True)
    assert {p for p in below(made, "") if "lease" not in p} == {p for p in before if "lease" not in p}


def test_a_photograph_is_found_and_shown_by_its_key(spark: "SparkSession", hashed: Settings, drop_files: Drop) -> None:
    drop_files(GOOD)
    run(spark, hashed, once=True)
    refresh(spark, override(hashed, "pca", k=4))
    given = [f"--set=storage.{name}={getattr(hashed.storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    asked = sorted(GOOD)[0]
    (row_key,) = of(hashed, [asked])
    by_key, by_hash = (
        CliRunner().invoke(fruits, ["similar", "--profile=test", *given, what, "-n", "3", "--pictures"])
        for what in (asked, row_key)
    )
    assert (by_key.exit_code, by_key.stdout) == (0, by_hash.stdout), by_key.output
    assert by_key.stdout.count("▀") == 3 * 14 * 7
    assert "anna" not in by_key.stdout
    assert row_key not in by_key.stdout
