"""Statistics of rows: the same whatever the partitioning, exact under a large offset, safe to ship."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.pca import PCA
from batch.statistics import Accumulator, Rows, Statistics, not_finite
from conf.errors import ContractError, DataError

seeds = st.integers(0, 2**32 - 1)


def exact(rows: Rows) -> tuple[Rows, Rows]:
    """Mean and scatter by their definition, in the widest float there is."""
    wide = rows.astype(np.longdouble)
    mean = wide.mean(axis=0)
    return mean.astype(np.float64), ((wide - mean).T @ (wide - mean)).astype(np.float64)


def assert_same(found: Statistics, rows: Rows, relative: float = 1e-9) -> None:
    mean, scatter = exact(rows)
    assert found.n == len(rows)
    np.testing.assert_allclose(found.mean, mean, rtol=relative, atol=relative)
    np.testing.assert_allclose(found.scatter, scatter, rtol=0, atol=relative * np.trace(scatter))


def merge_in_random_tree(parts: list[Statistics], rng: np.random.Generator) -> Statistics:
    while len(parts) > 1:
        left, right = (parts.pop(rng.integers(len(parts))) for _ in range(2))
        parts.append(left + right)
    return parts[0]


@settings(deadline=None, max_examples=60)
@given(
    seed=seeds,
    n=st.integers(2, 3000),
    d=st.integers(1, 6),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
    offset=st.sampled_from([0.0, -5e3, 1e6]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_partitioning_order_and_merge_tree_do_not_matter(
    seed: int, n: int, d: int, cuts: list[int], offset: float, dtype: type[np.float32 | np.float64]
) -> None:
    rng = np.random.default_rng(seed)
    # Sorted rows give parts that lie far apart, the hard case of a merge.
    rows: Rows = (np.sort(rng.standard_normal((n, d)), axis=0) + offset).astype(dtype)
    pieces = np.split(rows, sorted(min(cut, n) for cut in cuts))

    assert_same(merge_in_random_tree([Statistics.of(piece) for piece in pieces], rng), rows)

    accumulator = Accumulator(d)
    for i in rng.permutation(len(pieces)):
        accumulator.add(pieces[i])
    assert_same(accumulator.statistics(), rows)


def test_a_large_offset_cancels_no_digits() -> None:
    rows = np.random.default_rng(1).standard_normal((5000, 8)) + 1e6
    assert_same(Statistics.of(rows), rows, relative=1e-11)


def test_a_constant_feature_scatters_exactly_zero_in_any_partitioning() -> None:
    rows = np.random.default_rng(2).standard_normal((2500, 3))
    rows[:, 1] = 0.1
    merged = Statistics.of(rows[:7]) + Statistics.of(rows[7:])
    assert not merged.scatter[1].any()
    assert merged.mean[1] == 0.1


def test_covariance_and_total_variance_are_those_of_numpy() -> None:
    rows = np.random.default_rng(3).standard_normal((40, 5))
    found = Statistics.of(rows)
    np.testing.assert_allclose(found.covariance, np.cov(rows.T), atol=1e-14)
    assert found.total_variance == pytest.approx(rows.var(axis=0, ddof=1).sum(), rel=1e-13)


@pytest.mark.parametrize("n", [0, 1])
def test_variance_of_too_few_rows_is_refused(n: int) -> None:
    with pytest.raises(DataError, match=f"at least 2 feature vectors, found {n}"):
        _ = Statistics.of(np.ones((n, 3))).covariance


def test_no_rows_are_the_neutral_element() -> None:
    some = Statistics.of(np.random.default_rng(4).standard_normal((9, 4)))
    for merged in (some + Statistics.empty(4), Statistics.empty(4) + some):
        assert merged.to_bytes() == some.to_bytes()
    assert (Statistics.empty(4) + Statistics.empty(4)).n == 0


@settings(deadline=None, max_examples=60)
@given(
    seed=seeds,
    kept=st.integers(0, 300),
    removed=st.integers(0, 300),
    d=st.integers(1, 6),
    offset=st.sampled_from([0.0, -5e3, 1e6]),
)
def test_what_was_merged_can_be_removed(seed: int, kept: int, removed: int, d: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.standard_normal((kept + removed, d)), axis=0) + offset
    whole, gone = Statistics.of(rows), Statistics.of(rows[kept:])
    rest = whole - gone
    assert rest.n == kept
    if kept:
        mean, scatter = exact(rows[:kept])
        np.testing.assert_allclose(rest.mean, mean, rtol=1e-9, atol=1e-9)
        # By the size of the whole: what is left of much cannot be more exact than the much was.
        np.testing.assert_allclose(rest.scatter, scatter, rtol=0, atol=1e-9 * (1 + np.trace(whole.scatter)))


@pytest.mark.parametrize(("n", "d"), [(10, 3), (2, 4)])
def test_what_cannot_be_among_the_rows_is_not_removed(n: int, d: int) -> None:
    with pytest.raises(DataError, match=f"{n} rows of {d} features are not among those of 9 of 3"):
        Statistics.of(np.ones((9, 3))).remove(Statistics.of(np.ones((n, d))))


def test_a_feature_that_varied_in_the_removed_rows_alone_is_constant() -> None:
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((400, 3))
    rows[:, 1] = 0.1
    gone = rng.standard_normal((7, 3))
    rest = Statistics.of(np.concatenate([rows, gone])) - Statistics.of(gone)
    assert rest.scatter[1].tolist() == [0, 0, 0]
    assert rest.scatter[:, 1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(rest.scatter, Statistics.of(rows).scatter, atol=1e-9)
    # Divided by the standard deviation, rounding would be as large as any other feature.
    assert PCA(2, standardize=True).fit(rest).scale_[1] == 1


def test_an_accumulator_goes_on_after_it_was_read() -> None:
    rows = np.random.default_rng(5).standard_normal((30, 4))
    accumulator = Accumulator(4)
    accumulator.add(rows[:10])
    assert_same(accumulator.statistics(), rows[:10])
    accumulator.add(rows[10:])
    assert_same(accumulator.statistics(), rows)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1500, 2999])
def test_rows_that_are_not_finite_are_counted_and_located(value: float, where: int) -> None:
    rows = np.ones((3000, 4), dtype=np.float32)
    rows[[where, 2999], 2] = value
    count = len({where, 2999})
    with pytest.raises(
        DataError, match=f"{count} of 3000 feature vectors hold NaN or infinity, the first at row {where}:"
    ):
        Statistics.of(rows)
    assert not_finite(rows).tolist() == sorted({where, 2999})


def test_opposite_infinities_do_not_hide_each_other() -> None:
    with pytest.raises(DataError, match="1 of 2"):
        Statistics.of(np.array([[0.0, 0.0], [np.inf, -np.inf]]))


def test_values_whose_squares_overflow_are_refused() -> None:
    with pytest.raises(DataError, match=r"reach 1e\+200"):
        Statistics.of(np.array([[0.0], [1e200]]))


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 5), (1, 2, 4)])
def test_rows_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"expected \(rows, 4\)"):
        Accumulator(4).add(np.zeros(shape))


def test_statistics_of_different_lengths_do_not_merge() -> None:
    with pytest.raises(DataError, match="of 3 and of 4 features"):
        Statistics.empty(3).merge(Statistics.empty(4))


def test_statistics_cannot_be_changed_in_place() -> None:
    found = Statistics.of(np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        found.scatter[0, 0] = 1.0


@settings(deadline=None, max_examples=30)
@given(seed=seeds, n=st.integers(0, 20), d=st.integers(1, 9))
def test_bytes_give_back_every_bit(seed: int, n: int, d: int) -> None:
    before = Statistics.of(np.random.default_rng(seed).standard_normal((n, d)))
    after = Statistics.from_bytes(memoryview(before.to_bytes()))
    assert after.n == n
    assert np.array_equal(after.mean, before.mean)
    assert np.array_equal(after.scatter, before.scatter)


def test_bytes_carry_one_triangle_only() -> None:
    d = 100
    assert len(Statistics.empty(d).to_bytes()) == 24 + 8 * d + 8 * d * (d + 1) // 2


def test_any_flipped_bit_is_detected() -> None:
    data = Statistics.of(np.arange(12.0).reshape(4, 3) ** 2).to_bytes()
    for at in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises((DataError, ContractError), match="fit from the features again"):
            Statistics.from_bytes(bytes(damaged))


@pytest.mark.parametrize("kept", [0, 3, 8, 23, 24, 60])
def test_truncated_bytes_are_detected(kept: int) -> None:
    with pytest.raises(DataError, match="fit from the features again"):
        Statistics.from_bytes(Statistics.of(np.eye(3)).to_bytes()[:kept])


def test_bytes_of_another_layout_are_told_from_damage() -> None:
    data = bytearray(Statistics.empty(2).to_bytes())
    data[3] = 2
    with pytest.raises(ContractError, match="layout 2, expected 1"):
        Statistics.from_bytes(bytes(data))
