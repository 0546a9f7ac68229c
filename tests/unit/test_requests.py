"""A request to forget is one object, which several write, and nobody undoes what another has written."""

import obstore
import pytest
from obstore.store import MemoryStore

from conf import forgetting
from conf.errors import ContractError
from conf.forgetting import Asked, Failure, Plan, Request
from conf.settings import Storage

STORAGE = Storage(bucket="fruits")
ASKED = Asked(("landing/pear/é.jpg",), ("landing/apple/",), ("0f" * 32,))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def request_(store: MemoryStore) -> Request:
    request = Request.new(ASKED, [("landing/pear/é.jpg", "1")])
    forgetting.ask(store, STORAGE, request)
    return request


def now(store: MemoryStore, request: Request) -> Request:
    found = forgetting.read(store, STORAGE, request.id)
    assert found is not None
    return found


def test_it_is_read_as_it_was_written(store: MemoryStore, request_: Request) -> None:
    assert forgetting.requests(store, STORAGE) == [now(store, request_)] == [request_]
    plan = Plan(versions=(("landing/pear/é.jpg", "1"),), found={"features": 1}, manifests=(2,), heads=("00ff",))
    forgetting.change(store, STORAGE, request_.id, plan=plan, tables={"versions": {"features": (1, 3)}})
    found = now(store, request_)
    assert (found.plan, found.asked) == (plan, ASKED)
    assert forgetting.read(store, STORAGE, request_.id, found) is found, "not read again"


def test_what_two_write_at_once_is_both_kept(
    store: MemoryStore, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = forgetting._body

    def meanwhile(request: Request) -> bytes:
        monkeypatch.setattr(forgetting, "_body", body)
        forgetting.change(store, STORAGE, request.id, tables={"removed": {}})
        return body(request)

    monkeypatch.setattr(forgetting, "_body", meanwhile)
    failure = Failure("2026-01-01T00:00:00+00:00", "The bucket refuses.")
    assert forgetting.change(store, STORAGE, request_.id, failed=failure) == now(store, request_)
    assert (now(store, request_).tables, now(store, request_).failed) == ({"removed": {}}, failure)


def test_what_has_gone_does_not_come_again(store: MemoryStore, request_: Request) -> None:
    obstore.delete(store, [forgetting.request_path(STORAGE, request_)])
    assert forgetting.change(store, STORAGE, request_.id, tables={}) is None
    assert forgetting.requests(store, STORAGE) == []


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"contract": 2}'])
def test_one_that_is_not_understood_is_told_with_what_to_do(store: MemoryStore, body: bytes) -> None:
    obstore.put(store, "state/forgetting/1.json", body)
    with pytest.raises(ContractError, match=r"state/forgetting/1\.json is no request .* Delete it"):
        forgetting.requests(store, STORAGE)
