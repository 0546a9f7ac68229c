"""Whether tables, manifests and checkpoint belong together. Parts of different age lose or double rows in silence."""

from obstore.store import ObjectStore

from conf.delta import open_table
from conf.errors import ContractError
from conf.settings import Storage
from streaming import checkpoint
from streaming.checkpoint import Plan
from streaming.ledger import saved_numbers
from streaming.manifests import Manifests

TABLES = ("features", "rejects")


def check_state(storage: Storage, store: ObjectStore) -> Plan:
    """The last planned micro-batch, once it is sure that it is the last that the tables know of.

    Raises
    ------
    ContractError
        Where the state or a table is missing, or the state is older than a table.
    """
    prefix = storage.state_key("checkpoint")
    plan = checkpoint.last_plan(store, prefix)
    query_id = checkpoint.query_id(store, prefix) or ""
    for table in TABLES:
        opened = open_table(storage, table)
        if opened is None:
            if plan.batch_id >= 0:
                raise _apart(storage, table, "is gone, but the state has written batches to it")
        elif plan.batch_id < 0:
            if opened.file_uris():
                raise _apart(storage, table, "holds rows, but the state knows of no batch: it was lost")
        elif (opened.transaction_version(query_id) or 0) > plan.batch_id:
            raise _apart(storage, table, f"holds later batches than {plan.batch_id}, the state's last: it is older")
    known = max(saved_numbers(store, storage.state_key("seen")), default=0)
    missing = set(range(known + 1, plan.manifest + 1)).difference(
        Manifests(store, storage.state_key("manifests")).numbers(after=known) if plan.manifest else ()
    )
    if missing:
        raise ContractError(
            f"Manifest {min(missing)} of {plan.manifest} is missing in {storage.uri('state/manifests/')}: without it, "
            "what it lists would be taken in twice. Restore it, or set another storage.prefix."
        )
    return plan


def _apart(storage: Storage, table: str, how: str) -> ContractError:
    return ContractError(
        f"Table {storage.table_uri(table)} {how}. Restore both as of one moment, or set another storage.prefix."
    )
