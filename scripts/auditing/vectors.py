"""Every row of `reduced` has its row of features, and all are of one model, which is in pca_models."""

from dataclasses import dataclass

import duckdb

from conf.delta import open_tables, reading
from conf.settings import Storage
from conf.table_log import TableLog
from scripts.auditing.pins import Pins, pass_over
from scripts.auditing.wrong import AGAIN, wrong
from scripts.findings import Finding
from scripts.wording import printable

_ORPHANS = "FROM reduced ANTI JOIN features USING (key, etag) ANTI JOIN going USING (key, etag)"
_TWICE = "FROM reduced GROUP BY key HAVING count(*) > 1"
_BY_MODEL = "SELECT pca_version, count(*) FROM reduced GROUP BY pca_version ORDER BY pca_version"


@dataclass(frozen=True)
class Vectors:
    """What `reduced` holds."""

    reduced: int
    """Rows of reduced."""
    pca_versions: tuple[int, ...]
    """Of these: one, or none before the first refresh."""


def check_vectors(pins: Pins, connection: duckdb.DuckDBPyConnection) -> tuple[Vectors, list[Finding]]:
    """Hold `reduced` against features and pca_models.

    Costs a read of their short columns; memory is bounded.

    Raises
    ------
    StorageError
        Where the store fails.
    """
    findings = []
    pass_over(pins, connection)
    with reading(pins.storage):
        by_model = connection.execute(_BY_MODEL).fetchall()
        models = {version for (version,) in connection.execute("SELECT pca_version FROM pca_models").fetchall()}
        (orphans, first), (doubled, twice) = (
            connection.execute(f"SELECT count(*), min(key, 3) FROM (SELECT key {what})").fetchall()[0]  # noqa: S608 (our own words)
            for what in (_ORPHANS, _TWICE)
        )
    if len(by_model) > 1:
        rows = [f"{count} of PCA version {version}" for version, count in by_model]
        findings.append(wrong("mixed", len(by_model), "model", "in reduced, which is of one", AGAIN, rows))
    lost = {version for version, _ in by_model if version not in models}
    # A forgetting deletes models once `reduced` is of another.
    if lost and (lost := lost & _published(pins.storage)):
        what = "that reduced is of and pca_models lacks"
        findings.append(wrong("model_lost", len(lost), "PCA version", what, AGAIN, [*map(str, sorted(lost))]))
    for code, count, noun, what, keys in (
        ("orphaned", orphans, "row", "of reduced without features", first),
        ("reduced_doubled", doubled, "photograph", "with more than one row of reduced", twice),
    ):
        if count:
            findings.append(wrong(code, count, noun, what, AGAIN, [printable(key) for key in keys]))
    return Vectors(sum(count for _, count in by_model), tuple(version for version, _ in by_model)), findings


def _published(storage: Storage) -> set[int]:
    """PCA versions that `reduced` is of by now."""
    (reduced,) = open_tables(storage, "reduced")
    return set() if reduced is None else set(TableLog(reduced, storage).counts("pca_version"))
