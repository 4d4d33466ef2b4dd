"""Distances against SciPy, their centres against brute force."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kmeans_fx import Metric, pairwise_distances
from kmeans_fx.distances import METRICS, as_metric, weighted_median

lazy_xp_function(weighted_median)

SCIPY = {"manhattan": "cityblock"}


def rows(*batch, n=7, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((*batch, n, d))


@pytest.mark.parametrize("metric", METRICS)
def test_equals_scipy(xp, asarray, to_numpy, dtype, tol, metric):
    x, y = rows(n=9), rows(n=5, seed=1)
    ours = pairwise_distances(asarray(xp, x, dtype), asarray(xp, y, dtype), metric=metric)
    assert ours.dtype == dtype
    expected = cdist(x, y, SCIPY.get(metric, metric))
    np.testing.assert_allclose(to_numpy(ours), expected, rtol=tol(dtype), atol=tol(dtype))


@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_broadcasts(xp, asarray, to_numpy, metric):
    x, y = rows(2, 1), rows(3, n=5, seed=1)
    ours = to_numpy(pairwise_distances(asarray(xp, x), asarray(xp, y), metric=metric))
    assert ours.shape == (2, 3, 7, 5)
    for i, j in np.ndindex(2, 3):
        expected = cdist(x[i, 0], y[j], SCIPY.get(metric, metric))
        np.testing.assert_allclose(ours[i, j], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_is_at_distance_zero_of_itself(xp, asarray, to_numpy, metric):
    x = asarray(xp, rows() + 1e3, "float32")
    ours = to_numpy(pairwise_distances(x, x, metric=metric))
    np.testing.assert_array_equal(np.diagonal(ours), 0)
    assert np.all(ours >= 0)


def test_nothing_is_cancelled_far_from_the_origin(xp, asarray, to_numpy):
    x, y = np.asarray([[4096.0, 4097.0]]), np.asarray([[4096.5, 4097.0]])
    for metric, expected in (("sqeuclidean", 0.25), ("euclidean", 0.5), ("manhattan", 0.5)):
        ours = pairwise_distances(
            asarray(xp, x, "float32"), asarray(xp, y, "float32"), metric=metric
        )
        assert to_numpy(ours).item() == expected


def test_a_row_of_zeros_has_cosine_distance_one(xp, asarray, to_numpy):
    x = asarray(xp, np.asarray([[0.0, 0.0], [1.0, 2.0]]))
    ours = pairwise_distances(x, x, metric="cosine")
    np.testing.assert_allclose(to_numpy(ours), [[1, 1], [1, 0]], atol=1e-7)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_cosine_at_the_ends_of_the_range(xp, asarray, to_numpy, size):
    x = asarray(xp, np.asarray([[1.0, 0.0], [1.0, 1.0]]) * size, "float32")
    ours = pairwise_distances(x, asarray(xp, np.asarray([[0.0, 1.0]]), "float32"), metric="cosine")
    np.testing.assert_allclose(to_numpy(ours)[:, 0], [1, 1 - np.sqrt(0.5)], rtol=1e-6)


@pytest.mark.backend("numpy", "jax", "torch")
def test_half_precision_gives_single(xp, asarray, to_numpy):
    ours = pairwise_distances(asarray(xp, rows(), "float16"), asarray(xp, rows(), "float16"))
    assert to_numpy(ours).dtype == np.float32


def test_a_metric_of_ones_own(xp, asarray, to_numpy):
    chebyshev = Metric(lambda x, y: xp.max(xp.abs(x - y), axis=-1))
    ours = pairwise_distances(asarray(xp, rows()), asarray(xp, rows(seed=1)), metric=chebyshev)
    np.testing.assert_allclose(to_numpy(ours), cdist(rows(), rows(seed=1), "chebyshev"), rtol=1e-5)


def test_names_and_metrics():
    mine = Metric(lambda x, y: x)
    assert as_metric(mine) is mine
    assert as_metric("cosine") is METRICS["cosine"]
    with pytest.raises(ValueError, match=r"metric must be one of .* got 'cityblock'"):
        as_metric("cityblock")
    with pytest.raises(TypeError, match="metric must be a name or a Metric, got function"):
        as_metric(lambda x, y: x)


# ---- the median


def medians_by_sorting(x, labels, k, counts):
    expected = np.zeros((k, x.shape[1]))
    for cluster in range(k):
        members = np.repeat(x[labels == cluster], counts[labels == cluster], axis=0)
        if len(members):
            expected[cluster] = np.median(members, axis=0)
    return expected


@pytest.mark.parametrize("weighted", [False, True])
def test_median_of_every_cluster(xp, asarray, to_numpy, weighted):
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 9, (40, 3)) * 1.0, rng.choice([0, 1, 3], 40)  # 2 is empty
    counts = rng.integers(0, 4, 40) if weighted else np.ones(40, dtype=int)
    share = asarray(xp, counts * 1.0) if weighted else None
    ours = weighted_median(asarray(xp, x), asarray(xp, labels), 4, share)
    np.testing.assert_allclose(to_numpy(ours), medians_by_sorting(x, labels, 4, counts), rtol=1e-6)


def test_median_of_a_batch(xp, asarray, to_numpy):
    x, labels = rows(3, n=12), np.random.default_rng(0).integers(2, size=(3, 12))
    ours = to_numpy(weighted_median(asarray(xp, x), asarray(xp, labels), 2))
    for i in range(3):
        expected = medians_by_sorting(x[i], labels[i], 2, np.ones(12, dtype=int))
        np.testing.assert_allclose(ours[i], expected, rtol=1e-5)


@given(
    st.lists(
        st.tuples(st.integers(-3, 3), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12
    )
)
def test_weight_m_is_m_copies_in_the_median(table):
    x, labels, counts = (np.asarray(column) for column in zip(*table, strict=True))
    x = x[:, None] * 1.0
    ours = weighted_median(x, labels, 3, counts * 1.0)
    np.testing.assert_array_equal(ours, medians_by_sorting(x, labels, 3, counts))


@given(st.integers(0, 999), st.sampled_from([0.1, 1 / 3, 7.3]))
def test_a_common_factor_does_not_move_the_median(seed, factor):
    rng = np.random.default_rng(seed)
    x, labels = rng.standard_normal((15, 1)), rng.integers(2, size=15)
    weights = rng.integers(1, 4, 15) * 1.0
    ours = weighted_median(x, labels, 2, weights * factor)
    np.testing.assert_allclose(ours, weighted_median(x, labels, 2, weights))


@given(st.integers(0, 999))
def test_no_point_has_a_smaller_manhattan_distance_than_the_median(seed):
    rng = np.random.default_rng(seed)
    x, weights = rng.standard_normal((9, 1)), rng.random(9)
    (centre,) = weighted_median(x, np.zeros(9, dtype=int), 1, weights)[:, 0]

    def cost(point):
        return float(np.sum(weights * np.abs(x[:, 0] - point)))

    assert cost(centre) <= min(map(cost, x[:, 0])) + 1e-12


def test_the_median_of_a_light_cluster_next_to_a_heavy_one(xp, asarray, to_numpy):
    x = np.concatenate([np.linspace(0, 1, 101), [50, 51, 52]])[:, None]
    labels, weights = np.repeat([0, 1], [101, 3]), np.repeat([1e6, 0.1], [101, 3])
    arrays = (asarray(xp, x, "float32"), asarray(xp, labels), 2, asarray(xp, weights, "float32"))
    np.testing.assert_allclose(to_numpy(weighted_median(*arrays)), [[0.5], [51]], rtol=1e-6)
