"""Opening and creating the Delta tables. delta-rs reads, in milliseconds and without a JVM; Spark alone writes."""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from conf.errors import ContractError, DataError, StorageError
from conf.s3 import arrow_filesystem, check_bucket, control_client, delta_options, explain
from conf.settings import Storage
from conf.tables import COLUMNS, CONTRACT, columns_of, short_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.dataset import Dataset, Expression
    from pyspark.sql import SparkSession

# Of S3A and of EMRFS.
_FOLDER_MARKERS = ("/", "_$folder$")
_NO_BEGINNING = "No table metadata or protocol found"
# In delta-rs' messages.
_COLOURS = re.compile(r"\x1b\[\d*m")
# Seconds between attempts to read a table's log.
_PAUSES = (0.1, 0.5, 2.0, 8.0)
_AT_ONCE = 4


def open_table(storage: Storage, table: str, version: int | None = None) -> DeltaTable | None:
    """A table for reading without Spark, at a version or as it is now; None where it does not exist yet or any more.

    Raises
    ------
    StorageError
        Where the store does not answer.
    ContractError
        Where the table was made under another contract than this version's.
    """
    uri = storage.table_uri(table, "s3")
    attempt = 0
    while True:
        try:
            opened = DeltaTable(uri, version=version, storage_options=delta_options(storage))
            break
        except TableNotFoundError:
            return None
        except DeltaError as error:
            # Of an old version, part of the log may be left.
            if version is not None and _NO_BEGINNING in str(error):
                return None
            raise StorageError(
                f"The log of {uri} cannot be read: {_one_line(error)}. Restore its _delta_log/ from a copy, or move "
                "the table away."
            ) from None
        except OSError as error:
            # What is wrong with the bucket, if that is it, boto3 says in fewer words.
            check_bucket(storage)
            # delta-rs repeats no listing whose answer was cut short.
            if attempt == len(_PAUSES):
                raise StorageError(f"Cannot read {uri}: {_one_line(error)}. Try again.") from None
            time.sleep(_PAUSES[attempt])
            attempt += 1
    found = opened.metadata().configuration.get("fruits.contract")
    if found != CONTRACT:
        raise ContractError(
            f"Table {uri} is of contract {found}, this version of Fruits! works with {CONTRACT}. "
            "Move it away, or set storage.prefix to a fresh one."
        )
    return opened


def _one_line(error: Exception) -> str:
    return " ".join(_COLOURS.sub("", str(error)).split())[:300]


def as_of(opened: DeltaTable, moment: int | datetime) -> DeltaTable:
    """The same table at a version, or as it was at a time.

    Raises
    ------
    DataError
        Where it was not yet, or the log reaches no longer back.
    """
    newest, version = opened.version(), moment if isinstance(moment, int) else None
    if isinstance(moment, datetime):
        # Not by delta-rs, which takes the version that was committed nearest to a time, also where that was after it.
        before = (one["version"] for one in opened.history() if one["timestamp"] <= moment.timestamp() * 1000)
        version = max(before, default=None)
    try:
        if version is not None:
            opened.load_as_version(version)
    except DeltaError:
        version = None
    if version is None:
        name = opened.table_uri.rstrip("/").rpartition("/")[2]
        raise DataError(
            f"{name} is not to be had as of {moment}: its newest version is {newest}, and those older than "
            '`tables.keep_days` are forgotten. `fruits query "FROM versions"` lists what there is.'
        )
    return opened


def open_tables(storage: Storage, *tables: str) -> tuple[DeltaTable | None, ...]:
    """`open_table` of some tables at once: a distant store is waited for once."""
    with ThreadPoolExecutor(_AT_ONCE, "open") as pool:
        return tuple(pool.map(lambda table: open_table(storage, table), tables))


def data_files(opened: DeltaTable, storage: Storage) -> dict[str, int]:
    """Size in bytes of each data file of an opened table, by its key."""
    import pyarrow as pa

    table, actions = opened.table_uri.rstrip("/").rpartition("/")[2], pa.table(opened.get_add_actions())
    # The log has paths relative to the table, and percent-encoded.
    keys = [storage.table_key(table, unquote(path)) for path in actions["path"].to_pylist()]
    return dict(zip(keys, actions["size_bytes"].to_pylist(), strict=True))


