"""How far the landing zone is cleaned: `state/cleaned.json` names a manifest that is done, with all before it.

It says only where to go on. Lost or set back, all is gone over once more, which finds nothing left to do.
"""

import json
import logging

import obstore
from obstore.store import ObjectStore

from conf.errors import ContractError
from conf.s3 import read_object, store_answers
from conf.settings import Storage

CONTRACT = 1
_log = logging.getLogger(__name__)


def read(store: ObjectStore, storage: Storage) -> int:
    """Number of the last manifest that is done; 0 where none is.

    Raises
    ------
    ContractError
        Where another version of Fruits! wrote it in a way that this one does not read.
    """
    path = _path(storage)
    body = read_object(store, path)
    if body is None:
        return 0
    try:
        found = json.loads(body)
        contract, number = found["contract"], int(found["manifest"])
    except (ValueError, KeyError, TypeError):
        _log.warning("%s is damaged: going over all manifests once more.", path)
        return 0
    if contract != CONTRACT:
        raise ContractError(f"{path} is of contract {contract}; this version reads {CONTRACT}. Remove it.")
    return number


def write(store: ObjectStore, storage: Storage, manifest: int) -> None:
    """Note that this manifest is done, with all before it."""
    path = _path(storage)
    with store_answers(path):
        obstore.put(store, path, json.dumps({"contract": CONTRACT, "manifest": manifest}).encode())


def _path(storage: Storage) -> str:
    return storage.state_key("cleaned.json")
