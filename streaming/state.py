"""Whether tables, manifests and checkpoint belong together. Parts of different age lose or double rows in silence."""

import math
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from obstore.store import ObjectStore

from conf.delta import open_table
from conf.errors import REBUILD, ContractError, StateError
from conf.naming import check_naming, naming_of
from conf.settings import Storage
from streaming import checkpoint
from streaming.checkpoint import Plan
from streaming.ledger import listed_up_to, rebuilt_as_of, saved_numbers
from streaming.manifests import Manifests

if TYPE_CHECKING:
    from deltalake import DeltaTable

TABLES = ("features", "rejects")


def check_state(storage: Storage, store: ObjectStore) -> Plan:
    """The last planned micro-batch, once it is sure that it is the last that the tables know of.

    Raises
    ------
    StateError
        Where the state is missing, damaged or older than a table, or the tables lack rows of micro-batches that it
        knows to be done.
    ContractError
        Where a table is missing, or its keys are hashed by a secret that is not the state's.
    """
    prefix = storage.state_key("checkpoint")
    plan = checkpoint.last_plan(store, prefix)
    query_id = checkpoint.query_id(store, prefix)
    tables = open_tables(storage, planned=plan.batch_id >= 0)
    naming = naming_of(store, storage)
    for table, opened in tables.items():
        check_naming(naming, storage.table_uri(table), opened.metadata().configuration)
    for table, opened in tables.items():
        if plan.batch_id < 0:
            # A ledger that was rebuilt from the tables needs no checkpoint: the first one goes on from it.
            if opened.file_uris() and rebuilt_as_of(store, storage) <= last_manifest(opened):
                raise _apart(storage, table, "holds rows, but the state knows of no batch: it was lost")
        elif query_id is None:
            raise _apart(storage, table, "belongs to a query whose identity is lost: the checkpoint has no metadata")
        elif (opened.transaction_version(query_id) or 0) > plan.batch_id or last_manifest(opened) > plan.manifest:
            raise _apart(storage, table, f"holds later batches than {plan.batch_id}, the state's last: it is older")
    known = max(saved_numbers(store, storage.state_key("seen")), default=0)
    missing = set(range(known + 1, plan.manifest + 1)).difference(
        Manifests(store, storage.state_key("manifests")).numbers(after=known) if plan.manifest else ()
    )
    if missing:
        raise StateError(
            f"Manifest {min(missing)} of {plan.manifest} is missing in {storage.uri('state/manifests/')}: without it, "
            f"what it lists would be taken in twice. Restore it, or {REBUILD}."
        )
    done = checkpoint.last_done(store, prefix)
    if done is not None:
        _check_rows(storage, tables, done, listed_up_to(store, storage, done.manifest))
    return plan


def _check_rows(storage: Storage, tables: "dict[str, DeltaTable]", done: Plan, listed: int) -> None:
    """Each entry of a manifest of a batch that was done is a row. One that is lacking was lost for good."""
    rows = sum(_rows(opened, done.manifest) for opened in tables.values())
    if rows < listed:
        raise StateError(
            f"The tables below {storage.uri('tables/')} lack {listed - rows} of the {listed} rows that the state knows "
            f"of, up to batch {done.batch_id}: one is older, or rows were deleted from it. Restore both as of one "
            f"moment, or {REBUILD}."
        )


def open_tables(storage: Storage, *, planned: bool = False) -> dict[str, "DeltaTable"]:
    """The tables that the stream writes, by name; none on a new store.

    Parameters
    ----------
    planned
        Whether the state knows of a batch, so that there must be tables.

    Raises
    ------
    ContractError
        Where one is gone.
    """
    found = {table: opened for table in TABLES if (opened := open_table(storage, table)) is not None}
    gone = next((table for table in TABLES if table not in found), None)
    if gone and (planned or any(opened.file_uris() for opened in found.values())):
        raise ContractError(
            f"Table {storage.table_uri(gone)} is gone, but the {'state' if planned else 'stream'} has written batches "
            "to it. Restore both as of one moment, or set another storage.prefix."
        )
    return found


def last_manifest(opened: "DeltaTable") -> int:
    """The last manifest of which a table has rows, as far as its log tells."""
    added = _files(opened)
    return pc.max(added["max.manifest"]).as_py() or 0 if "max.manifest" in added.column_names else 0


def _files(opened: "DeltaTable") -> pa.Table:
    """Its files with their statistics, a column each."""
    return pa.table(opened.get_add_actions(flatten=True))


def _rows(opened: "DeltaTable", manifest: int) -> float:
    """How many rows a table has of manifests up to one, or a few more where they share files with later ones."""
    added = _files(opened)
    if not {"num_records", "min.manifest"} <= set(added.column_names):
        return 0 if not added.num_rows else math.inf
    if added["num_records"].null_count or added["min.manifest"].null_count:
        # Files that another program wrote without statistics.
        return math.inf
    return pc.sum(added.filter(pc.field("min.manifest") <= manifest)["num_records"]).as_py() or 0


def _apart(storage: Storage, table: str, how: str) -> StateError:
    return StateError(f"Table {storage.table_uri(table)} {how}. Restore both as of one moment, or {REBUILD}.")