def dataset(opened: DeltaTable, storage: Storage, files: Collection[str] | None = None) -> "Dataset":
    """The rows of an opened table, for scans that read only the columns and row groups they need.

    Those of some files, where these are named, as the log and pyarrow's column `__filename` do.

    Through pyarrow's own S3 client. The one that delta-rs would give it is Python called from pyarrow's threads, and a
    process that ends before these do is aborted: half of the short ones were.
    """
    from pyarrow.dataset import FileSystemDataset
    from pyarrow.fs import SubTreeFileSystem

    root = opened.table_uri.removeprefix("s3://").rstrip("/")
    whole = opened.to_pyarrow_dataset(filesystem=SubTreeFileSystem(root, arrow_filesystem(storage)))
    if files is None:
        return whole
    parts = [part for part in whole.get_fragments() if part.path in files]
    # Of the whole's schema: a file by itself does not say that its times are in UTC.
    return FileSystemDataset(parts, whole.schema, whole.format, whole.filesystem)


@contextmanager
def reading(storage: Storage) -> Iterator[None]:
    """Scans of a dataset within raise StorageError where the store fails, with what is wrong."""
    try:
        yield
    except OSError as error:
        raise explain(error, storage) from None


def read_columns(
    opened: DeltaTable, storage: Storage, columns: Sequence[str], rows: "Expression | None" = None
) -> "pa.Table":
    """Some columns of an opened table, of all its rows or of those for which an expression holds.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    with reading(storage):
        return dataset(opened, storage).to_table(list(columns), filter=rows)


def read_states_ahead(spark: "SparkSession", storage: Storage, *tables: str) -> None:
    """Have Spark learn the state of tables while other work goes on; returns at once.

    It works that out anew after each commit, and needs it for the next one: half the time of a small commit. To
    describe a table is the way to ask for it that every platform has.
    """

    def read() -> None:
        # Whatever is wrong, the next commit meets it, and says so.
        with suppress(Exception):
            for table in tables:
                spark.sql(f"DESCRIBE DETAIL delta.`{storage.table_uri(table)}`")

    Thread(target=read, name="state", daemon=True).start()


def ensure_table(
    spark: "SparkSession",
    storage: Storage,
    table: str,
    properties: dict[str, str] | None = None,
    upkeep: dict[str, str] | None = None,
) -> None:
    """Create a table with its contract unless it is there; give it the columns that were added since it was made.

    Parameters
    ----------
    properties
        What it is made with.
    upkeep
        How it is kept: these may change, and are set where they have.

    Raises
    ------
    ContractError
        Where it is there with another contract, or its files are and their log is not.
    """
    opened = open_table(storage, table)
    if opened is None:
        _clear_way(storage, table)
        made_with = {"fruits.contract": CONTRACT} | (properties or {}) | (upkeep or {})
        _create(spark, storage.table_uri(table), table, made_with)
        return
    there = {field.name for field in opened.schema().fields}
    if added := [line for name, line in columns_of(table).items() if name not in there]:
        spark.sql(f"ALTER TABLE delta.`{storage.table_uri(table)}` ADD COLUMNS ({', '.join(added)})")
    found = opened.metadata().configuration
    changed = {name: value for name, value in (upkeep or {}).items() if found.get(name) != value}
    if changed:
        set_properties(spark, storage, table, changed)


def set_properties(spark: "SparkSession", storage: Storage, table: str, properties: dict[str, str]) -> None:
    """Give properties of a table other values, in a commit of its own."""
    spark.sql(f"ALTER TABLE delta.`{storage.table_uri(table)}` SET TBLPROPERTIES ({_listed(properties)})")


def _clear_way(storage: Storage, table: str) -> None:
    """Take away the markers of folders that a killed creation left: Spark takes them for a table, and makes none.

    The first rows would then make one, without the contract.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    below = storage.table_key(table, "")
    with closing(control_client(storage)) as client:
        try:
            found = client.list_objects_v2(Bucket=storage.bucket, Prefix=below).get("Contents", [])
            keys = [entry["Key"] for entry in found]
            if files := [key for key in keys if not key.endswith(_FOLDER_MARKERS)]:
                raise ContractError(
                    f"There is no table at {storage.table_uri(table)}, but files as of one, {files[0]!a} the first. "
                    "Restore its _delta_log/, or move them away."
                )
            for key in reversed(keys):
                client.delete_object(Bucket=storage.bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise explain(error, storage) from None


def _create(spark: "SparkSession", uri: str, table: str, properties: dict[str, str]) -> None:
    properties = properties | {
        "delta.minReaderVersion": "1",
        "delta.minWriterVersion": "2",
        "delta.enableDeletionVectors": "false",
        "delta.checkpointPolicy": "classic",
        "delta.dataSkippingNumIndexedCols": str(short_columns(table)),
    }
    columns = COLUMNS[table]
    spark.sql(f"CREATE TABLE IF NOT EXISTS delta.`{uri}` ({columns}) USING delta TBLPROPERTIES ({_listed(properties)})")


def _listed(properties: dict[str, str]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", r"\\").replace("'", r"\'") + "'"

    return ", ".join(f"{quoted(name)} = {quoted(value)}" for name, value in properties.items())
