"""Every entry of every manifest is one row of features or of rejects, and every row is an entry of one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from conf.delta import reading
from conf.errors import ContractError
from conf.naming import naming_of
from scripts.auditing.pins import Pins, pass_over
from scripts.auditing.wrong import LOST, RESTORE, SHOWN, examples, wrong
from scripts.findings import Finding
from streaming import leaving
from streaming.expiry import expired
from streaming.ledger import Saved, newest_saved
from streaming.manifests import Listed, Manifest, Manifests

# Manifests read at a time.
_READS = 32
_SCHEMA = pa.schema({"key": pa.string(), "etag": pa.string(), "manifest": pa.int64()})

# Each entry that is no row or several, and each row that is no entry.
_ODD = """
    CREATE TEMP TABLE odd AS
    SELECT key, etag, manifest, CASE
        WHEN listed > found AND manifest > $done THEN 'under_way'
        WHEN listed > found AND manifest <= $rebuilt THEN 'given_up'
        WHEN listed > found AND manifest <= $expired THEN 'expired'
        WHEN goes AND (listed > found OR listed = 0) THEN 'going'
        WHEN listed > found THEN 'missing'
        WHEN manifest NOT IN (FROM there) AND found = 1 THEN 'untold'
        WHEN listed = 0 AND manifest IN (FROM there) THEN 'foreign'
        ELSE 'doubled'
    END AS kind
    FROM (
        SELECT key, etag, manifest, sum(entry) AS listed, sum(row) AS found FROM (
            SELECT key, etag, manifest, 1 AS entry, 0 AS row FROM listed
            UNION ALL SELECT key, etag, manifest, 0, 1 FROM features
            UNION ALL SELECT key, etag, manifest, 0, 1 FROM rejects
        )
        GROUP BY ALL HAVING listed <> found
    )
    LEFT JOIN (SELECT key, etag, true AS goes FROM going) USING (key, etag)
"""
_SAYS = {
    "missing": ("object version", "that manifests list: their micro-batches ended, and no table has them", LOST),
    "doubled": ("object version", "of which there are more rows than entries of manifests", RESTORE),
    "foreign": ("row", "that no manifest lists", RESTORE),
}


@dataclass(frozen=True)
class Entries:
    """Entries of manifests, and the rows that they are."""

    listed: int
    """Entries of all manifests."""
    features: int
    """Rows of features."""
    rejects: int
    """Rows of rejects."""
    under_way: int
    """Entries that are no row yet, of micro-batches that have not ended."""
    vouched: int
    """Rows whose manifest is gone, but which the sum of all manifests has."""
    given_up: int
    """Entries that are no row, of manifests from before the state was made anew from the tables."""
    expired: int
    """Entries that are no row, of manifests of which rows of rejects have left for their age."""
    forgotten: int
    """Entries that are in no manifest any more, as `fruits forget` took them out."""
    going: int
    """Entries without a row, and rows without an entry, of what `fruits forget` is taking out."""


def check_entries(pins: Pins, connection: duckdb.DuckDBPyConnection) -> tuple[Entries, list[Finding]]:
    """Hold rows against manifests.

    Costs a read of all manifests, and of three columns of both tables. Memory is bounded, whatever their number.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    storage = pins.storage
    saved = newest_saved(pins.store, storage)
    there, findings, forgotten = _enter(pins, connection)
    pass_over(pins, connection)
    gone = sorted(set(range(max(saved.last, pins.rebuilt) + 1, pins.done + 1)) - there - findings.keys())
    with reading(pins.storage):
        connection.execute(_ODD, {"done": pins.done, "rebuilt": pins.rebuilt, "expired": expired(pins.store, storage)})
        listed, features, rejects = (_count(connection, table) for table in ("listed", "features", "rejects"))
    kinds = dict(connection.execute("SELECT kind, count(*) FROM odd GROUP BY kind").fetchall())
    found = [*findings.values()]
    if gone:
        what = "gone, and in no sum of manifests"
        found.append(wrong("manifest_gone", len(gone), "manifest", what, LOST, list(map(str, gone))))
    for kind, (noun, what, do) in _SAYS.items():
        if kind in kinds:
            found.append(wrong(kind, kinds[kind], noun, what, do, _examples(connection, kind)))
    # No more of them than were counted as they left.
    if (lacking := kinds.get("expired", 0) - max(0, leaving.read(pins.store, storage).total - forgotten)) > 0:
        noun, what, do = _SAYS["missing"]
        found.append(wrong("missing", lacking, noun, what, do, _examples(connection, "expired")))
    strangers, first = _strangers(connection, saved)
    if strangers:
        what = "whose manifest is gone, and which the sum of all manifests does not have"
        found.append(wrong("unlisted", strangers, "row", what, LOST, first))
    under_way, given_up = kinds.get("under_way", 0), kinds.get("given_up", 0)
    vouched = kinds.get("untold", 0) - strangers
    passed = kinds.get("expired", 0), forgotten, kinds.get("going", 0)
    return Entries(listed, features, rejects, under_way, vouched, given_up, *passed), found


