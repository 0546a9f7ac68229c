"""Asking to forget, as `fruits forget` does once somebody has said yes."""

from conf import forgetting
from conf.forgetting import Asked, Request
from conf.s3 import object_store
from conf.settings import Storage
from streaming.traces import find


def ask_to_forget(storage: Storage, asked: Asked) -> Request:
    """A request for what there is of that now."""
    store = object_store(storage)
    request = Request.new(asked, find(storage, store, asked).rows)
    forgetting.ask(store, storage, request)
    return request
