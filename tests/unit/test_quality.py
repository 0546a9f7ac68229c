"""What k components tell of the labels, held to scikit-learn's classifiers in the same spaces."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from batch.pca import PCA
from batch.quality import Labelled, Quality, enough, measure
from batch.statistics import Statistics

LABELS = 8
D = 16


def drawn(n: int, seed: int) -> Labelled:
    """Kinds whose means lie apart in few directions, and noise in all."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(0).standard_normal((LABELS, 3)) @ np.eye(3, D) * 2
    labels = rng.integers(0, LABELS, n)
    rows = means[labels] + rng.standard_normal((n, D)) * np.linspace(1.5, 0.5, D) + 20
    return Labelled(rows.astype(np.float32), labels)


KNOWN, HELD_OUT = drawn(700, seed=1), drawn(600, seed=2)
FITTED = PCA(variance=1.0).fit(Statistics.of(KNOWN.rows))
KS = [1, 2, 3, 8, 16]


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("neighbours", [1, 5])
def test_in_each_space_it_is_what_scikit_learn_tells(neighbours: int, whiten: bool) -> None:
    pca = PCA(variance=1.0, whiten=whiten).fit(Statistics.of(KNOWN.rows))
    reduced, features = measure(KNOWN, HELD_OUT, pca, KS, neighbours)
    near, far = pca.transform(KNOWN.rows), pca.transform(HELD_OUT.rows)
    spaces = [*((near[:, :k], far[:, :k]) for k in KS), (KNOWN.rows, HELD_OUT.rows)]
    for quality, (known, asked) in zip([*reduced, features], spaces, strict=True):
        classifier = KNeighborsClassifier(neighbours).fit(known.astype(np.float64), KNOWN.labels)
        around = KNOWN.labels[classifier.kneighbors(asked, return_distance=False)]
        assert quality.purity == pytest.approx((around == HELD_OUT.labels[:, np.newaxis]).mean(), abs=1e-2)
        # Of kinds that tie among the neighbours scikit-learn takes the first by name, we the nearest.
        counts = np.array([np.bincount(row, minlength=LABELS) for row in around])
        clear = np.sort(counts, axis=1)[:, -1] > np.sort(counts, axis=1)[:, -2]
        votes = np.where(clear, counts.argmax(axis=1), around[:, 0])
        tied = [n for n in np.flatnonzero(~clear) if counts[n, around[n, 0]] < counts[n].max()]
        assert abs(quality.neighbours - (votes == HELD_OUT.labels).mean()) <= (len(tied) + 4) / 600
        centroid = NearestCentroid().fit(known.astype(np.float64), KNOWN.labels)
        assert quality.centroid == pytest.approx(centroid.score(asked, HELD_OUT.labels), abs=1e-2)
    assert [quality.k for quality in reduced] == KS
    assert (features.k, features.explained) == (D, 1.0)
    assert reduced[1].explained == pytest.approx(pca.explained_variance_ratio_[:2].sum())


def test_all_components_tell_what_the_features_do() -> None:
    reduced, features = measure(KNOWN, HELD_OUT, FITTED, KS)
    last = reduced[-1]
    figures = (last.centroid, last.neighbours, last.purity)
    assert figures == pytest.approx((features.centroid, features.neighbours, features.purity), abs=5e-3)
    assert features.neighbours > reduced[0].neighbours + 0.1


def test_of_two_kinds_with_as_many_votes_the_nearer_wins() -> None:
    known = Labelled(np.array([[0.0], [1.0], [2.1], [3.2]], np.float32), np.array([0, 1, 1, 0]))
    asked = Labelled(np.array([[0.9], [3.0]], np.float32), np.array([1, 0]))
    _, features = measure(known, asked, PCA(1).fit(Statistics.of(known.rows)), [1], neighbours=4)
    assert (features.neighbours, features.purity) == (1.0, 0.5)


def test_a_label_that_only_held_out_rows_have_is_never_told() -> None:
    asked = Labelled(HELD_OUT.rows, np.full(len(HELD_OUT.labels), LABELS + 2))
    reduced, features = measure(KNOWN, asked, FITTED, [2])
    assert (features.centroid, features.neighbours, features.purity) == (0, 0, 0)
    assert (reduced[0].centroid, reduced[0].neighbours) == (0, 0)


def test_enough_is_the_first_within_a_standard_error_of_the_best() -> None:
    told = [Quality(k, 0.5, 0.5, right, 0.5) for k, right in ((1, 0.5), (2, 0.779), (4, 0.785), (8, 0.8), (16, 0.79))]
    # At 0.8 of 400 the standard error is 0.02.
    assert enough(told, 400).k == 4
    assert enough(told, 300).k == 2
    assert enough(told, 4_000_000).k == 8
