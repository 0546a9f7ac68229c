"""How much of what tells one kind from another is left in k components: on photographs that the axes have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.pca import PCA

# Held-out rows at a time: their distances to 8,000 others take 16 MB.
_BLOCK = 512


@dataclass(frozen=True)
class Labelled:
    """Rows and what is in the pictures."""

    rows: NDArray[np.float32]
    """Shape (n, d)."""
    labels: NDArray[np.intp]
    """Numbers of the labels, shape (n,)."""


@dataclass(frozen=True)
class Quality:
    """How well labels of held-out rows are told in one space."""

    k: int
    """Components, or features."""
    explained: float
    """Share of the variance of the rows that the axes were fitted on."""
    centroid: float
    """Share of the held-out rows whose label is that of the nearest mean of a label."""
    neighbours: float
    """Share of the held-out rows whose label most of the nearest neighbours have."""
    purity: float
    """Share of a held-out row's nearest neighbours that have its label, on average."""


def measure(
    known: Labelled, held_out: Labelled, pca: PCA, ks: Sequence[int], neighbours: int = 5
) -> tuple[list[Quality], Quality]:
    """Tell labels by the rows that are known, in k components for each of some k, and in all features.

    Distances are Euclidean. Of neighbours that tie, the nearer decides.

    Parameters
    ----------
    known
        With at least as many rows as neighbours.
    held_out
        Rows that the PCA was not fitted on.
    pca
        With at least as many components as the largest k.
    ks
        Increasing.

    Returns
    -------
    Qualities in the order of `ks`, and that in the features themselves.
    """
    labels = int(max(known.labels.max(), held_out.labels.max())) + 1
    near, far = pca.transform(known.rows), pca.transform(held_out.rows)
    shares = np.cumsum(pca.explained_variance_ratio_)
    bounds = [0, *ks]
    spaces = [(near[:, a:b], far[:, a:b]) for a, b in zip(bounds, ks, strict=False)]
    told = _told(spaces, known.labels, held_out.labels, labels, neighbours)
    reduced = [Quality(k, float(shares[k - 1]), *figures) for k, figures in zip(ks, told, strict=True)]
    centre = known.rows.mean(axis=0)
    whole = [(known.rows - centre, held_out.rows - centre)]
    (figures,) = _told(whole, known.labels, held_out.labels, labels, neighbours)
    return reduced, Quality(known.rows.shape[1], 1.0, *figures)


def enough(qualities: Sequence[Quality], held_out: int) -> Quality:
    """The one of fewest components that tells neighbours as well as the best, up to one standard error of the best.

    Breiman, Friedman, Olshen & Stone, "Classification and Regression Trees" (1984), section 3.4.3.
    """
    best = max(quality.neighbours for quality in qualities)
    error = np.sqrt(best * (1 - best) / held_out)
    return next(quality for quality in qualities if quality.neighbours >= best - error)


def _told(
    spaces: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    known: NDArray[np.intp],
    asked: NDArray[np.intp],
    labels: int,
    neighbours: int,
) -> list[tuple[float, float, float]]:
    """Figures after each of some groups of axes, which add up."""
    means = [_means(near, known, labels) for near, _ in spaces]
    there = np.bincount(known, minlength=labels) > 0
    sums = np.zeros((len(spaces), 3))
    for start in range(0, len(asked), _BLOCK):
        chosen = slice(start, start + _BLOCK)
        expected = asked[chosen]
        to_means = np.zeros((len(expected), labels), np.float32)
        to_rows = np.zeros((len(expected), len(known)), np.float32)
        for number, (near, far) in enumerate(spaces):
            to_means += _squared_distances(far[chosen], means[number])
            to_rows += _squared_distances(far[chosen], near)
            nearest = np.where(there, to_means, np.inf).argmin(axis=1)
            votes, shares = _vote(to_rows, known, expected, labels, neighbours)
            sums[number] += (nearest == expected).sum(), (votes == expected).sum(), shares.sum()
    return [(float(a), float(b), float(c)) for a, b, c in sums / len(asked)]


def _vote(
    distances: NDArray[np.float32],
    known: NDArray[np.intp],
    expected: NDArray[np.intp],
    labels: int,
    neighbours: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """What most neighbours say, and the share of them that say what is expected."""
    around = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
    order = np.take_along_axis(distances, around, axis=1).argsort(axis=1, kind="stable")
    said = known[np.take_along_axis(around, order, axis=1)]
    # Nearer ones count a little more, too little for any number of them to outvote one more.
    weights = 1 + 0.5 ** np.arange(1, neighbours + 1) / 2
    votes = np.zeros((len(distances), labels))
    np.add.at(votes, (np.arange(len(distances))[:, np.newaxis], said), weights)
    return votes.argmax(axis=1), (said == expected[:, np.newaxis]).mean(axis=1)


def _means(rows: NDArray[np.float32], labels: NDArray[np.intp], count: int) -> NDArray[np.float32]:
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, labels, rows)
    means: NDArray[np.float32] = (sums / np.bincount(labels, minlength=count).clip(1)[:, np.newaxis]).astype(np.float32)
    return means


def _squared_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each row of (m, k) from each of (n, k): (m, n)."""
    distances: NDArray[np.float32] = (a * a).sum(axis=1)[:, np.newaxis] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    return distances
