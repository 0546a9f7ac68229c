"""Evaluation: what k components tell of the labels, on photographs held out from the fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.hints import components_for, parallel_analysis
from batch.pca import PCA
from batch.pinning import pin, whole
from batch.quality import Labelled, Quality, enough, measure
from batch.snapshot import Snapshot
from batch.statistics import Statistics
from conf.errors import DataError
from conf.s3 import check_bucket
from conf.settings import Settings
from conf.table_log import TableLog

# One photograph in so many is held out.
_HELD_OUT = 5
_DIGITS = 8


@dataclass(frozen=True)
class Summary:
    """What was measured, and on what."""

    features_version: int
    model_id: str
    fitted: int
    """Photographs that the axes, the means and the neighbours are of."""
    held_out: int
    labels: int
    left_out: int
    """Photographs without a label, or of one that only held-out ones have."""
    most_frequent: float
    """Share of the held-out photographs that have the label most frequent among the others: what a guess would get."""
    neighbours: int
    reduced: list[Quality]
    """By k."""
    features: Quality
    """Of the features themselves."""
    enough: int
    """The fewest of the components tried that tell neighbours as well as the best, up to one standard error of it."""
    k: int
    """Components that the settings ask for."""
    parallel_analysis: int
    """Components that vary more than those of random features would."""


def run(settings: Settings, *, ks: Sequence[int] = (), neighbours: int = 5, rows: int = 10_000) -> Summary:
    """Measure. Needs no Spark; reads all features once, and holds those that are drawn.

    Parameters
    ----------
    ks
        Numbers of components to try; where there are none, powers of two and what the settings ask for.
    neighbours
        How many of the nearest are asked.
    rows
        Photographs drawn, about. It is their sha256 that tells which, and which are held out: the same ones at each
        run, and copies of one photograph on the same side.

    Raises
    ------
    DataError
        Where there are too few photographs or labels, or a k is more than the photographs span.
    StorageError
        Where the store fails.
    """
    check_bucket(settings.storage)
    pinned = pin(settings.storage)
    snapshot = whole(pinned, 1)
    # Of other models' rows, the few that are superseded too are not worth a look at each.
    counting = TableLog(pinned.table, settings.storage).counts("model_id")[snapshot.model_id] - len(snapshot.superseded)
    vectors, names, out = _draw(snapshot, min(1.0, rows / max(1, counting)))
    named = np.isin(names, names[~out]) & (names != "")
    vectors, out = vectors[named], out[named]
    found, labels = np.unique(names[named], return_inverse=True)
    known, held_out = Labelled(vectors[~out], labels[~out]), Labelled(vectors[out], labels[out])
    if len(found) < 2 or len(known.labels) <= neighbours or not len(held_out.labels):
        raise DataError(
            f"{len(labels)} photographs of {len(found)} labels are too few to hold some out and ask {neighbours} "
            "neighbours: drop more, in folders by what they show."
        )
    statistics = Statistics.of(known.rows)
    pca = PCA(variance=1.0, standardize=settings.pca.standardize, whiten=settings.pca.whiten).fit(statistics)
    asked = settings.pca.k or components_for(pca.scree_, settings.pca.variance or 0.95)
    chosen = sorted(set(ks)) if ks else _powers(pca.k_, asked)
    if chosen[-1] > pca.k_:
        raise DataError(
            f"k is {chosen[-1]}, and {statistics.n} photographs of {statistics.d} features span {pca.k_} components: "
            "ask for no more than these."
        )
    reduced, features = measure(known, held_out, pca, chosen, neighbours)
    guess = np.bincount(known.labels).argmax()
    return Summary(
        snapshot.version,
        snapshot.model_id,
        len(known.labels),
        len(held_out.labels),
        len(found),
        int((~named).sum()),
        float((held_out.labels == guess).mean()),
        neighbours,
        reduced,
        features,
        enough(reduced, len(held_out.labels)).k,
        asked,
        parallel_analysis(
            pca.scree_ * pca.total_variance_, statistics.covariance.diagonal() / pca.scale_**2, statistics.n
        ),
    )


def _draw(snapshot: Snapshot, share: float) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.bool_]]:
    """Features, labels, and which are held out, of a share of the rows."""
    found = []
    for part in range(len(snapshot.parts)):
        for batch, rows in snapshot.read(part, ("label", "sha256")):
            digests = batch.column("sha256").to_pylist()
            drawn = np.array([int(digest[:_DIGITS], 16) < share * 16**_DIGITS for digest in digests])
            names = np.array(batch.column("label").to_pylist(), np.str_)
            out = np.array([int(digest[_DIGITS : 2 * _DIGITS], 16) % _HELD_OUT == 0 for digest in digests])
            found.append((rows[drawn], names[drawn], out[drawn]))
    if not found:
        return np.empty((0, 0), np.float32), np.empty(0, np.str_), np.empty(0, np.bool_)
    vectors, labels, held_out = zip(*found, strict=True)
    return np.concatenate(vectors), np.concatenate(labels), np.concatenate(held_out)


def _powers(most: int, asked: int) -> list[int]:
    powers = [2**exponent for exponent in range(most.bit_length())]
    return sorted({*powers, min(asked, most)})
