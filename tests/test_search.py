"""search="breathing" of kmeans: finds the optimum, is never worse, and is a fit like any other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_fx import CONVERGED, NONFINITE, assign, kmeans, lloyd
from kmeans_fx._partition import Space
from kmeans_fx.algorithms._breathing import _utilities, _without
from kmeans_fx.distances import METRICS, as_metric
from tests.parameters import uncompiled

K = 9
GRID = 8.0 * np.stack(np.meshgrid(range(3), range(3)), axis=-1).reshape(-1, 2)


def grid(n=180, seed=0):
    """Rows around a grid of nine points, as many around each."""
    return GRID[np.arange(n) % K] + np.random.default_rng(seed).normal(size=(n, 2))


def breathing(x, k, **options):
    return kmeans(x, k, search="breathing", **options)


@pytest.mark.uncompiled
def test_finds_the_optimum_that_restarts_miss(xp, asarray, to_numpy):
    x = asarray(xp, grid())
    best = float(lloyd(x, asarray(xp, GRID)).inertia)
    # From random rows, two of which nearly always start in one group.
    plain, ours = (
        [float(fit(x, K, key=key, init="random").inertia) for key in range(4)]
        for fit in (kmeans, breathing)
    )
    np.testing.assert_allclose(ours, best, rtol=1e-5)
    assert np.median(plain) > 1.2 * best


def test_everything_is_that_of_the_centroids(xp, asarray, to_numpy, iris):
    x = asarray(xp, iris[0])
    ours = breathing(x, 12, key=1)
    again = breathing(x, 12, key=1)
    for first, second in zip(ours, again, strict=True):
        np.testing.assert_array_equal(to_numpy(first), to_numpy(second))
    assert ours.centroids.shape == (12, 4)
    assert int(ours.status) == CONVERGED
    # All iterations count, of the fits that were forgotten as well.
    assert int(ours.n_iter) > int(kmeans(x, 12, key=1).n_iter) + 10
    found = assign(x, ours.centroids)
    np.testing.assert_array_equal(to_numpy(ours.labels), to_numpy(found.labels))
    np.testing.assert_allclose(float(ours.inertia), to_numpy(found.distances).sum(), rtol=1e-5)


@pytest.mark.backend("numpy")
@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 10),
    metric=st.sampled_from(sorted(METRICS)),
    empty=st.sampled_from(["farthest", "random", "split", "merge", "keep"]),
    weighted=st.booleans(),
)
def test_is_never_worse(seed, k, metric, empty, weighted):
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 6, size=(40, 2)).astype(np.float64)
    weights = rng.integers(0, 3, size=40) + 0.0 if weighted else None
    options = {"key": seed, "metric": metric, "empty": empty, "weights": weights}
    ours, plain = breathing(x, k, **options), kmeans(x, k, **options)
    assert float(ours.inertia) <= float(plain.inertia)
    assert np.isfinite(ours.centroids).all()


# All metrics take part in the test above.
@pytest.mark.parametrize("metric", ["sqeuclidean", *uncompiled("manhattan")])
def test_backends_agree(xp, asarray, to_numpy, iris, metric):
    x = iris[0].astype(np.float32)
    ours, numpys = (breathing(a, 6, key=3, metric=metric) for a in (asarray(xp, x), x))
    # Near ties part the ways of backends; the optimum is much the same.
    np.testing.assert_allclose(float(ours.inertia), float(numpys.inertia), rtol=5e-3)
    assert float(ours.inertia) <= float(kmeans(asarray(xp, x), 6, key=3, metric=metric).inertia)


@pytest.mark.uncompiled
def test_weights_are_copies(xp, asarray, to_numpy):
    rng = np.random.default_rng(2)
    x, weights = grid(90), rng.integers(0, 4, size=90)
    ours = breathing(asarray(xp, x), K, key=0, weights=asarray(xp, weights.astype(np.float64)))
    copies = breathing(asarray(xp, np.repeat(x, weights, axis=0)), K, key=0)
    np.testing.assert_allclose(float(ours.inertia), float(copies.inertia), rtol=1e-4)


@pytest.mark.uncompiled
def test_a_batch_and_restarts(xp, asarray, to_numpy):
    x = np.stack([grid(90, seed) for seed in range(2)])
    batch = breathing(asarray(xp, x), K, key=0, n_init=2)
    assert batch.labels.shape == (2, 90)
    for member in range(2):
        alone = breathing(asarray(xp, x[member]), K, key=0, n_init=2)
        np.testing.assert_allclose(to_numpy(batch.inertia)[member], float(alone.inertia), rtol=1e-4)


@pytest.mark.uncompiled
def test_utility_is_the_rise_of_the_inertia(xp, asarray, to_numpy):
    rng = np.random.default_rng(3)
    x, c, w = rng.normal(size=(50, 3)), rng.normal(size=(6, 3)), rng.random(50)
    for metric in ("sqeuclidean", "manhattan"):
        distance = METRICS[metric].distance
        table = distance(x[:, None, :], c[None, :, :])
        without = [(w * np.delete(table, j, axis=1).min(axis=1)).sum() for j in range(6)]
        rise = np.array(without) - (w * table.min(axis=1)).sum()
        zero = asarray(xp, np.zeros(3))
        space = Space(as_metric(metric), zero, 16)
        ours = _utilities(asarray(xp, x), asarray(xp, c), asarray(xp, w), space)
        np.testing.assert_allclose(to_numpy(ours), rise, rtol=1e-4, atol=1e-5)


@pytest.mark.uncompiled
def test_neighbours_of_a_removed_centroid_stay(xp, asarray, to_numpy):
    # Two near pairs and two far away: one of each pair goes, though its like is as useless.
    centroids = np.array([[0, 0], [0.1, 0], [9, 0], [9.1, 0], [20, 0], [12, 9]]) + 0.0
    utilities = np.array([1.0, 1.1, 1.2, 1.3, 40.0, 50.0])
    kept = _without(asarray(xp, centroids), asarray(xp, utilities), 2)
    np.testing.assert_allclose(to_numpy(kept), centroids[[1, 3, 4, 5]], rtol=1e-6)
    # When all that are left are frozen, the least useful of them go.
    kept = _without(asarray(xp, centroids[:4]), asarray(xp, utilities[:4]), 3)
    np.testing.assert_allclose(to_numpy(kept), centroids[[3]], rtol=1e-6)


@pytest.mark.backend("jax", "torch")
def test_gradients_are_those_of_the_fit(xp, asarray, to_numpy):
    x = grid(60).astype(np.float32)
    plain = lloyd(x, breathing(x, 4, key=0).centroids, tol=0)
    expected = 2 * (x - plain.centroids[plain.labels])

    def inertia(x):
        return breathing(x, 4, key=0, tol=0).inertia

    if "jax" in xp.__name__:
        import jax

        slope = jax.jit(jax.grad(inertia))(asarray(xp, x))
    else:
        rows = asarray(xp, x).requires_grad_()
        inertia(rows).backward()
        slope = rows.grad
    np.testing.assert_allclose(to_numpy(slope), expected, atol=1e-3)


@pytest.mark.backend("jax")
def test_bad_values_under_jit_are_a_status(xp, asarray):
    import jax

    x = grid(60)
    fit = jax.jit(lambda x: breathing(x, 4, key=0, init=x[:4]).status)
    assert fit(asarray(xp, x)) == CONVERGED
    assert fit(asarray(xp, np.where(x == x[7], np.nan, x))) == NONFINITE


@pytest.mark.eager
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "swap"}, "search must be one of 'breathing', got 'swap'"),
        ({"search": "breathing", "history": True}, "search .* history"),
        ({"search": "breathing", "callback": print}, "search .* callback"),
        ({"search": "breathing", "metric": METRICS["manhattan"]}, "search .* metric by name"),
    ],
)
def test_what_does_not_go_together_is_named(xp, asarray, options, message):
    with pytest.raises(ValueError, match=message):
        kmeans(asarray(xp, grid()), K, key=0, **options)
