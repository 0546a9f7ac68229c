"""The tables' contract: their names, columns in order, and the closed list of reasons for a refusal.

Columns are never renamed and never change their meaning. New ones may be added; in rows older than they, they are null.
Long columns come last, so that Delta's statistics cover the short ones. Every table stays at reader version 1, which
every reader of Delta understands.
"""

from enum import StrEnum

CONTRACT = "1"
# The property of features that names the model whose rows count.
MODEL = "fruits.model_id"
RowId = tuple[str, str, int]
"""What tells a row of features or of rejects from any other, by the names in `ROW_ID`."""
ROW_ID = ("key", "etag", "manifest")
NAMES = ("features", "rejects", "reduced", "pca_models")

COLUMNS = {
    "features": """
        key STRING NOT NULL COMMENT 'object key in the bucket, or a keyed hash of it (privacy.hash_keys)',
        etag STRING NOT NULL COMMENT 'version of the object, without quotes',
        size BIGINT NOT NULL COMMENT 'bytes',
        last_modified TIMESTAMP NOT NULL COMMENT 'when this version landed',
        sha256 STRING NOT NULL COMMENT 'of the bytes, in hex',
        label STRING NOT NULL COMMENT 'parent folder in the landing zone, empty where there is none',
        width INT NOT NULL COMMENT 'pixels, as shown upright',
        height INT NOT NULL COMMENT 'pixels, as shown upright',
        format STRING NOT NULL COMMENT 'JPEG, PNG, ...',
        model_id STRING NOT NULL COMMENT 'architecture/weights/preprocessing',
        manifest BIGINT NOT NULL COMMENT 'number of the manifest that lists this version',
        batch_id BIGINT NOT NULL COMMENT 'micro-batch that wrote the row',
        ingested_at TIMESTAMP NOT NULL COMMENT 'when the micro-batch wrote it',
        features ARRAY<FLOAT> NOT NULL COMMENT 'activations of the last hidden layer'
    """,
    "rejects": """
        key STRING NOT NULL COMMENT 'object key in the bucket, or a keyed hash of it (privacy.hash_keys)',
        etag STRING NOT NULL COMMENT 'version of the object, without quotes',
        size BIGINT NOT NULL COMMENT 'bytes',
        reason STRING NOT NULL COMMENT 'one of a closed list of codes',
        manifest BIGINT NOT NULL COMMENT 'number of the manifest that lists this version',
        batch_id BIGINT NOT NULL COMMENT 'micro-batch that wrote the row',
        rejected_at TIMESTAMP NOT NULL COMMENT 'when the micro-batch wrote it',
        detail STRING NOT NULL COMMENT 'what was found'
    """,
    "pca_models": """
        pca_version BIGINT NOT NULL COMMENT 'counts the refits from 1',
        model_id STRING NOT NULL COMMENT 'model of the features that it was fitted on',
        features_version BIGINT NOT NULL COMMENT 'Delta version of features that it saw',
        n BIGINT NOT NULL COMMENT 'rows that it saw',
        d INT NOT NULL COMMENT 'features a row',
        k INT NOT NULL COMMENT 'components kept',
        solver STRING NOT NULL COMMENT 'exact or mllib',
        total_variance DOUBLE NOT NULL COMMENT 'sum over all d axes',
        fitted_at TIMESTAMP NOT NULL COMMENT 'when the fit ended',
        noise_variance DOUBLE COMMENT 'mean variance of the components left out',
        whiten BOOLEAN COMMENT 'whether reduced was divided by the root of explained_variance',
        compared_to BIGINT COMMENT 'pca_version of the model before, whose signs were kept; of it tell the next three',
        mean_shift DOUBLE COMMENT 'how far the mean has moved, in roots of its total variance',
        variance_change DOUBLE COMMENT 'of the total variance: 0.1 is a tenth more',
        explained_change DOUBLE COMMENT 'share that its components explain of this n, less their share when fitted',
        rows_added BIGINT COMMENT 'that count now and did not at the refresh before; null where that is not known',
        rows_removed BIGINT COMMENT 'that counted at the refresh before and do not now, as overwritten or deleted',
        sums_error DOUBLE COMMENT 'where all rows were read again: how far the running sums were off, by the total',
        explained_variance ARRAY<DOUBLE> NOT NULL COMMENT 'of each component kept, largest first',
        explained_variance_ratio ARRAY<DOUBLE> NOT NULL COMMENT 'its share of the total',
        mean ARRAY<DOUBLE> NOT NULL COMMENT 'subtracted before projecting',
        components ARRAY<ARRAY<DOUBLE>> NOT NULL COMMENT 'k rows of d: orthonormal',
        scree ARRAY<DOUBLE> COMMENT 'explained_variance_ratio of all d',
        scale ARRAY<DOUBLE> COMMENT 'features less the mean are divided by it; all 1 unless standardized',
        near_degenerate ARRAY<BOOLEAN> COMMENT 'whether sampling cannot tell the component from the next',
        principal_angles ARRAY<DOUBLE> COMMENT 'to the subspace of compared_to, in radians, smallest first'
    """,
    "reduced": """
        key STRING NOT NULL COMMENT 'object key in the bucket, or a keyed hash of it (privacy.hash_keys)',
        etag STRING NOT NULL COMMENT 'version of the object, without quotes',
        label STRING NOT NULL COMMENT 'parent folder in the landing zone, empty where there is none',
        sha256 STRING NOT NULL COMMENT 'of the bytes, in hex',
        pca_version BIGINT NOT NULL COMMENT 'the row of pca_models that made this vector',
        features_version BIGINT COMMENT 'Delta version of features in which the photograph was seen',
        reduced ARRAY<FLOAT> NOT NULL COMMENT 'components of (features - mean)'
    """,
}


# A key's versions from the newest on, as SQL: later ones take the place of earlier ones. Of two within S3's second, and
# of one that was processed again, that of the later manifest counts.
VERSION_RANK = "row_number() OVER (PARTITION BY key ORDER BY last_modified DESC, manifest DESC, etag)"

VIEWS = {"current": ("features", f"SELECT * FROM features QUALIFY {VERSION_RANK} = 1")}  # noqa: S608 (our own words)
"""Views beside the tables: what each is of, and its definition. `current` has the newest version of each key."""


class Reason(StrEnum):
    """Why an object is in `rejects`. Codes are part of the contract: add, never rename."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    CRASHED = "crashed"
    GONE = "gone"
    REPLACED = "replaced"
    FORGOTTEN = "forgotten"


def columns_of(table: str) -> dict[str, str]:
    """A table's columns in the contract's order: names, and how each is declared."""
    lines = (line.strip().removesuffix(",") for line in COLUMNS[table].strip().splitlines())
    return {line.split()[0]: line for line in lines}


def column_names(table: str) -> list[str]:
    """Names of a table's columns, in the contract's order."""
    return list(columns_of(table))


def short_columns(table: str) -> int:
    """How many leading columns are worth statistics: those before the vectors and the free text."""
    return sum("ARRAY" not in line and name != "detail" for name, line in columns_of(table).items())
