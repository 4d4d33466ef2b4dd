"""The monoid of cluster statistics, and the centroids that it gives."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st

import kmeans_fx
from kmeans_fx import ClusterStats, merge_stats
from tests import reference


def cluster_stats(*arrays, **options):
    """A function of this file, so that being jitted stays in this file."""
    return kmeans_fx.cluster_stats(*arrays, **options)


def update_centroids(*arrays, **options):
    """As above."""
    return kmeans_fx.update_centroids(*arrays, **options)


lazy_xp_function(cluster_stats)
lazy_xp_function(update_centroids)

K = 4


def problem(n=30, seed=0):
    """Rows, labels that leave cluster 3 empty, distances and weights from 0 to 3."""
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((n, 3)),
        rng.integers(0, K - 1, n),
        rng.random(n),
        rng.integers(0, 4, n) * 1.0,
    )


def same(ours, theirs, rtol=1e-9):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_loops(xp, asarray, to_numpy, dtype, tol, weighted):
    x, labels, distances, weights = problem()
    share = asarray(xp, weights, dtype) if weighted else None
    stats = cluster_stats(
        asarray(xp, x, dtype),
        asarray(xp, labels),
        K,
        weights=share,
        distances=asarray(xp, distances, dtype),
    )
    weights = weights if weighted else np.ones(30)
    old = np.full((K, 3), 7.0)
    new = update_centroids(stats, asarray(xp, old, dtype))
    assert new.dtype == stats.sums.dtype == dtype
    np.testing.assert_allclose(
        to_numpy(new),
        reference.means(x, labels.tolist(), weights, old.tolist()),
        atol=10 * tol(dtype),
    )
    np.testing.assert_array_equal(to_numpy(stats.counts), np.bincount(labels, weights, K))
    np.testing.assert_allclose(float(stats.inertia), weights @ distances, rtol=10 * tol(dtype))


@pytest.mark.parametrize("batched", ["x", "labels", "weights", "all"])
@pytest.mark.parametrize("lead", [(3,), (2, 3)])
def test_a_batch_is_its_members_whatever_they_share(xp, asarray, to_numpy, lead, batched):
    x, labels, _, weights = problem()
    arrays = {"x": x, "labels": labels, "weights": weights}
    for name, array in arrays.items():
        if batched in (name, "all"):
            shift = np.arange(6)[: np.prod(lead)].reshape(*lead, *(1,) * array.ndim)
            arrays[name] = (array + shift) % K if name == "labels" else array + shift
    given = {name: asarray(xp, array) for name, array in arrays.items()}
    batch = cluster_stats(given["x"], given["labels"], K, weights=given["weights"])
    assert batch.counts.shape == (*lead, K)
    for member in np.ndindex(lead):
        one = {n: a[member] if batched in (n, "all") else a for n, a in arrays.items()}
        share = one["weights"][:, None] * one["x"]
        want = np.stack([share[one["labels"] == j].sum(0) for j in range(K)])
        np.testing.assert_allclose(to_numpy(batch.sums)[member], want, rtol=1e-5, atol=1e-4)
        counts = np.bincount(one["labels"], one["weights"], K)
        np.testing.assert_allclose(to_numpy(batch.counts)[member], counts)


def test_without_distances_the_inertia_is_zero(xp, asarray):
    x, labels, _, _ = problem()
    assert float(cluster_stats(asarray(xp, x), asarray(xp, labels), K).inertia) == 0


def test_an_empty_cluster_keeps_its_centroid(xp, asarray, to_numpy):
    x, labels, _, _ = problem()
    old = np.arange(12.0).reshape(K, 3)
    stats = cluster_stats(asarray(xp, x), asarray(xp, labels), K)
    np.testing.assert_array_equal(to_numpy(update_centroids(stats, asarray(xp, old)))[3], old[3])


def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy):
    members = [problem(seed=seed) for seed in range(3)]
    x, labels, distances, weights = (asarray(xp, np.stack(a)) for a in zip(*members, strict=True))
    stats = cluster_stats(x, labels, K, weights=weights, distances=distances)
    new = to_numpy(update_centroids(stats, asarray(xp, np.zeros((K, 3)))))
    assert new.shape == (3, K, 3)
    for i, (rows, own, far, share) in enumerate(members):
        one = cluster_stats(rows, own, K, weights=share, distances=far)
        same([to_numpy(a)[i] for a in stats], one, rtol=1e-5)
        np.testing.assert_allclose(new[i], update_centroids(one, np.zeros((K, 3))), atol=1e-5)


@pytest.mark.backend("numpy", "jax", "torch")
def test_half_precision_sums_in_single(xp, asarray, to_numpy):
    """4000 rows near 100 add up to more than float16 holds."""
    x = asarray(xp, np.full((4000, 1), 100.0), "float16")
    stats = cluster_stats(x, asarray(xp, np.zeros(4000, dtype=int)), 1)
    assert float(stats.sums[0, 0]) == 400_000
    new = update_centroids(stats, asarray(xp, np.zeros((1, 1)), "float16"))
    assert new.dtype == x.dtype
    assert float(new[0, 0]) == 100


def test_cosine_centres_have_length_one(xp, asarray, to_numpy):
    x, labels, _, _ = problem()
    stats = cluster_stats(asarray(xp, x), asarray(xp, labels), K)
    new = to_numpy(update_centroids(stats, asarray(xp, np.ones((K, 3))), metric="cosine"))
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1, rtol=1e-6)
    mean = x[labels == 0].mean(axis=0)
    np.testing.assert_allclose(new[0], mean / np.linalg.norm(mean), rtol=1e-4)


def test_a_median_does_not_follow_from_sums():
    stats = ClusterStats(np.ones((1, 1)), np.ones(1), np.asarray(0.0))
    with pytest.raises(ValueError, match="metric must have a centre that follows from the mean"):
        update_centroids(stats, np.ones((1, 1)), metric="manhattan")


# ---- the monoid


def stats_of(seed):
    x, labels, distances, weights = problem(seed=seed)
    return cluster_stats(x, labels, K, weights=weights, distances=distances)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_merging_is_associative_and_commutative(a, b, c):
    a, b, c = stats_of(a), stats_of(b), stats_of(c)
    same(merge_stats(a, b), merge_stats(b, a), rtol=0)
    same(merge_stats(merge_stats(a, b), c), merge_stats(a, merge_stats(b, c)))
    zero = ClusterStats(*(np.zeros_like(field) for field in a))
    same(merge_stats(a, zero), a, rtol=0)


@given(st.integers(1, 29), st.integers(0, 99))
def test_parts_merge_to_the_whole(cut, seed):
    x, labels, distances, weights = problem(seed=seed)
    parts = [
        cluster_stats(x[p], labels[p], K, weights=weights[p] + 1, distances=distances[p])
        for p in (slice(cut), slice(cut, None))
    ]
    whole = cluster_stats(x, labels, K, weights=weights + 1, distances=distances)
    same(merge_stats(*parts), whole)


@given(st.integers(0, 99))
def test_weight_m_is_m_copies_and_zero_is_absent(seed):
    x, labels, distances, weights = problem(seed=seed)
    times = weights.astype(int)
    copies = (np.repeat(a, times, axis=0) for a in (x, labels, distances))
    rows, own, far = copies
    repeated = cluster_stats(rows, own, K, distances=far)
    same(stats_of(seed), repeated)


@given(st.integers(0, 99), st.sampled_from([0.1, 1 / 3, 1e6]))
def test_a_common_factor_moves_no_centroid(seed, factor):
    x, labels, distances, weights = problem(seed=seed)
    scaled = cluster_stats(x, labels, K, weights=weights * factor, distances=distances)
    plain, old = stats_of(seed), np.zeros((K, 3))
    np.testing.assert_allclose(update_centroids(scaled, old), update_centroids(plain, old))
    np.testing.assert_allclose(scaled.inertia, factor * plain.inertia)
