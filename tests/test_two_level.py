"""Two levels of k-means: all clusters are there, close to k-means, in less time for many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kmeans_fx import kmeans, two_level_kmeans
from kmeans_fx.algorithms.two_level import _shares


def rows(n=600, d=3):
    return np.random.default_rng(1982).normal(size=(n, d))


@pytest.mark.uncompiled
def test_labels_and_inertia_are_those_of_the_centroids(xp, asarray, to_numpy):
    x = rows(200)
    weights = np.random.default_rng(0).integers(0, 3, 200) * 1.0
    ours = two_level_kmeans(asarray(xp, x), 9, key=0, weights=asarray(xp, weights))
    table = cdist(x, to_numpy(ours.centroids), "sqeuclidean")
    assert table.shape == (200, 9)
    np.testing.assert_array_equal(to_numpy(ours.labels), table.argmin(axis=1))
    np.testing.assert_allclose(float(ours.inertia), weights @ table.min(axis=1), rtol=1e-5)
    assert len(set(to_numpy(ours.labels)[weights > 0])) == 9


@pytest.mark.backend("numpy", "torch")
def test_the_same_clusters_on_every_library(xp, asarray, to_numpy):
    x = rows()
    ours, numpy = (two_level_kmeans(a, 40, key=5) for a in (asarray(xp, x, "float64"), x))
    np.testing.assert_array_equal(to_numpy(ours.labels), numpy.labels)


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "manhattan"])
def test_is_near_to_kmeans(metric):
    x = rows(3000)
    two = np.mean([two_level_kmeans(x, 64, key=i, metric=metric).inertia for i in range(3)])
    refined = two_level_kmeans(x, 64, key=0, metric=metric, refine=50)
    one = np.mean([kmeans(x, 64, key=i, metric=metric).inertia for i in range(3)])
    assert two < 1.2 * one
    assert refined.inertia < 1.06 * one


def test_one_coarse_cluster_is_kmeans_and_as_many_as_k_are_its_clusters():
    x = rows()
    one = two_level_kmeans(x, 8, key=0, n_coarse=1, refine=100, tol=0)
    assert one.inertia < 1.1 * kmeans(x, 8, key=0).inertia
    each = two_level_kmeans(x, 8, key=0, n_coarse=8)
    assert each.centroids.shape == (8, 3)


def test_weight_m_is_m_copies():
    x, times = rows(300), np.random.default_rng(3).integers(1, 4, 300)
    weighted = [two_level_kmeans(x, 25, key=i, weights=times * 1.0).inertia for i in range(8)]
    copies = [two_level_kmeans(np.repeat(x, times, 0), 25, key=i).inertia for i in range(8)]
    np.testing.assert_allclose(np.mean(weighted), np.mean(copies), rtol=0.05)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.data())
def test_shares_are_proportional_and_within_the_sizes(sizes, data):
    k = data.draw(st.integers(sum(size > 0 for size in sizes), sum(sizes)))
    if k == 0:
        return
    masses = [size * data.draw(st.floats(0.5, 2)) for size in sizes]
    shares = _shares(sizes, masses, k)
    assert sum(shares) == k
    assert all(min(1, size) <= share <= size for share, size in zip(shares, sizes, strict=True))
    ideal = [k * mass / sum(masses) for mass in masses]
    inside = [j for j, size in enumerate(sizes) if 1 < shares[j] < size]
    # None could be nearer to its ideal at the expense of another.
    assert all(shares[i] - ideal[i] < shares[j] - ideal[j] + 1 for i in inside for j in inside)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_coarse": 9}, ValueError, "n_coarse must be at most k = 8, got 9"),
        ({"n_coarse": 0}, ValueError, "n_coarse must be at least 1"),
        ({"refine": 0}, ValueError, "refine must be at least 1"),
        ({"weights": np.eye(600)[0]}, ValueError, "k must be at most the number of rows of pos"),
        ({"metric": "far"}, ValueError, "metric must be one of"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        two_level_kmeans(rows(), 8, key=0, **options)


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"x must have shape \(n, d\)"):
        two_level_kmeans(np.zeros((2, 9, 3)), 3, key=0)


@pytest.mark.backend("jax")
def test_a_traced_call_is_refused(xp):
    import jax

    with pytest.raises(ValueError, match="needs an eager call"):
        jax.jit(lambda x: two_level_kmeans(x, 3, key=0))(xp.asarray(rows(20)))
