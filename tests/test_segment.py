"""Sums of rows by label, against loops."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx._backend.segment import one_hot, segment_min, segment_stats, segment_sum, take_rows

for function in (segment_sum, segment_stats):
    lazy_xp_function(function)

K = 5


def problem(*batch, n=40, d=3, seed=0):
    """Rows, labels below 5 of which 3 is never used, weights of which some are 0."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 4], size=(*batch, n))
    return rng.standard_normal((*batch, n, d)), labels, rng.integers(0, 4, (*batch, n)) * 1.0


def sums_by_loop(rows, labels, weights):
    sums, counts = np.zeros((K, rows.shape[1])), np.zeros(K)
    for row, label, weight in zip(rows, labels, weights, strict=True):
        sums[label] += weight * row
        counts[label] += weight
    return sums, counts


def test_segment_sum(xp, asarray, to_numpy, dtype, tol):
    rows, labels, _ = problem()
    ours = segment_sum(asarray(xp, rows, dtype), asarray(xp, labels), K)
    assert ours.dtype == dtype
    expected, _ = sums_by_loop(rows, labels, np.ones(40))
    np.testing.assert_allclose(to_numpy(ours), expected, atol=20 * tol(dtype))


@pytest.mark.parametrize("weighted", [False, True])
def test_segment_stats(xp, asarray, to_numpy, dtype, tol, weighted):
    rows, labels, weights = problem()
    share = asarray(xp, weights, dtype) if weighted else None
    sums, counts = segment_stats(asarray(xp, rows, dtype), asarray(xp, labels), K, share)
    expected = sums_by_loop(rows, labels, weights if weighted else np.ones(40))
    assert sums.dtype == counts.dtype == dtype
    np.testing.assert_allclose(to_numpy(sums), expected[0], atol=20 * tol(dtype))
    np.testing.assert_array_equal(to_numpy(counts), expected[1])
    np.testing.assert_array_equal(to_numpy(sums)[3], 0)


def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy):
    rows, labels, weights = problem(2, 3)
    arrays = (asarray(xp, rows), asarray(xp, labels), K, asarray(xp, weights))
    sums, counts = (to_numpy(a) for a in segment_stats(*arrays))
    for member in np.ndindex(2, 3):
        expected = sums_by_loop(rows[member], labels[member], weights[member])
        np.testing.assert_allclose(sums[member], expected[0], atol=1e-4)
        np.testing.assert_array_equal(counts[member], expected[1])


def test_shared_rows_are_broadcast_over_the_labels(xp, asarray, to_numpy):
    rows, _, weights = problem()
    _, labels, _ = problem(3)
    sums, counts = segment_stats(asarray(xp, rows), asarray(xp, labels), K, asarray(xp, weights))
    for i in range(3):
        expected = sums_by_loop(rows, labels[i], weights)
        np.testing.assert_allclose(to_numpy(sums)[i], expected[0], atol=1e-4)
        np.testing.assert_array_equal(to_numpy(counts)[i], expected[1])


@pytest.mark.backend("numpy")
def test_more_labels_than_16_bits_hold():
    labels = np.asarray([70_000, 5, 70_000, 65_536, 0])
    sums, counts = segment_stats(np.arange(5.0)[:, None], labels, 70_001)
    assert np.flatnonzero(counts).tolist() == [0, 5, 65_536, 70_000]
    assert sums[[0, 5, 65_536, 70_000], 0].tolist() == [4, 1, 3, 2]


@given(st.lists(st.integers(0, K - 1), min_size=1, max_size=30), st.integers(0, 99))
def test_sums_keep_the_total(labels, seed):
    labels = np.asarray(labels)
    rows = np.random.default_rng(seed).standard_normal((labels.size, 2))
    sums, counts = segment_stats(rows, labels, K)
    np.testing.assert_allclose(sums.sum(axis=0), rows.sum(axis=0), atol=1e-12)
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=K))


def test_one_hot(xp, asarray, to_numpy, dtype):
    indicator = one_hot(xp, asarray(xp, np.asarray([[2, 0], [1, 1]])), 3, dtype)
    assert indicator.dtype == dtype
    np.testing.assert_array_equal(to_numpy(indicator), np.eye(3)[[[2, 0], [1, 1]]])


def test_take_rows_with_every_kind_of_batch(xp, asarray, to_numpy):
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((2, 4, 3)), rng.integers(4, size=(2, 6))
    many = take_rows(xp, asarray(xp, rows), asarray(xp, labels))
    one_rows = take_rows(xp, asarray(xp, rows[0]), asarray(xp, labels))
    one_labels = take_rows(xp, asarray(xp, rows), asarray(xp, labels[0]))
    for i in range(2):
        np.testing.assert_allclose(to_numpy(many)[i], rows[i][labels[i]], rtol=1e-6)
        np.testing.assert_allclose(to_numpy(one_rows)[i], rows[0][labels[i]], rtol=1e-6)
        np.testing.assert_allclose(to_numpy(one_labels)[i], rows[i][labels[0]], rtol=1e-6)


def test_the_callers_rows_are_not_scaled_in_place(xp, asarray, to_numpy):
    rows, labels, weights = problem()
    x = asarray(xp, rows)
    before = to_numpy(x).copy()
    segment_stats(x, asarray(xp, labels), K, asarray(xp, weights))
    np.testing.assert_array_equal(to_numpy(x), before)


def test_segment_min_of_runs(xp, asarray, to_numpy):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=12)
    values, places = rng.standard_normal(lengths.sum()), np.repeat(np.arange(12), lengths)
    starts = np.cumsum(lengths) - lengths
    ours = segment_min(*(asarray(xp, a) for a in (values, starts, places)))
    expected = [values[places == run].min() for run in range(12)]
    np.testing.assert_allclose(to_numpy(ours), expected, rtol=1e-6)
