"""Clusters without rows: what each policy does, and the laws that all keep (jitted on JAX)."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from scipy.spatial.distance import cdist

import kmeans_fx
from kmeans_fx import CONVERGED
from kmeans_fx._empty import POLICIES


def lloyd(*arrays, **options):
    """A function of this file, so that being jitted stays in this file."""
    return kmeans_fx.lloyd(*arrays, **options)


lazy_xp_function(lloyd)

FAR = 1000.0


def problem(seed=0):
    """30 rows in three groups, five starts of which the last two get no rows."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((30, 2)) + np.repeat([[0.0, 0.0], [30.0, 0.0], [0.0, 40.0]], 10, axis=0)
    starts = np.concatenate([x[[0, 10, 20]], [[FAR, FAR], [FAR, -FAR]]])
    return x, starts


def run(xp, asarray, x, starts, weights=None, **options):
    weights = None if weights is None else asarray(xp, weights)
    return lloyd(asarray(xp, x), asarray(xp, starts), weights=weights, key=0, **options)


def column(xp, asarray, to_numpy, values, starts, **options):
    """A run on numbers: the sorted centroids."""
    x, starts = np.asarray(values)[:, None], np.asarray(starts)[:, None]
    return to_numpy(run(xp, asarray, x, starts, **options).centroids)[:, 0]


# ---- what each does


def test_farthest_takes_the_farthest_row_and_then_the_farthest_from_that(xp, asarray, to_numpy):
    values, starts = [0.0, 9.9, 10.0, -6.0], [0.0, FAR, 2 * FAR]
    moved = column(xp, asarray, to_numpy, values, starts, empty="farthest", max_iter=1)
    # Not 9.9, the second farthest from 0: its neighbour was just taken.
    np.testing.assert_allclose(moved, [3.475, 10, -6], rtol=1e-5)


def test_random_takes_rows(xp, asarray, to_numpy):
    x, starts = problem()
    weights = np.tile([1.0, 0.0], 15)
    for share in (None, weights):
        result = run(xp, asarray, x, starts, share, empty="random", max_iter=1)
        allowed = x if share is None else x[weights > 0]
        moved = to_numpy(result.centroids)[3:]
        np.testing.assert_allclose(cdist(moved, allowed).min(axis=1), 0, atol=1e-5)


def test_split_halves_the_largest(xp, asarray, to_numpy):
    values, starts = [0.0, 1.0, 2.0, 3.0, 50.0, 60.0], [1.5, 55.0, FAR]
    moved = column(xp, asarray, to_numpy, values, starts, empty="split", max_iter=1)
    step = np.std(values) / 1024
    np.testing.assert_allclose(moved, [1.5, 55, 1.5 + step], rtol=1e-5)
    final = column(xp, asarray, to_numpy, values, starts, empty="split", tol=0)
    np.testing.assert_allclose(final, [0.5, 55, 2.5], rtol=1e-5)


def test_split_goes_on_with_the_halves(xp, asarray, to_numpy):
    values, starts = np.arange(12.0), [5.0, 20.0, 30.0, 40.0]
    final = column(xp, asarray, to_numpy, values, starts, empty="split", tol=0)
    np.testing.assert_allclose(np.sort(final), [1, 4, 7, 10], rtol=1e-5)


def test_merge_leaves_a_copy_of_the_nearest_without_rows(xp, asarray, to_numpy):
    values, starts = [0.0, 2.0, 50.0, 60.0], [1.0, 55.0, FAR, -FAR]
    final = column(xp, asarray, to_numpy, values, starts, empty="merge")
    np.testing.assert_allclose(final, [1, 55, 55, 1], rtol=1e-6)
    x, starts = np.asarray(values)[:, None], np.asarray(starts)[:, None]
    labels = to_numpy(run(xp, asarray, x, starts, empty="merge").labels)
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])


def test_a_merged_cluster_never_comes_back(xp, asarray, to_numpy):
    """The start at 14 loses its row to 10 at once; later it would be the nearest of 12."""
    values = [0.0, 10.0, 10.9, 12.0, 13.0]
    starts = [0.0, 11.0, 24.0]
    result = [
        column(xp, asarray, to_numpy, values, starts, empty=empty, tol=0)
        for empty in ("merge", "farthest")
    ]
    assert len(np.unique(np.round(result[0], 3))) == 2
    assert len(np.unique(np.round(result[1], 3))) == 3


def test_keep_leaves_it_where_it_is(xp, asarray, to_numpy):
    x, starts = problem()
    for max_iter in (1, 300):
        result = run(xp, asarray, x, starts, empty="keep", max_iter=max_iter)
        np.testing.assert_allclose(to_numpy(result.centroids)[3:], starts[3:], rtol=1e-6)
        assert to_numpy(result.labels).max() == 2


# ---- what all keep


