"""Assignment: the nearest centroid and the distance to it, and the soft form."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax

import kmeans_fx
from kmeans_fx import Metric
from tests import reference


def assign(*arrays, **options):
    """A function of this file, so that being jitted stays in this file."""
    return kmeans_fx.assign(*arrays, **options)


def soft_assign(*arrays, **options):
    """As above."""
    return kmeans_fx.soft_assign(*arrays, **options)


lazy_xp_function(assign)
lazy_xp_function(soft_assign)

SCIPY = {"manhattan": "cityblock"}
METRICS = ["sqeuclidean", "euclidean", "manhattan", "cosine"]


def problem(*batch, n=40, k=6, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*batch, n, d)), rng.standard_normal((*batch, k, d))


@pytest.mark.parametrize("metric", METRICS)
def test_equals_brute_force(xp, asarray, to_numpy, dtype, tol, metric):
    x, c = problem()
    labels, distances = assign(asarray(xp, x, dtype), asarray(xp, c, dtype), metric=metric)
    table = cdist(x, c, SCIPY.get(metric, metric))
    assert distances.dtype == dtype
    np.testing.assert_array_equal(to_numpy(labels), table.argmin(axis=1))
    np.testing.assert_allclose(to_numpy(distances), table.min(axis=1), rtol=tol(dtype) * 10)


def test_equals_loops(xp, asarray, to_numpy):
    x, c = problem()
    labels, distances = reference.nearest(x, c.tolist())
    ours = assign(asarray(xp, x), asarray(xp, c))
    np.testing.assert_array_equal(to_numpy(ours.labels), labels)
    np.testing.assert_allclose(to_numpy(ours.distances), distances, rtol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [3, 20])
def test_ties_go_to_the_first(xp, asarray, to_numpy, metric, k):
    x, c = problem(k=k)
    twice = asarray(xp, np.concatenate([c, c]))
    assert np.all(to_numpy(assign(asarray(xp, x), twice, metric=metric).labels) < k)


@pytest.mark.parametrize("metric", [*METRICS, Metric(lambda x, y: ((x - y) ** 2).sum(-1))])
@pytest.mark.backend("numpy", "jax", "torch")
def test_chunks_do_not_matter(xp, asarray, to_numpy, metric):
    x, c = (asarray(xp, a) for a in problem())
    whole = assign(x, c, metric=metric)
    for chunk_size in (1, 7, 40):
        parts = assign(x, c, metric=metric, chunk_size=chunk_size)
        np.testing.assert_array_equal(to_numpy(parts.labels), to_numpy(whole.labels))
        np.testing.assert_array_equal(to_numpy(parts.distances), to_numpy(whole.distances))


@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan"])
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, metric):
    x, c = problem(2, 3)
    both = assign(asarray(xp, x), asarray(xp, c), metric=metric)
    one_x = assign(asarray(xp, x[0, 0]), asarray(xp, c), metric=metric)
    for i in np.ndindex(2, 3):
        for ours, rows in ((both, x[i]), (one_x, x[0, 0])):
            table = cdist(rows, c[i], SCIPY.get(metric, metric))
            np.testing.assert_array_equal(to_numpy(ours.labels)[i], table.argmin(axis=1))
            np.testing.assert_allclose(to_numpy(ours.distances)[i], table.min(axis=1), rtol=1e-4)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e4])
def test_a_common_offset_costs_no_labels(xp, asarray, to_numpy, mean):
    """Uncentred float32 gets half of these wrong at 1e3 and nearly all at 1e4."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((300, 32)) + mean).astype(np.float32)
    labels, distances = assign(asarray(xp, x), asarray(xp, x[:20]))
    table = cdist(x.astype(np.float64), x[:20].astype(np.float64), "sqeuclidean")
    np.testing.assert_array_equal(to_numpy(labels), table.argmin(axis=1))
    np.testing.assert_allclose(to_numpy(distances), table.min(axis=1), rtol=1e-5)


@pytest.mark.backend("numpy", "jax", "torch")
def test_half_precision_does_not_overflow(xp, asarray, to_numpy):
    """Squared norms of 300 exceed the range of float16."""
    x, c = problem()
    x, c = (asarray(xp, 300 + 10 * a, "float16") for a in (x, c))
    labels, distances = assign(x, c)
    table = cdist(to_numpy(x).astype(float), to_numpy(c).astype(float), "sqeuclidean")
    assert to_numpy(distances).dtype == np.float32
    np.testing.assert_array_equal(to_numpy(labels), table.argmin(axis=1))
    np.testing.assert_allclose(to_numpy(distances), table.min(axis=1), rtol=1e-5)


@given(st.integers(0, 999), st.integers(1, 9), st.integers(1, 4))
def test_no_centroid_is_nearer(seed, k, d):
    x, c = problem(n=12, k=k, d=d, seed=seed)
    labels, distances = assign(x, c)
    table = cdist(x, c, "sqeuclidean")
    np.testing.assert_allclose(distances, table[np.arange(12), labels], atol=1e-12)
    assert np.all(distances <= table.min(axis=1) + 1e-12)


# ---- soft


@pytest.mark.parametrize("temperature", [0.1, 1, 30.0])
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
def test_soft_is_the_softmax(xp, asarray, to_numpy, dtype, tol, temperature, metric):
    x, c = problem()
    ours = soft_assign(
        asarray(xp, x, dtype), asarray(xp, c, dtype), temperature=temperature, metric=metric
    )
    expected = softmax(-cdist(x, c, metric) / temperature, axis=1)
    np.testing.assert_allclose(to_numpy(ours), expected, atol=10 * tol(dtype))
    np.testing.assert_allclose(to_numpy(ours).sum(axis=-1), 1, rtol=1e-5)


def test_soft_takes_a_temperature_for_every_member(xp, asarray, to_numpy):
    x, c = problem(2)
    both = soft_assign(
        asarray(xp, x), asarray(xp, c), temperature=asarray(xp, np.asarray([0.5, 2.0]))
    )
    for i, temperature in enumerate((0.5, 2.0)):
        one = soft_assign(asarray(xp, x[i]), asarray(xp, c[i]), temperature=temperature)
        np.testing.assert_allclose(to_numpy(both)[i], to_numpy(one), atol=1e-6)


def test_soft_hardens_as_it_cools(xp, asarray, to_numpy):
    x, c = (asarray(xp, a) for a in problem())
    soft, hard = soft_assign(x, c, temperature=1e-6), assign(x, c).labels
    np.testing.assert_allclose(to_numpy(soft), np.eye(6)[to_numpy(hard)], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 3])
def test_soft_takes_integers(xp, asarray, to_numpy, temperature):
    x, c = np.asarray([[0], [1], [4]]), np.asarray([[0], [2]])
    ours = soft_assign(asarray(xp, x), asarray(xp, c), temperature=temperature)
    expected = softmax(-cdist(x, c, "sqeuclidean") / temperature, axis=1)
    np.testing.assert_allclose(to_numpy(ours), expected, atol=1e-6)
