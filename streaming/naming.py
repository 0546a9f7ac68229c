"""Whether keys are hashed is settled before the first row, and found out again for who wants to see the photographs."""

from collections.abc import Iterable
from dataclasses import replace

from obstore.store import ObjectStore

from conf.delta import open_table
from conf.errors import ContractError
from conf.naming import Naming, check_naming, hashed_from_now, naming_of
from conf.settings import Settings, Storage
from streaming.manifests import Listed, Manifests


def settle_naming(settings: Settings, store: ObjectStore) -> Naming:
    """How a stream names keys: as the store does, which its first stream decides by the settings.

    Raises
    ------
    ContractError
        Where the settings want it otherwise: keys of both kinds in a table would protect nobody, and count one
        photograph as two. Or where the secret is not that of the tables.
    """
    storage, wanted = settings.storage, settings.privacy.hash_keys
    naming, features = naming_of(store, storage), open_table(storage, "features")
    if features is not None:
        check_naming(naming, storage.table_uri("features"), features.metadata().configuration)
    elif wanted:
        naming = hashed_from_now(store, storage)
    if (naming.secret is not None) == wanted:
        return naming
    there, other = ("as they are", "false") if wanted else ("hashed", "true")
    raise ContractError(
        f"Keys in {storage.uri('tables/')} are {there}, and privacy.hash_keys is {str(wanted).lower()}. That is "
        f"decided once for a store: set it to {other}, or storage.prefix to a new one and drop the photographs there."
    )


def with_real_keys(store: ObjectStore, storage: Storage, rows: Iterable[Listed]) -> list[Listed]:
    """What rows of the tables are of, under the keys that it has in the store.

    Where keys are hashed, the manifests tell. A row whose manifest is gone keeps its hash, under which no object is.
    """
    rows = list(rows)
    if all(row.key.startswith(storage.landing) for row in rows):
        return rows
    naming, manifests = naming_of(store, storage), Manifests(store, storage.state_key("manifests"))
    wanted = {row.manifest for row in rows}
    kept = wanted.intersection(manifests.numbers(after=min(wanted) - 1))
    keys = {naming.row_key(version.key): version.key for number in kept for version in manifests.read(number)}
    return [replace(row, key=keys.get(row.key, row.key)) for row in rows]
