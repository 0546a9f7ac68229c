"""Rebuilding: a state that was lost is made anew from the tables, which say what was accounted for.

Dying at any point leaves what was there; or a store without a checkpoint, which a stream refuses until the rebuilding
was done again; or one that is rebuilt, of which the next stream makes the first checkpoint.
"""

import logging
from typing import TYPE_CHECKING

from obstore.store import ObjectStore

from conf.delta import dataset, reading
from conf.errors import StateError
from conf.settings import Storage
from conf.tables import ROW_ID
from streaming import checkpoint, leaving
from streaming.changeover import withdraw
from streaming.checkpoint import Plan
from streaming.ledger import Ledger, Saved, last_number, save
from streaming.seen import Seen
from streaming.state import check_state, open_tables

if TYPE_CHECKING:
    from conf.lease import Lease

_log = logging.getLogger(__name__)


def sound_state(storage: Storage, store: ObjectStore, lease: "Lease") -> Plan:
    """The last planned micro-batch, of a state that is rebuilt if it has to be.

    What manifests listed and no table has is discovered again, if it still lies in the landing zone.

    Raises
    ------
    ContractError
        Where a table is missing: there is nothing to rebuild the state from.
    LeaseError
        Where the lease was lost meanwhile.
    """
    try:
        plan = _check(storage, store)
    except StateError as why:
        _log.info("%s", str(why).partition(". ")[0] + ". The state is rebuilt from the tables.")
    else:
        _log.info("Nothing to rebuild: state and tables belong together.")
        return plan
    rows = rebuild(storage, store, lease)
    _log.info("The state is rebuilt: it knows the object versions of the %s rows that are in the tables.", f"{rows:,}")
    return Plan()


def rebuild(storage: Storage, store: ObjectStore, lease: "Lease") -> int:
    """Put a ledger of what the tables hold in the place of all that the stream remembers; tells how many rows."""
    tables = open_tables(storage)
    lease.check()
    checkpoint.discard(store, storage.state_key("checkpoint"))
    # The manifests that were listed for it are left behind.
    withdraw(storage, store)
    seen, rows, newest = Seen(), 0, 0
    for opened in tables.values():
        with reading(storage):
            # A batch at a time: of each row, 16 bytes stay.
            for batch in dataset(opened, storage).to_batches(list(ROW_ID)):
                key, etag, manifest = (batch.column(name).to_pylist() for name in ROW_ID)
                seen.add_named(zip(key, etag, strict=True))
                rows, newest = rows + batch.num_rows, max((newest, *manifest))
    # A number that no manifest has or gets, so that this ledger can be missed, but not be made up for by the manifests.
    number = max(newest, last_number(store, storage)) + 1
    lease.check()
    # Of the rows that are there, none has left. Dying here leaves a store without a checkpoint.
    leaving.reset(store, storage)
    save(store, storage.state_key("seen"), Saved(number, rows, number, seen))
    return rows


def _check(storage: Storage, store: ObjectStore) -> Plan:
    """As the stream does, and as its source does when it runs."""
    plan = check_state(storage, store)
    Ledger(store, storage).check(plan.manifest)
    return plan