@pytest.mark.parametrize(
    ("empty", "max_iter", "metric"),
    [
        *((empty, max_iter, "sqeuclidean") for empty in POLICIES for max_iter in (1, 300)),
        ("farthest", 1, "manhattan"),
        ("merge", 300, "manhattan"),
    ],
)
def test_labels_and_inertia_are_those_of_the_centroids(
    xp, asarray, to_numpy, empty, max_iter, metric
):
    x, starts = problem()
    weights = np.random.default_rng(1).integers(0, 3, 30) * 1.0
    result = run(xp, asarray, x, starts, weights, empty=empty, max_iter=max_iter, metric=metric)
    centroids, labels = to_numpy(result.centroids), to_numpy(result.labels)
    table = cdist(x, centroids, {"manhattan": "cityblock"}.get(metric, metric))
    own = table[np.arange(30), labels]
    np.testing.assert_allclose(own, table.min(axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(float(result.inertia), weights @ own, rtol=1e-4)
    if empty in ("merge", "keep"):
        assert set(labels) == {0, 1, 2}


@pytest.mark.parametrize("empty", ["farthest", "random", "split"])
def test_no_cluster_is_left_empty(xp, asarray, to_numpy, empty):
    x, starts = problem()
    result = run(xp, asarray, x, starts, empty=empty)
    assert int(result.status) == CONVERGED
    assert set(to_numpy(result.labels)) == {0, 1, 2, 3, 4}


@pytest.mark.uncompiled
@pytest.mark.parametrize("empty", ["farthest", "split", "merge", "keep"])
def test_weights_are_copies(xp, asarray, to_numpy, empty):
    x, starts = problem()
    times = np.random.default_rng(2).integers(0, 4, 30)
    x = x + 200.0 * (times == 0)[:, None]  # absent rows lie far out
    weighted = run(xp, asarray, x, starts, times * 1.0, empty=empty, tol=0)
    scaled = run(xp, asarray, x, starts, times / 3, empty=empty, tol=0)
    repeated = run(xp, asarray, np.repeat(x, times, axis=0), starts, empty=empty, tol=0)
    for result, factor in ((weighted, 1), (scaled, 3)):
        np.testing.assert_allclose(
            to_numpy(result.centroids), to_numpy(repeated.centroids), atol=1e-3
        )
        np.testing.assert_allclose(
            factor * float(result.inertia), float(repeated.inertia), rtol=1e-4
        )
    labels = np.repeat(to_numpy(weighted.labels), times)
    np.testing.assert_array_equal(labels, to_numpy(repeated.labels))


def test_a_cluster_of_absent_rows_is_empty(xp, asarray, to_numpy):
    values, starts = [0.0, 2.0, 50.0, 52.0, 100.0], [1.0, 50.0, 100.0]
    weights = np.asarray([1.0, 1.0, 1.0, 1.0, 0.0])
    final = column(xp, asarray, to_numpy, values, starts, weights=weights, empty="merge")
    np.testing.assert_allclose(final, [1, 51, 51], rtol=1e-6)


@pytest.mark.parametrize("empty", POLICIES)
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, empty):
    x, starts = problem()
    full = x[[0, 5, 10, 15, 20]]  # of these none gets empty
    both = run(xp, asarray, x, np.stack([starts, full]), empty=empty)
    for i, start in enumerate((starts, full)):
        one = run(xp, asarray, x, start, empty=empty)
        np.testing.assert_allclose(to_numpy(both.centroids)[i], to_numpy(one.centroids), atol=1e-4)
        np.testing.assert_array_equal(to_numpy(both.labels)[i], to_numpy(one.labels))
        np.testing.assert_allclose(to_numpy(both.inertia)[i], float(one.inertia), rtol=1e-4)


@pytest.mark.parametrize("empty", POLICIES)
def test_fewer_distinct_rows_than_clusters(xp, asarray, to_numpy, empty):
    """Ends, with every value at its centroid."""
    x = np.repeat(np.asarray([[0.0, 0.0], [30.0, 0.0], [0.0, 40.0]]), 10, axis=0)
    result = run(xp, asarray, x, np.concatenate([x[[0, 10, 20]], x[[0, 10]]]), empty=empty)
    own = to_numpy(result.centroids)[to_numpy(result.labels)]
    np.testing.assert_allclose(own, x, atol=1e-4)
    np.testing.assert_allclose(float(result.inertia), np.sum((x - own) ** 2), atol=1e-4)


@pytest.mark.parametrize("empty", ["farthest", "merge", "keep"])
def test_inertia_never_rises(xp, asarray, to_numpy, empty):
    x, starts = problem()
    result = run(xp, asarray, x, starts, empty=empty, tol=0, history=True, max_iter=30)
    trace = np.append(to_numpy(result.history)[: int(result.n_iter)], float(result.inertia))
    assert np.all(np.diff(trace) <= 1e-4 * trace[:-1])
