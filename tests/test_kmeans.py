"""The front door: initial centroids of every kind, restarts, and the same on all backends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import CONVERGED, kmeans, lloyd, random_points
from kmeans_fx._backend.random import as_key, split
from kmeans_fx.init import INITS

K = 8


def same(to_numpy, ours, theirs, rtol=1e-4):
    np.testing.assert_array_equal(to_numpy(ours.labels), to_numpy(theirs.labels))
    np.testing.assert_allclose(to_numpy(ours.centroids), to_numpy(theirs.centroids), atol=1e-3)
    np.testing.assert_allclose(to_numpy(ours.inertia), to_numpy(theirs.inertia), rtol=rtol)


@pytest.mark.parametrize("init", INITS)
def test_is_its_init_and_then_lloyd(xp, asarray, to_numpy, blobs, init):
    x = asarray(xp, blobs[0][:200])
    ours = kmeans(x, K, key=5, init=init)
    same(to_numpy, ours, lloyd(x, INITS[init](x, K, key=5), key=5))
    assert ours.centroids.shape == (K, 5)
    assert ours.history.shape == (0,)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_all_backends_agree(xp, asarray, to_numpy, blobs, init):
    x = blobs[0][:200].astype(np.float32)
    ours, numpys = (kmeans(a, K, key=5, init=init) for a in (asarray(xp, x), x))
    same(to_numpy, ours, type(ours)(*(np.asarray(field) for field in numpys)))
    assert int(ours.n_iter) == int(numpys.n_iter)


def test_finds_the_groups(xp, asarray, to_numpy, blobs):
    x, groups = blobs[0][:200], blobs[1][:200]
    ours = kmeans(asarray(xp, x), K, key=0)
    pairs = set(zip(groups.tolist(), to_numpy(ours.labels).tolist(), strict=True))
    assert len(pairs) == K
    assert int(ours.status) == CONVERGED


def test_an_array_of_centroids(xp, asarray, to_numpy, blobs):
    x = asarray(xp, blobs[0][:200])
    same(to_numpy, kmeans(x, K, key=0, init=x[:K, :]), lloyd(x, x[:K, :]))


def test_a_callable(xp, asarray, to_numpy, blobs):
    x = asarray(xp, blobs[0][:200])
    weights = asarray(xp, np.random.default_rng(0).random(200))
    seen = []

    def first(rows, k, *, key, weights):
        seen.append((key.shape, weights is None))
        return rows[:k, :]

    same(to_numpy, kmeans(x, K, key=0, init=first), lloyd(x, x[:K, :]))
    kmeans(x, K, key=0, init=first, weights=weights)
    assert seen == [((2,), True), ((2,), False)]
    # The package's own functions are callables like any other.
    ours = kmeans(x, K, key=5, init=random_points)
    same(to_numpy, ours, kmeans(x, K, key=5, init="random"))


def loop_of_restarts(xp, asarray, x, **options):
    keys = split(as_key(3, np, None), 4).astype(np.int64)
    return [kmeans(x, K, key=asarray(xp, key), **options) for key in keys]


def test_restarts_equal_a_loop(xp, asarray, to_numpy, blobs):
    x = asarray(xp, blobs[0][:200])
    weights = asarray(xp, np.random.default_rng(0).random(200))
    options = {"weights": weights, "init": "random"}
    results = loop_of_restarts(xp, asarray, x, **options)
    best = min(results, key=lambda result: float(result.inertia))
    worst = max(results, key=lambda result: float(result.inertia))
    ours = kmeans(x, K, key=3, n_init=4, **options)
    same(to_numpy, ours, best)
    assert ours.centroids.shape == (K, 5)
    assert int(ours.n_iter) == int(best.n_iter)
    assert float(worst.inertia) > 1.1 * float(best.inertia)


def test_restarts_of_a_callable_and_under_a_callback(xp, asarray, to_numpy, blobs):
    x = asarray(xp, blobs[0][:200])
    plain = kmeans(x, K, key=3, n_init=4, init="random")

    def rows(x, k, *, key, weights):
        return random_points(x, k, key=key, weights=weights)

    same(to_numpy, kmeans(x, K, key=3, n_init=4, init=rows), plain)
    seen = []
    watched = kmeans(
        x, K, key=3, n_init=4, init="random", callback=lambda s: seen.append(int(s.n_iter))
    )
    same(to_numpy, watched, plain)
    assert seen.count(1) == 4


def test_restarts_of_a_batch(xp, asarray, to_numpy, blobs):
    x = np.stack([blobs[0][:100], blobs[0][100:200]])
    both = kmeans(asarray(xp, x), K, key=3, n_init=3)
    assert both.inertia.shape == both.status.shape == (2,)
    for i in range(2):
        one = kmeans(asarray(xp, x[i]), K, key=3, n_init=3)
        same(to_numpy, type(both)(*(to_numpy(field)[i] for field in both)), one)


def test_a_large_problem_runs_its_restarts_in_turn(xp, asarray, to_numpy):
    """More numbers than a group of members may hold."""
    x = np.random.default_rng(0).standard_normal((36_000, 8)).astype(np.float32)
    x[:, 0] += 50 * (np.arange(36_000) % K)
    options = {"init": "random", "max_iter": 3}
    ours = kmeans(asarray(xp, x), K, key=3, n_init=2, **options)
    single = [
        kmeans(asarray(xp, x), K, key=asarray(xp, key), **options)
        for key in split(as_key(3, np, None), 2).astype(np.int64)
    ]
    best = min(single, key=lambda result: float(result.inertia))
    np.testing.assert_allclose(float(ours.inertia), float(best.inertia), rtol=1e-4)
    np.testing.assert_allclose(to_numpy(ours.centroids), to_numpy(best.centroids), atol=1e-2)


def test_half_precision_and_integers(xp, asarray, to_numpy):
    x = np.repeat([[0, 0], [50, 0], [0, 90]], 5, axis=0)
    for dtype in ("int32", "bool", "float16"):
        if dtype == "float16" and not hasattr(xp, dtype):
            continue
        result = kmeans(asarray(xp, x, dtype), 3, key=0)
        wide = dtype != "float16"
        expected = xp.asarray(0.5).dtype if wide else getattr(xp, dtype)
        assert result.centroids.dtype == expected
        np.testing.assert_allclose(float(result.inertia), 0, atol=1e-6)


def test_a_zero_weight_masks_the_rows_of_a_padded_batch(xp, asarray, to_numpy, blobs):
    x = blobs[0][:200].copy()
    mask = np.arange(200) < 150
    x[~mask] = 1e4
    ours = kmeans(asarray(xp, x), K, key=0, weights=asarray(xp, mask * 1.0), n_init=2)
    groups = blobs[1][:150].tolist()
    pairs = set(zip(groups, to_numpy(ours.labels)[:150].tolist(), strict=True))
    assert len(pairs) == K
    assert np.abs(to_numpy(ours.centroids)).max() < 100


def test_heavy_rows_are_found_by_the_init():
    """1 and 5 carry all but a millionth of the weight."""
    x, weights = np.asarray([[1.0], [3.0], [5.0], [100.0]]), np.asarray([1e9, 1.0, 1e9, 1.0])
    for key in range(5):
        found = kmeans(x, 2, key=key, weights=weights).centroids[:, 0]
        np.testing.assert_allclose(np.sort(found), [1, 5], atol=1e-3)


@pytest.mark.backend("array-api-strict", "numpy", "torch")  # arrays of JAX cannot change
@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan", "cosine"])
def test_the_callers_arrays_are_not_changed(xp, asarray, to_numpy, blobs, init, metric):
    if (init, metric) == ("random-partition", "manhattan"):
        metric = "euclidean"
    x = asarray(xp, blobs[0][:200])
    weights = asarray(xp, np.tile([0.0, 2.0], 100))
    before = to_numpy(x).copy(), to_numpy(weights).copy()
    kmeans(x, K, key=0, init=init, metric=metric, weights=weights, max_iter=2)
    np.testing.assert_array_equal(to_numpy(x), before[0])
    np.testing.assert_array_equal(to_numpy(weights), before[1])


@given(st.integers(0, 999), st.integers(1, 12), st.integers(1, 6))
def test_every_result_is_a_fixed_point(seed, n, k):
    """Rows at their nearest centroid, centroids at the means of their rows."""
    x, k = np.random.default_rng(seed).integers(-9, 9, (n, 2)) * 1.0, min(n, k)
    result = kmeans(x, k, key=seed, tol=0)
    assert result.status == CONVERGED
    for label in set(result.labels.tolist()):
        mean = x[result.labels == label].mean(axis=0)
        np.testing.assert_allclose(result.centroids[label], mean, atol=1e-9)
    again = lloyd(x, result.centroids, tol=0)
    np.testing.assert_allclose(again.inertia, result.inertia, atol=1e-9)
