"""Purging a table: of what it was, nothing is left but what it is. For what was forgotten, and for nothing else.

A VACUUM leaves the log, whose statistics name the least and the largest key of each file that ever was. So a checkpoint
is made of the table as it is, the log before it is deleted, and every data file that it does not name. Whoever reads an
older version at that moment finds its files gone, and has to ask again; time travel begins anew.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from conf.delta import data_files, open_table, set_properties
from conf.erasing import Eraser
from conf.errors import StorageError
from conf.forgetting import Name
from conf.settings import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_INTERVAL = "delta.checkpointInterval"
_DEFAULT_INTERVAL = "10"
_LOG = "_delta_log/"
_DIGITS = 20


def purge(
    spark: "SparkSession", storage: Storage, table: str, eraser: Eraser, check: Callable[[], None]
) -> tuple[int, int] | None:
    """Leave nothing of a table's past; tells its version before and after, None where there is no table.

    Only for the table's one writer, while it writes nothing else. Done again it does no harm.

    Parameters
    ----------
    check
        Called before each change; raises where it must not be made any more.

    Raises
    ------
    StorageError
        Where the store fails, or Spark made no checkpoint; nothing is deleted then.
    """
    opened = open_table(storage, table)
    if opened is None:
        return None
    before = opened.version()
    kept = opened.metadata().configuration.get(_INTERVAL, _DEFAULT_INTERVAL)
    # Every commit of such a table makes a checkpoint. The commit after it begins a log in which nothing is told.
    check()
    set_properties(spark, storage, table, {_INTERVAL: "1"})
    check()
    set_properties(spark, storage, table, {_INTERVAL: kept if kept != "1" else _DEFAULT_INTERVAL})
    now = open_table(storage, table)
    if now is None:
        raise StorageError(f"{storage.table_uri(table)} is gone while its past is deleted. Try again.")
    root = storage.table_key(table, "")
    there = [version.key for version in eraser.versions(root) if version.etag and version.is_newest]
    made = max((_number(key) for key in there if ".checkpoint." in key), default=-1)
    if not before < made <= now.version():
        raise StorageError(f"Spark made no checkpoint of {storage.table_uri(table)}: its log says why. Try again.")
    files = data_files(now, storage)
    if missing := files.keys() - there:
        raise StorageError(f"{min(missing)} is gone, a data file of {storage.table_uri(table)}: nothing is deleted.")
    past = [key for key in there if key not in files and not _is_needed(key, root, made)]
    check()
    eraser.erase_keys_below(root, set(past))
    _forget_snapshots(spark)
    return before, now.version()


def delete_versions(
    spark: "SparkSession", storage: Storage, table: str, names: Collection[Name], check: Callable[[], None]
) -> None:
    """Delete the rows of these keys and etags, in one commit, which does not say which: a condition would name them."""
    from delta.tables import DeltaTable

    if not names or open_table(storage, table) is None:
        return
    gone = spark.createDataFrame(list(names), "key STRING, etag STRING").alias("gone")
    check()
    rows = DeltaTable.forPath(spark, storage.table_uri(table)).alias("rows")
    rows.merge(gone, "rows.key = gone.key AND rows.etag = gone.etag").whenMatchedDelete().execute()


def _is_needed(key: str, root: str, checkpoint: int) -> bool:
    """Whether a file of a table is of the log since a checkpoint, that one included, or no version's."""
    name = key.removeprefix(root)
    if not name.startswith(_LOG):
        # Markers of folders are no data.
        return name.endswith(("/", "_$folder$")) or not name
    number = _number(key)
    return number < 0 or number >= checkpoint


def _number(key: str) -> int:
    """Version that a file of the log is of; -1 where it is of none."""
    start = key.rpartition("/")[2].partition(".")[0]
    return int(start) if len(start) == _DIGITS and start.isdigit() else -1


def _forget_snapshots(spark: "SparkSession") -> None:
    """Have Delta read a table's log anew: what it remembers of it names files that are gone."""
    jvm: Any = spark.sparkContext._jvm
    # A platform's own Delta may be another class: it finds the newest checkpoint by itself.
    found: Any = getattr(jvm.org.apache.spark.sql.delta, "DeltaLog", None)
    if hasattr(found, "clearCache"):
        found.clearCache()
