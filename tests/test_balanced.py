"""k-means with bounds on sizes: the exact assignment, the bounds, the descent, the real library."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from k_means_constrained import KMeansConstrained
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kmeans_fx import CONVERGED, NONFINITE, Metric, balanced_kmeans, lloyd
from kmeans_fx.algorithms._transportation import assign_within
from tests.parameters import uncompiled


def uneven(n=60, seed=0):
    """Rows of three groups of very different sizes."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(3, size=n, p=[0.7, 0.2, 0.1])
    return np.asarray([[0.0, 0.0], [6, 0], [0, 6]])[groups] + rng.standard_normal((n, 2))


def least_cost(costs, low, high):
    """By an assignment to slots, of which some must be filled; dummies fill the others."""
    k, n = costs.shape
    slots = [(j, i < low) for j in range(k) for i in range(high)]
    table = np.zeros((len(slots), len(slots)))
    for column, (j, must) in enumerate(slots):
        table[:n, column] = costs[j]
        table[n:, column] = 1e6 * must
    return table[linear_sum_assignment(table)].sum()


def sizes_of(labels, k):
    return np.bincount(labels, minlength=k)


@given(st.integers(0, 9999), st.booleans())
def test_the_assignment_is_the_best_from_any_prices(seed, ties):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 25))
    k = int(rng.integers(1, min(n, 5) + 1))
    low, high = int(rng.integers(0, n // k + 1)), int(rng.integers(-(-n // k), n + 1))
    costs = rng.integers(0, 4, (k, n)) * 1.0 if ties else rng.exponential(size=(k, n))
    bounds = np.asarray([low]), np.asarray([high])
    with np.errstate(all="ignore"):
        labels, prices = assign_within(costs, None, *bounds, rng.normal(size=k))
    sizes = sizes_of(labels, k)
    assert np.all((low <= sizes) & (sizes <= high))
    cost = costs[labels, np.arange(n)].sum()
    np.testing.assert_allclose(cost, least_cost(costs, low, high), rtol=1e-9, atol=1e-9)
    # The prices prove it: they give a bound from below that the cost meets.
    paid = np.where(prices > 0, high, low) @ prices
    np.testing.assert_allclose((costs + prices[:, None]).min(0).sum() - paid, cost, atol=1e-9)


def test_it_is_the_best_of_all_that_there_are():
    rng = np.random.default_rng(0)
    costs = rng.random((3, 7))
    every = np.asarray(list(product(range(3), repeat=7)))
    sizes = np.stack([np.sum(every == j, axis=1) for j in range(3)])
    fits = np.all((sizes >= 2) & (sizes <= 3), axis=0)
    best = costs[every[fits], np.arange(7)].sum(axis=1).min()
    labels, _ = assign_within(costs, None, np.asarray([2]), np.asarray([3]), np.zeros(3))
    np.testing.assert_allclose(costs[labels, np.arange(7)].sum(), best)


@pytest.mark.parametrize("bounds", [(12, 30), *uncompiled((20, 20))])
def test_fits_on_every_backend(xp, asarray, to_numpy, bounds):
    x, (low, high) = uneven(), bounds
    ours = balanced_kmeans(
        asarray(xp, x),
        3,
        key=0,
        init=asarray(xp, x[:3]),
        min_size=low,
        max_size=high,
        tol=0,
        history=True,
        max_iter=30,
    )
    labels, centroids = to_numpy(ours.labels), to_numpy(ours.centroids)
    sizes = sizes_of(labels, 3)
    assert np.all((low <= sizes) & (sizes <= high))
    costs = cdist(centroids, x, "sqeuclidean")
    np.testing.assert_allclose(float(ours.inertia), least_cost(costs, low, high), rtol=1e-4)
    np.testing.assert_allclose(float(ours.inertia), costs[labels, np.arange(60)].sum(), rtol=1e-4)
    means = np.stack([x[labels == j].mean(axis=0) for j in range(3)])
    np.testing.assert_allclose(centroids, means, atol=1e-4)
    assert int(ours.status) == CONVERGED
    trace = to_numpy(ours.history)[: int(ours.n_iter)]
    assert np.all(np.diff(trace) <= 1e-5 * trace[0])


@pytest.mark.parametrize("seed", range(3))
def test_equals_k_means_constrained(seed):
    """Which assigns by the distance, rounded to a thousandth, where we take its square.

    At the end it goes back to the iteration of the least sum of squares: so it is stopped.
    """
    x = 1000 * uneven(seed=seed)
    for (low, high), max_iter in product([(20, 20), (10, 25), (15, 60)], [1, 3]):
        options = {"init": x[:3], "max_iter": max_iter, "tol": 0}
        theirs = KMeansConstrained(3, size_min=low, size_max=high, n_init=1, **options).fit(x)
        sizes = {"min_size": low, "max_size": high}
        ours = balanced_kmeans(x, 3, key=0, metric="euclidean", **sizes, **options)
        np.testing.assert_array_equal(ours.labels, theirs.labels_)
        np.testing.assert_allclose(ours.centroids, theirs.cluster_centers_)
        # The sum of squares that it reports is not the least; from its centroids ours is no larger.
        on = {**options, "init": theirs.cluster_centers_}
        assert balanced_kmeans(x, 3, key=0, **sizes, **on).inertia <= theirs.inertia_ * (1 + 1e-9)


@given(st.integers(0, 9999), st.booleans())
def test_sizes_keep_the_bounds_and_the_inertia_never_rises(seed, weighted):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, size=(40, 2)) * 1.0 if seed % 2 else rng.standard_t(2, size=(40, 2))
    k = int(rng.integers(1, 7))
    weights = rng.integers(0, 3, size=40) * 0.5 if weighted else None
    n = 40 if weights is None else np.count_nonzero(weights)
    low, high = int(rng.integers(0, n // k + 1)), int(rng.integers(-(-40 // k), 41))
    options = {"min_size": low, "max_size": high, "weights": weights, "tol": 0, "max_iter": 60}
    ours = balanced_kmeans(x, k, key=seed, history=True, **options)
    present = np.ones(40, dtype=bool) if weights is None else weights > 0
    sizes = sizes_of(ours.labels[present], k)
    assert np.all((low <= sizes) & (sizes <= high))
    assert int(ours.status) == CONVERGED
    trace = np.append(ours.history[: int(ours.n_iter)], ours.inertia)
    assert np.all(np.diff(trace) <= 1e-9 * trace[0])


@pytest.mark.uncompiled
def test_without_bounds_it_is_lloyd(xp, asarray, to_numpy):
    x = uneven()
    ours = balanced_kmeans(asarray(xp, x), 3, key=0, init=asarray(xp, x[:3]))
    theirs = lloyd(x, x[:3])
    np.testing.assert_array_equal(to_numpy(ours.labels), theirs.labels)
    np.testing.assert_allclose(to_numpy(ours.centroids), theirs.centroids, atol=1e-4)
    np.testing.assert_allclose(float(ours.inertia), theirs.inertia, rtol=1e-4)
    assert int(ours.n_iter) == theirs.n_iter


@pytest.mark.uncompiled
def test_weights_count_in_the_costs_and_not_in_the_sizes(xp, asarray, to_numpy):
    x, rng = uneven(), np.random.default_rng(1)
    weights = rng.integers(0, 3, 60) * 0.7
    count = np.count_nonzero(weights)
    options = {"min_size": count // 3, "max_size": 20, "tol": 0}
    start = {"key": 0, "init": asarray(xp, x[:3])}
    ours = balanced_kmeans(asarray(xp, x), 3, weights=asarray(xp, weights), **start, **options)
    some = weights > 0
    labels = to_numpy(ours.labels)[some]
    assert sizes_of(labels, 3).min() == count // 3
    costs = weights[some] * cdist(to_numpy(ours.centroids), x[some], "sqeuclidean")
    best = least_cost(costs, count // 3, 20)
    np.testing.assert_allclose(float(ours.inertia), best, rtol=1e-4)
    # A row of weight 0 is an absent one.
    fewer = balanced_kmeans(x[some], 3, key=0, init=x[:3], weights=weights[some], **options)
    np.testing.assert_allclose(float(ours.inertia), fewer.inertia, rtol=1e-4)


@pytest.mark.backend("array-api-strict", "numpy", "torch")  # JAX compiles for each
@pytest.mark.parametrize("metric", ["manhattan", "cosine", "own"])
def test_other_metrics(xp, asarray, to_numpy, metric):
    x = uneven() + 9.0
    own = Metric(lambda a, b: xp.sum((a - b) ** 2, axis=-1))
    metric, name = (own, "sqeuclidean") if metric == "own" else (metric, metric)
    ours = balanced_kmeans(
        asarray(xp, x), 3, key=0, metric=metric, min_size=20, max_size=20, max_iter=5
    )
    costs = cdist(to_numpy(ours.centroids), x, {"manhattan": "cityblock"}.get(name, name))
    np.testing.assert_allclose(float(ours.inertia), least_cost(costs, 20, 20), rtol=1e-4)


def test_a_batch_and_restarts_are_loops(xp, asarray, to_numpy):
    x = np.stack([uneven(seed=seed) for seed in range(2)])
    options = {"min_size": 18, "max_size": 22, "key": 3, "n_init": 2}
    both = balanced_kmeans(asarray(xp, x), 3, **options)
    for i in range(2):
        one = balanced_kmeans(x[i], 3, **options)
        np.testing.assert_array_equal(to_numpy(both.labels)[i], one.labels)
        np.testing.assert_allclose(to_numpy(both.inertia)[i], one.inertia, rtol=1e-4)


def test_many_rows_and_clusters_are_exact(blobs):
    x, _ = blobs
    ours = balanced_kmeans(x, 12, key=0, min_size=50, max_size=50, max_iter=10)
    assert np.all(sizes_of(ours.labels, 12) == 50)
    costs = cdist(ours.centroids, x, "sqeuclidean")
    np.testing.assert_allclose(ours.inertia, least_cost(costs, 50, 50), rtol=1e-9)


def test_equal_rows():
    x = np.repeat([[0.0], [5.0]], [50, 10], axis=0)
    ours = balanced_kmeans(x, 3, key=0, min_size=20, max_size=20)
    assert np.all(sizes_of(ours.labels, 3) == 20)
    np.testing.assert_allclose(ours.inertia, 10 * 2.5**2 * 2)


@pytest.mark.backend("jax")
def test_bad_values_under_jit_are_a_status(xp, asarray):
    import jax

    x, weights = uneven(), np.ones(60)

    def fit(x, w):
        return balanced_kmeans(x, 3, key=0, weights=w, init=x[:3], min_size=20).status

    fit = jax.jit(fit)
    assert fit(asarray(xp, x), asarray(xp, weights)) == CONVERGED
    assert fit(asarray(xp, np.where(x == x[7], np.nan, x)), asarray(xp, weights)) == NONFINITE
    few = np.where(np.arange(60) < 50, weights, 0.0)
    assert fit(asarray(xp, x), asarray(xp, few)) == NONFINITE


@pytest.mark.eager
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_size": 21}, ValueError, "min_size must be at most n / k = 60 / 3, got 21"),
        ({"max_size": 19}, ValueError, "max_size must be at least n / k = 60 / 3, got 19"),
        ({"min_size": 5, "max_size": 4}, ValueError, "min_size must be at most max_size, got 5 an"),
        ({"min_size": -1}, ValueError, "min_size must be at least 0, got -1"),
        ({"max_size": 2.5}, TypeError, "max_size must be an integer, got float"),
        ({"empty": "merge"}, ValueError, "empty must be one of .*, got 'merge'"),
    ],
)
def test_bad_bounds_are_named(xp, asarray, options, error, message):
    with pytest.raises(error, match=message):
        balanced_kmeans(asarray(xp, uneven()), 3, key=0, **options)


@pytest.mark.eager
def test_too_few_rows_of_positive_weight(xp, asarray):
    weights = asarray(xp, 1.0 * (np.arange(60) < 50))
    with pytest.raises(ValueError, match="rows of positive weight / k = 50 / 3, got 20"):
        balanced_kmeans(asarray(xp, uneven()), 3, key=0, weights=weights, min_size=20)
