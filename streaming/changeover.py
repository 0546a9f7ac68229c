"""From one model to another: every photograph is featurized anew, and from then on the other model's rows count.

features may hold rows of several models; its property `fruits.model_id` names the one that counts. `fruits reprocess
--model` lists the photographs again, then puts the request, `state/model.json`. A stream whose settings name just that
model takes it up: it sets the property, and featurizes what is listed. Any step may be repeated.
"""

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore

from conf.delta import open_table, read_columns, set_properties
from conf.errors import ContractError, DataError
from conf.s3 import control_client, read_object, store_answers
from conf.settings import Storage
from conf.tables import MODEL, VIEWS
from streaming.ledger import Ledger
from streaming.listing import list_landing
from streaming.manifests import Landed
from streaming.reprocess import dated, relist

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.lease import Lease

CONTRACT = 1


@dataclass(frozen=True)
class Change:
    """What it takes to make features the table of another model."""

    before: str
    """The model whose rows count now."""
    after: str
    """The model whose rows shall count; the same where a change was not carried through."""
    versions: tuple[Landed, ...]
    """Current photographs whose row is not of the model after, to be listed again."""
    gone: int
    """Photographs of which that row cannot be had, as they are no longer in the landing zone."""

    @property
    def is_done(self) -> bool:
        """Whether the rows of the model after count already, and none can be added."""
        return self.before == self.after and not self.versions


def plan_change(storage: Storage, store: ObjectStore, model_id: str) -> Change:
    """What a change to a model takes. Changes nothing.

    Costs a read of the short columns of features, one of the ledger, and a listing of the landing zone.

    Raises
    ------
    DataError
        Where there is no features table yet: the first stream makes it, of whatever model.
    """
    import duckdb

    features = open_table(storage, "features")
    if features is None:
        raise DataError(
            f"There is no {storage.table_uri('features')} yet, so no photograph to featurize anew. Start "
            "`fruits stream`: its settings name the model."
        )
    before = features.metadata().configuration[MODEL]
    rows = read_columns(features, storage, ["key", "etag", "manifest", "last_modified", "model_id"])
    with duckdb.connect() as connection:
        connection.register("features", rows)
        others = f"SELECT key, etag, last_modified FROM ({VIEWS['current'][1]}) WHERE model_id <> ?"  # noqa: S608 (our own words)
        current = connection.sql(others, params=[model_id]).to_arrow_table().to_pylist()
    wanted = {row["key"]: row for row in current}
    featurized = set(zip(rows["key"].to_pylist(), rows["etag"].to_pylist(), strict=True))
    ledger = Ledger(store, storage)
    versions, there = [], 0
    with closing(control_client(storage)) as client:
        for version in list_landing(client, storage):
            row = wanted.get(ledger.naming.row_key(version.key))
            if row is None:
                continue
            if ledger.naming.row_id(version.name) in featurized:
                versions.append(dated(version, row["last_modified"]))
                there += 1
            # One that was overwritten since is a new arrival, which the stream takes in by itself, unless it did so
            # before, and refused it.
            there += version not in ledger
    return Change(before, model_id, tuple(versions), len(wanted) - there)


def ask(storage: Storage, store: ObjectStore, change: Change, lease: "Lease") -> list[int]:
    """List the photographs again and put the request; tells the numbers of the manifests.

    The request comes last: dying before it, the model stays, and asking again lists them all.
    """
    lease.check()
    numbers = relist(storage, store, change.versions)
    lease.check()
    path = storage.state_key("model.json")
    with store_answers(path):
        obstore.put(store, path, json.dumps({"contract": CONTRACT, "model_id": change.after}).encode())
    return numbers


def withdraw(storage: Storage, store: ObjectStore) -> str | None:
    """Forget what was asked for; tells which model that was, None where nothing was asked for."""
    asked = requested(storage, store)
    if asked is not None:
        path = storage.state_key("model.json")
        with store_answers(path):
            obstore.delete(store, path)
    return asked


def requested(storage: Storage, store: ObjectStore) -> str | None:
    """The model that was asked for; None where none was.

    Raises
    ------
    ContractError
        Where the request is not one that this version reads.
    """
    path = storage.state_key("model.json")
    body = read_object(store, path)
    if body is None:
        return None
    try:
        found = json.loads(body)
        if found["contract"] == CONTRACT:
            return str(found["model_id"])
    except (ValueError, KeyError, TypeError):
        pass
    raise ContractError(
        f"{storage.uri('state/model.json')} is no request of contract {CONTRACT}. Delete it, then `fruits reprocess "
        "--model` to ask again."
    )


def settle_model(spark: "SparkSession", storage: Storage, store: ObjectStore, lease: "Lease", model_id: str) -> None:
    """Make sure, before a stream begins, that this model's rows are those that count; change over if that was asked.

    Raises
    ------
    ContractError
        Where features is of another model, and no change to this one was asked for; or where one to another was.
    """
    features = open_table(storage, "features")
    asked = requested(storage, store)
    before = features.metadata().configuration.get(MODEL) if features else None
    if features and before != model_id and asked != model_id:
        raise ContractError(
            f"Table {storage.table_uri('features')} holds features of model {before}, the settings name {model_id}. Go "
            "back to the settings of the first, or let `fruits reprocess --model` have all photographs featurized anew "
            "by the second."
        )
    if asked not in (None, model_id):
        raise ContractError(
            f"`fruits reprocess --model` asked for model {asked}, but the settings name {model_id}. Set model.* to "
            "what was asked for, or take that back: `fruits reprocess --model` with these settings."
        )
    if features and before != model_id:
        lease.check()
        set_properties(spark, storage, "features", {MODEL: model_id})
    withdraw(storage, store)
