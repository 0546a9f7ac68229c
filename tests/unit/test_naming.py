"""What the tables call a key: the same each time, told from others, and not to be had without the secret."""

import hashlib
import json

import obstore
import pytest
from obstore.store import MemoryStore

from conf.errors import ContractError
from conf.naming import KEY_HASH, PLAIN, Naming, check_naming, hashed_from_now, naming_of
from conf.settings import Storage

STORAGE = Storage(bucket="fruits", prefix="team/")
PLACE = "team/state/key-secret"


def test_a_key_is_itself_where_there_is_no_secret() -> None:
    assert naming_of(MemoryStore(), STORAGE) == PLAIN
    assert PLAIN.row_id(("landing/pear/anna.jpg", "e")) == ("landing/pear/anna.jpg", "e")
    assert PLAIN.properties == {}


def test_with_a_secret_it_is_a_keyed_hash() -> None:
    naming = Naming(bytes(32))
    hashed = naming.row_key("landing/pear/anna.jpg")
    assert hashed == hashlib.blake2b(b"landing/pear/anna.jpg", key=bytes(32), digest_size=16).hexdigest()
    assert Naming(bytes([1] * 32)).row_key("landing/pear/anna.jpg") != hashed
    assert naming.row_id(("landing/pear/anna.jpg", "e")) == (hashed, "e")


def test_the_secret_is_made_once_and_another_store_has_another() -> None:
    store = MemoryStore()
    made = hashed_from_now(store, STORAGE)
    assert made.secret
    assert hashed_from_now(store, STORAGE) == naming_of(store, STORAGE) == made
    assert hashed_from_now(MemoryStore(), STORAGE) != made


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"contract": 2, "secret": "00"}', b'{"contract": 1, "secret": "00"}']
)
def test_a_damaged_secret_is_no_store_without_one(body: bytes) -> None:
    store = MemoryStore()
    obstore.put(store, PLACE, body)
    with pytest.raises(ContractError, match="is no secret of contract 1"):
        naming_of(store, STORAGE)


def test_tables_are_named_by_the_secret_that_they_were_made_with() -> None:
    one, another = Naming(bytes(32)), Naming(bytes([1] * 32))
    check_naming(one, "features", one.properties)
    check_naming(PLAIN, "features", {"fruits.contract": "1"})
    for naming, properties, says in [
        (another, one.properties, "another secret than that in"),
        (PLAIN, one.properties, "a secret that is gone from"),
        (one, {}, "holds keys as they are"),
    ]:
        with pytest.raises(ContractError, match=says):
            check_naming(naming, "features", properties)
    assert bytes(32).hex() not in json.dumps(one.properties)
    assert one.properties.keys() == {KEY_HASH}