def _enter(pins: Pins, connection: duckdb.DuckDBPyConnection) -> tuple[set[int], dict[int, Finding], int]:
    """Enter what manifests list into table `listed`, and their numbers into `there`.

    Tells their numbers, which are damaged, and how many entries were taken out.
    """
    naming = naming_of(pins.store, pins.storage)
    manifests, damaged, there, forgotten = Manifests(pins.store, pins.storage.state_key("manifests")), {}, set(), 0
    connection.execute("CREATE TEMP TABLE listed (key VARCHAR, etag VARCHAR, manifest BIGINT)")
    for pairs in _in_pieces(manifests):
        entries: list[Listed] = []
        for number, read in pairs:
            if isinstance(read, ContractError):
                damaged[number] = wrong("manifest_damaged", 1, "manifest", "that cannot be read", LOST, [str(read)])
            else:
                there.add(number)
                entries += read.versions
                forgotten += read.entries - len(read.versions)
        columns = [[naming.row_key(e.key) for e in entries], [e.etag for e in entries], [e.manifest for e in entries]]
        connection.register("more", pa.table(columns, _SCHEMA))
        connection.execute("INSERT INTO listed FROM more")
    connection.register("there", pa.table({"number": pa.array(sorted(there), pa.int64())}))
    return there, damaged, forgotten


def _in_pieces(manifests: Manifests) -> Iterator[list[tuple[int, Manifest | ContractError]]]:
    """All manifests with their numbers, some at a time."""

    def read(number: int) -> Manifest | ContractError:
        try:
            return manifests.load(number)
        except ContractError as error:
            return error

    numbers = sorted(manifests.numbers())
    with ThreadPoolExecutor(_READS, "manifests") as pool:
        for start in range(0, len(numbers), _READS):
            piece = numbers[start : start + _READS]
            yield list(zip(piece, pool.map(read, piece), strict=True))


def _strangers(connection: duckdb.DuckDBPyConnection, saved: Saved) -> tuple[int, list[str]]:
    """How many rows there are whose manifest is gone and which the sum of all manifests does not have; and some."""
    untold = connection.execute("SELECT key, etag, manifest FROM odd WHERE kind = 'untold' ORDER BY manifest, key")
    number, first = 0, list[tuple[str, int]]()
    while rows := untold.fetchmany(10_000):
        strange = [(key, manifest) for key, etag, manifest in rows if not saved.seen.has(key, etag)]
        number += len(strange)
        first = (first + strange)[:SHOWN]
    return number, examples(first)


def _examples(connection: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    query = "SELECT key, manifest FROM odd WHERE kind = ? ORDER BY manifest, key LIMIT ?"
    return examples(connection.execute(query, [kind, SHOWN]).fetchall())


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    (count,) = connection.sql(f"SELECT count(*) FROM {table}").fetchall()[0]  # noqa: S608 (a name of ours)
    return int(count)
