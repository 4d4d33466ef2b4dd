"""The optimum for data of one column: brute force, restarts, weights, ties, gradients."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import CONVERGED, NONFINITE, kmeans, kmeans_1d
from tests.parameters import uncompiled

SMALL = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 3)), min_size=1, max_size=9)


def brute_force(x, weights, k):
    """The least inertia of all ways to cut the sorted numbers."""
    order = np.argsort(x)
    x, weights = x[order], weights[order]
    n = len(x)
    runs = {(i, j): spread(x[i:j], weights[i:j]) for i in range(n) for j in range(i, n + 1)}
    ways = ((0, *cuts, n) for cuts in combinations(range(1, n), k - 1))
    return min(sum(runs[run] for run in pairwise(cuts)) for cuts in ways)


def spread(x, weights):
    if weights.sum() == 0:
        return 0.0
    return float(weights @ (x - np.average(x, weights=weights)) ** 2)


def skewed(n=60, seed=0):
    """Numbers with many scales, on which restarts disagree."""
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(size=n) * 1.5)[:, None], rng.integers(0, 4, size=n) * 1.0


@given(SMALL, st.data())
def test_equals_brute_force(rows, data):
    x, weights = (np.asarray(column, dtype=float) for column in zip(*rows, strict=True))
    if weights.sum() == 0:
        weights += 1
    k = data.draw(st.integers(1, len(x)))
    ours = kmeans_1d(x[:, None], k, weights=weights)
    np.testing.assert_allclose(ours.inertia, brute_force(x, weights, k), atol=1e-9)
    assert np.all(np.diff(ours.centroids[:, 0]) >= 0)
    np.testing.assert_array_equal(ours.labels, np.abs(x[:, None] - ours.centroids[:, 0]).argmin(1))
    assert len(set(ours.labels[weights > 0])) == min(k, len(set(x[weights > 0])))


@pytest.mark.parametrize("weighted", [True, *uncompiled(False)])
def test_every_backend_finds_the_optimum(xp, asarray, to_numpy, dtype, tol, weighted):
    x, weights = skewed(n=14)
    share = asarray(xp, weights, dtype) if weighted else None
    ours = kmeans_1d(asarray(xp, x, dtype), 4, weights=share)
    expected = brute_force(x[:, 0], weights if weighted else np.ones(14), 4)
    np.testing.assert_allclose(float(ours.inertia), expected, rtol=20 * tol(dtype))
    assert ours.centroids.dtype == dtype
    assert int(ours.status) == CONVERGED
    labels = to_numpy(ours.labels)
    mass = (weights if weighted else np.ones(14)) + 0.0
    means = [np.average(x[labels == j, 0], weights=mass[labels == j]) for j in range(4)]
    np.testing.assert_allclose(to_numpy(ours.centroids)[:, 0], means, rtol=20 * tol(dtype))


@given(st.integers(0, 999), st.integers(1, 12))
def test_never_above_restarts(seed, k):
    x, weights = skewed(seed=seed)
    restarts = kmeans(x, k, key=seed, weights=weights, n_init=10, tol=0)
    ours = kmeans_1d(x, k, weights=weights)
    assert float(ours.inertia) <= float(restarts.inertia) * (1 + 1e-9)


@pytest.mark.uncompiled
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_far_from_zero_and_in_any_order(xp, asarray, to_numpy, offset):
    x = np.repeat([[0.0], [1.0], [5.0], [6.0], [20.0]], 4, axis=0) + offset
    x = np.random.default_rng(0).permutation(x)
    ours = kmeans_1d(asarray(xp, x), 3)
    expected = np.asarray([[0.5], [5.5], [20.0]]) + offset
    np.testing.assert_allclose(to_numpy(ours.centroids), expected, rtol=1e-6)
    np.testing.assert_allclose(float(ours.inertia), 4.0, rtol=1e-4)


@pytest.mark.uncompiled
def test_weights_are_copies(xp, asarray, to_numpy):
    x, weights = skewed()
    repeated = kmeans_1d(np.repeat(x, weights.astype(int), axis=0), 5)
    for factor in (1.0, 0.1):
        ours = kmeans_1d(asarray(xp, x), 5, weights=asarray(xp, factor * weights))
        np.testing.assert_allclose(to_numpy(ours.centroids), repeated.centroids, rtol=1e-4)
        np.testing.assert_allclose(float(ours.inertia), factor * repeated.inertia, rtol=1e-4)


def test_a_batch_is_a_loop(xp, asarray, to_numpy):
    x = np.stack([skewed(seed=seed)[0] for seed in range(6)]).reshape(2, 3, 60, 1)
    weights = skewed(seed=9)[1]
    ours = kmeans_1d(asarray(xp, x), 5, weights=asarray(xp, weights))
    assert ours.history.shape == (2, 3, 0)
    for i, j in np.ndindex(2, 3):
        one = kmeans_1d(x[i, j], 5, weights=weights)
        np.testing.assert_array_equal(to_numpy(ours.labels)[i, j], one.labels)
        np.testing.assert_allclose(to_numpy(ours.centroids)[i, j], one.centroids, rtol=1e-4)
        np.testing.assert_allclose(to_numpy(ours.inertia)[i, j], one.inertia, rtol=1e-4)


@pytest.mark.uncompiled
def test_fewer_values_than_clusters(xp, asarray, to_numpy):
    x = np.asarray([[2.0], [1.0], [2.0], [1.0], [7.0]])
    ours = kmeans_1d(asarray(xp, x), 5)
    assert set(to_numpy(ours.centroids)[:, 0].tolist()) == {1.0, 2.0, 7.0}
    assert float(ours.inertia) == 0
    assert len(set(to_numpy(ours.labels).tolist())) == 3


@pytest.mark.uncompiled
def test_as_many_clusters_as_rows(xp, asarray, to_numpy):
    x = np.asarray([[3.0], [1.0], [2.0]])
    np.testing.assert_array_equal(to_numpy(kmeans_1d(asarray(xp, x), 3).labels), [2, 0, 1])
    np.testing.assert_array_equal(to_numpy(kmeans_1d(asarray(xp, x), 1).centroids), [[2.0]])


@pytest.mark.backend("jax")
def test_bad_values_under_jit_are_a_status(xp, asarray):
    import jax

    x, weights = skewed()
    fit = jax.jit(lambda x, w: kmeans_1d(x, 3, weights=w).status)
    assert fit(asarray(xp, x), asarray(xp, weights)) == CONVERGED
    assert fit(asarray(xp, x * np.nan), asarray(xp, weights)) == NONFINITE
    assert fit(asarray(xp, x), asarray(xp, -weights)) == NONFINITE


@pytest.mark.eager
def test_more_columns_are_an_error(xp, asarray):
    with pytest.raises(ValueError, match=r"x must have one column, got shape \(4, 2\)"):
        kmeans_1d(asarray(xp, np.zeros((4, 2))), 2)
