"""k-means of rows with missing values: its objective, its laws, and what it finds."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets

import kmeans_fx as kf
from kmeans_fx import masked_assign, masked_kmeans
from kmeans_fx.converge import CONVERGED
from kmeans_fx.metrics import adjusted_rand_score
from kmeans_fx.preprocess import impute

lazy_xp_function(masked_kmeans)
lazy_xp_function(masked_assign)


def holes(x, share, seed=0):
    """Rows without a share of their values; every column keeps its first one."""
    there = np.random.default_rng(seed).random(x.shape) >= share
    there[0] = True
    return np.where(there, x, np.nan)


def problem(share=0.3):
    rng = np.random.default_rng(1982)
    centers = np.repeat([[2.0, 1.0, 4.0], [9.0, 3.0, -4.0], [4.0, 12.0, 0.0]], 20, axis=0)
    return holes(centers + rng.normal(size=(60, 3)), share)


def differences(x, centroids):
    """Squared distances (n, k) over the values that are there."""
    return np.nansum((x[:, None] - centroids) ** 2, axis=-1)


def plain(x, centroids, weights):
    """Coordinate descent in plain loops, to the fixed point."""
    before = None
    while True:
        labels = differences(x, centroids).argmin(axis=1)
        if before is not None and np.array_equal(labels, before):
            return labels, centroids, weights @ differences(x, centroids).min(axis=1)
        before, centroids = labels, centroids.copy()
        for j in range(len(centroids)):
            for column in range(x.shape[1]):
                here = (labels == j) & ~np.isnan(x[:, column])
                if here.any():
                    centroids[j, column] = np.average(x[here, column], weights=weights[here])


def test_equals_plain_loops(xp, asarray, to_numpy, dtype, tol):
    x, weights = problem(), np.random.default_rng(1).integers(1, 4, 60) * 1.0
    start = np.nan_to_num(x[[0, 25, 50]], nan=3.0)
    ours = masked_kmeans(
        asarray(xp, x, dtype),
        3,
        key=0,
        init=asarray(xp, start, dtype),
        weights=asarray(xp, weights, dtype),
        tol=0,
    )
    labels, centroids, inertia = plain(x, start, weights)
    assert int(ours.status) == CONVERGED
    np.testing.assert_array_equal(to_numpy(ours.labels), labels)
    np.testing.assert_allclose(to_numpy(ours.centroids), centroids, rtol=10 * tol(dtype))
    np.testing.assert_allclose(float(ours.inertia), inertia, rtol=10 * tol(dtype))
    again = masked_assign(asarray(xp, x, dtype), ours.centroids)
    np.testing.assert_array_equal(to_numpy(again.labels), labels)
    expected = differences(x, to_numpy(ours.centroids)).min(axis=1)
    np.testing.assert_allclose(to_numpy(again.distances), expected, rtol=tol(dtype), atol=1e-6)


def test_complete_rows_are_kmeans(xp, asarray, to_numpy):
    x = asarray(xp, problem(0.0))
    ours, theirs = masked_kmeans(x, 3, key=0, tol=0), kf.kmeans(x, 3, key=0, tol=0)
    np.testing.assert_array_equal(to_numpy(ours.labels), to_numpy(theirs.labels))
    np.testing.assert_allclose(to_numpy(ours.centroids), to_numpy(theirs.centroids), rtol=1e-5)
    np.testing.assert_allclose(float(ours.inertia), float(theirs.inertia), rtol=1e-5)


def test_a_mask_says_what_nan_says(xp, asarray, to_numpy):
    x = problem()
    marked = masked_kmeans(asarray(xp, x), 3, key=0)
    there = ~np.isnan(x)
    values = asarray(xp, np.where(there, x, 1e6))
    masked = masked_kmeans(values, 3, key=0, mask=asarray(xp, there))
    for ours, theirs in zip(masked, marked, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))
    labels = masked_assign(values, masked.centroids, mask=asarray(xp, there)).labels
    np.testing.assert_array_equal(to_numpy(labels), to_numpy(masked.labels))


def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy):
    x = np.stack([problem(), problem(0.1)])
    batch = masked_kmeans(asarray(xp, x), 3, key=0, n_init=3)
    for i in range(2):
        one = masked_kmeans(asarray(xp, x[i]), 3, key=0, n_init=3)
        np.testing.assert_array_equal(to_numpy(batch.labels)[i], to_numpy(one.labels))
        np.testing.assert_allclose(to_numpy(batch.centroids)[i], to_numpy(one.centroids), rtol=1e-5)


@given(st.integers(0, 1000), st.floats(0, 0.7))
def test_the_objective_never_rises(seed, share):
    x = holes(np.random.default_rng(seed).normal(size=(40, 3)), share, seed)
    found = masked_kmeans(x, 4, key=seed, tol=0, history=True, empty="keep")
    trace = found.history[: int(found.n_iter)]
    assert np.all(np.diff(trace) <= 1e-9 * trace[:-1])
    np.testing.assert_allclose(found.inertia, differences(x, found.centroids).min(axis=1).sum())


@given(st.integers(0, 1000))
def test_weight_m_is_m_copies_and_zero_is_absent(seed):
    rng = np.random.default_rng(seed)
    x, times = problem(), rng.integers(0, 4, 60)
    times[0] = 1
    init = np.nan_to_num(x[:3], nan=2.0)
    weighted = masked_kmeans(x, 3, key=0, init=init, weights=times * 1.0)
    copies = masked_kmeans(np.repeat(x, times, axis=0), 3, key=0, init=init)
    # The filled columns and thus what tol is relative to need not agree: the fixed point does.
    np.testing.assert_allclose(weighted.centroids, copies.centroids, rtol=1e-9)
    np.testing.assert_allclose(weighted.inertia, copies.inertia, rtol=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_finds_clusters_that_filling_in_means_does_not(share):
    x, classes = datasets.make_blobs(800, 8, centers=6, random_state=0, cluster_std=3.0)
    x = holes(x, share, 1)
    ours = masked_kmeans(x, 6, key=0, n_init=5).labels
    filled = kf.kmeans(impute(x)[0], 6, key=0, n_init=5).labels
    scores = [adjusted_rand_score(classes, labels) for labels in (ours, filled)]
    assert scores[0] > scores[1] + 0.05


def test_a_cluster_without_a_value_in_a_column_has_the_mean_of_the_column():
    nan = np.nan
    x = np.array([[0.0, 1.0], [0.0, 3.0], [9.0, nan], [9.5, nan]])
    found = masked_kmeans(x, 2, key=0, init=x[[0, 0]] + [[0.0, 0.0], [9.0, 5.0]])
    np.testing.assert_allclose(found.centroids, [[0.0, 2.0], [9.25, 2.0]])
    # A row without any value is as near to one as to the other.
    empty = masked_assign(np.full((1, 2), nan), found.centroids)
    assert (empty.labels[0], empty.distances[0]) == (0, 0)


def test_an_init_of_ones_own_sees_filled_rows():
    seen = []

    def start(x, k, *, key, weights):
        seen.append(x)
        return x[:k]

    x = problem()
    found = masked_kmeans(x, 3, key=0, init=start)
    np.testing.assert_allclose(seen[0], np.where(np.isnan(x), np.nanmean(x, axis=0), x))
    assert found.centroids.shape == (3, 3)


X = problem()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mask": np.ones(3, bool)}, ValueError, r"mask must have the shape of x, \(60, 3\)"),
        ({"mask": np.ones((60, 3))}, TypeError, "mask must be a bool array, got float64"),
        ({"mask": np.ones((60, 3), bool)}, ValueError, "x must be finite"),
        ({"init": np.zeros((3, 2))}, ValueError, r"init must have shape \(..., k, 3\)"),
        ({"init": "best"}, ValueError, "init must be one of"),
        ({"init": lambda x, k, **_: x[:k, :2]}, ValueError, "init must have shape"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        masked_kmeans(X, 3, key=0, **options)


def test_a_column_without_a_value_is_told():
    x = X.copy()
    x[:, 1] = np.nan
    with pytest.raises(ValueError, match="x must have a value in every column"):
        masked_kmeans(x, 3, key=0)
    assert masked_assign(x, np.zeros((2, 3))).labels.shape == (60,)
