"""Bounds skip work and nothing else: the same partition as the plain pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import assign, kmeans, lloyd
from kmeans_fx._partition import centred_space, partition
from kmeans_fx.algorithms.bounded import BoundedPartition
from kmeans_fx.distances import METRICS


@st.composite
def hard_problems(draw):
    """Ties, duplicates, clusters that empty, offsets, few columns and many."""
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    n, d, k = draw(st.integers(4, 60)), draw(st.integers(1, 5)), draw(st.integers(2, 6))
    x = rng.normal(size=(n, d))
    if draw(st.booleans()):
        x = np.round(x)
    x = x + draw(st.sampled_from([0.0, 100.0]))
    centroids = x[rng.integers(0, n, size=min(k, n))]
    if draw(st.booleans()):
        centroids = centroids + draw(st.sampled_from([0.5, 50.0]))
    weights = rng.integers(0, 3, size=n).astype(float) if draw(st.booleans()) else None
    if weights is not None and weights.sum() == 0:
        weights = None
    return x, centroids, weights


@given(problem=hard_problems(), empty=st.sampled_from(["farthest", "split", "merge", "keep"]))
def test_the_inertia_of_plain_lloyd_on_hard_data(problem, empty):
    x, centroids, weights = problem
    options = {"weights": weights, "empty": empty, "tol": 0.0, "max_iter": 1}
    # In blocks, as those of the bounds: another order of sums may break a tie in another way.
    plain = lloyd(x, centroids, algorithm="lloyd", chunk_size=len(x), **options)
    bounded = lloyd(x, centroids, algorithm="bounded", **options)
    np.testing.assert_allclose(bounded.inertia, plain.inertia, rtol=1e-9, atol=1e-9)
    own = assign(x, bounded.centroids).distances
    assert np.isclose(bounded.inertia, np.sum(own if weights is None else own * weights))


@given(problem=hard_problems())
def test_every_pass_finds_the_nearest_centroid_wherever_they_move(problem):
    x, centroids, weights = problem
    space = centred_space(x, weights, METRICS["sqeuclidean"], 7)
    bounded = BoundedPartition(always=True)
    rng = np.random.default_rng(0)
    for step in (0.0, 1.0, 0.1, 0.0, 1e-3, 5.0):
        centroids = centroids + step * rng.normal(size=centroids.shape)
        c = space.relative(centroids)
        part = bounded(x, c, weights, space)
        exact = partition(x, c, weights, space)
        distances = ((x[:, None, :] - centroids) ** 2).sum(-1)
        chosen = distances[np.arange(len(x)), part.labels]
        np.testing.assert_allclose(chosen, distances.min(1), rtol=1e-6, atol=1e-9)
        if (part.labels == exact.labels).all():
            np.testing.assert_allclose(part.stats.sums, exact.stats.sums, atol=1e-9)
            np.testing.assert_array_equal(part.stats.counts, exact.stats.counts)


def test_sums_of_a_long_fit_stay_exact(blobs):
    x, _ = blobs
    start = x[:5] * 0.01
    plain = lloyd(x, start, algorithm="lloyd", tol=0.0)
    bounded = lloyd(x, start, algorithm="bounded", tol=0.0)
    np.testing.assert_array_equal(bounded.labels, plain.labels)
    np.testing.assert_allclose(bounded.centroids, plain.centroids, rtol=1e-12)
    assert int(bounded.n_iter) == int(plain.n_iter)


def test_auto_takes_bounds_on_a_large_problem_and_gives_the_same_clusters():
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=10, size=(12, 4))
    x = (centres[rng.integers(0, 12, 30000)] + rng.normal(size=(30000, 4))).astype("f4")
    results = [kmeans(x, 12, key=0, tol=0.0, algorithm=a) for a in ("auto", "lloyd", "bounded")]
    for result in results[1:]:
        np.testing.assert_array_equal(result.labels, results[0].labels)
        np.testing.assert_allclose(result.inertia, results[0].inertia, rtol=1e-5)


def test_bounds_give_way_where_nothing_is_pruned():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 30))
    space = centred_space(x, None, METRICS["sqeuclidean"], None)
    bounded = BoundedPartition(always=False)
    for _ in range(12):
        bounded(x, space.relative(rng.normal(size=(20, 30))), None, space)
    assert bounded.pause > 3


def test_bounded_everywhere_else_is_the_plain_search(xp, asarray, to_numpy, blobs):
    x = asarray(xp, blobs[0][:40], dtype=xp.float32)
    plain = lloyd(x, x[:3, :], algorithm="lloyd")
    bounded = lloyd(x, x[:3, :], algorithm="bounded")
    np.testing.assert_array_equal(to_numpy(bounded.labels), to_numpy(plain.labels))
    np.testing.assert_allclose(to_numpy(bounded.inertia), to_numpy(plain.inertia), rtol=1e-5)


def test_an_unknown_algorithm_is_named():
    with pytest.raises(ValueError, match="algorithm must be one of"):
        lloyd(np.eye(3), np.eye(3)[:2], algorithm="elkan")
