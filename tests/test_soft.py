"""Soft k-means: its fixed point, its limits, annealing, weights and batches."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

import kmeans_fx as kf
from kmeans_fx import CONVERGED, MAX_ITER, NONFINITE, soft_kmeans


def rows(n=60, d=2, seed=0):
    """Three overlapping groups."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + np.repeat([[0.0], [4.0], [8.0]], n // 3, axis=0)


def in_order(centroids):
    return centroids[np.argsort(centroids[:, 0])]


def equations(x, centroids, temperature, weights):
    """The means by responsibilities, and the free energy, in plain NumPy."""
    far = ((x[:, None] - centroids) ** 2).sum(axis=-1)
    share = softmax(-far / temperature, axis=1) * weights[:, None]
    energy = -temperature * (weights * logsumexp(-far / temperature, axis=1)).sum()
    return share.T @ x / share.sum(axis=0)[:, None], energy


@pytest.mark.parametrize("weighted", [False, True])
def test_is_at_the_fixed_point(xp, asarray, to_numpy, dtype, tol, weighted):
    x = rows()
    weights = np.random.default_rng(1).uniform(0, 2, size=60) if weighted else np.ones(60)
    result = soft_kmeans(
        asarray(xp, x, dtype),
        3,
        key=0,
        temperature=2.0,
        weights=asarray(xp, weights, dtype) if weighted else None,
        tol=1e-12,
    )
    found = to_numpy(result.centroids).astype(float)
    means, energy = equations(x, found, 2.0, weights)
    assert result.centroids.dtype == result.free_energy.dtype == dtype
    assert int(result.status) == CONVERGED
    np.testing.assert_allclose(found, means, atol=20 * tol(dtype))
    np.testing.assert_allclose(float(result.free_energy), energy, rtol=tol(dtype))
    labels = ((x[:, None] - found) ** 2).sum(axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(to_numpy(result.labels), labels)


def test_cold_is_lloyd(xp, asarray, to_numpy):
    x = asarray(xp, rows())
    soft = soft_kmeans(x, 3, key=0, temperature=1e-3, init=x[::20, ...])
    hard = kf.lloyd(x, x[::20, ...], tol=0.0)
    np.testing.assert_allclose(to_numpy(soft.centroids), to_numpy(hard.centroids), atol=1e-4)
    np.testing.assert_allclose(float(soft.free_energy), float(hard.inertia), rtol=1e-4)


@pytest.mark.parametrize(("factor", "together"), [(1.2, True), (0.6, False)])
def test_critical_temperature(xp, asarray, to_numpy, factor, together):
    """Above twice the largest eigenvalue of the covariance all fall on the mean."""
    x = rows()
    critical = 2 * np.linalg.eigvalsh(np.cov(x.T, bias=True))[-1]
    options = {"temperature": factor * critical, "max_iter": 2000, "tol": 1e-10}
    found = to_numpy(soft_kmeans(asarray(xp, x), 2, key=0, **options).centroids)
    assert (np.ptp(found, axis=0).max() < 0.01) == together
    if together:
        np.testing.assert_allclose(found.mean(axis=0), x.mean(axis=0), atol=1e-3)


def test_annealing_splits_what_fell_together(xp, asarray, to_numpy):
    """From one point three times, which without annealing stays one point."""
    x = rows()
    start = asarray(xp, np.repeat(x.mean(axis=0, keepdims=True), 3, axis=0))
    stuck = soft_kmeans(asarray(xp, x), 3, key=0, temperature=0.5, init=start)
    assert np.ptp(to_numpy(stuck.centroids), axis=0).max() < 1e-3
    schedule = tuple(2.0**power for power in range(6, 0, -1))
    free = soft_kmeans(asarray(xp, x), 3, key=0, temperature=0.5, init=start, schedule=schedule)
    found = in_order(to_numpy(free.centroids))
    np.testing.assert_allclose(found, x.reshape(3, 20, 2).mean(axis=1), atol=0.3)
    assert int(free.n_iter) > int(stuck.n_iter)
    assert float(free.free_energy) < float(stuck.free_energy)


def test_weights_count_rows(xp, asarray, to_numpy):
    x, start = rows(), rows()[::20]
    counts = np.random.default_rng(2).integers(0, 3, size=60)
    options = {"key": 0, "temperature": 2.0, "init": asarray(xp, start)}
    weighted = soft_kmeans(asarray(xp, x), 3, weights=asarray(xp, counts * 1.0), **options)
    copies = soft_kmeans(asarray(xp, np.repeat(x, counts, axis=0)), 3, **options)
    for field in ("centroids", "free_energy"):
        ours, theirs = (to_numpy(getattr(r, field)) for r in (weighted, copies))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gradient", ["implicit", "unrolled"])
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, gradient):
    x = np.stack([rows(seed=1), rows(seed=2)])
    options = {"key": 0, "gradient": gradient, "max_iter": 5, "schedule": (2.0,)}
    temperatures = np.asarray([1.0, 3.0])
    batch = soft_kmeans(asarray(xp, x), 3, temperature=asarray(xp, temperatures), **options)
    for i, temperature in enumerate(temperatures.tolist()):
        one = soft_kmeans(asarray(xp, x[i]), 3, temperature=temperature, **options)
        for ours, theirs in zip(batch, one, strict=True):
            np.testing.assert_allclose(to_numpy(ours)[i], to_numpy(theirs), rtol=1e-4)


@pytest.mark.parametrize("gradient", ["implicit", "unrolled"])
def test_blocks_do_not_matter(xp, asarray, to_numpy, gradient):
    options = {"key": 0, "temperature": 2.0, "max_iter": 4, "gradient": gradient}
    whole = soft_kmeans(asarray(xp, rows()), 3, **options)
    parts = soft_kmeans(asarray(xp, rows()), 3, chunk_size=17, **options)
    for ours, theirs in zip(parts, whole, strict=True):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-4)


def test_unrolled_takes_exactly_its_steps(xp, asarray, to_numpy):
    x = asarray(xp, rows())
    options = {"key": 0, "temperature": 2.0, "max_iter": 3, "tol": 0.0}
    ours = soft_kmeans(x, 3, gradient="unrolled", **options)
    theirs = soft_kmeans(x, 3, gradient="implicit", **options)
    assert int(ours.n_iter) == int(theirs.n_iter) == 3
    assert int(ours.status) == int(theirs.status) == MAX_ITER
    np.testing.assert_allclose(to_numpy(ours.centroids), to_numpy(theirs.centroids), rtol=1e-4)


def test_offset_costs_nothing(xp, asarray, to_numpy):
    x = rows().astype(np.float32)
    options = {"key": 0, "temperature": 2.0}
    near = soft_kmeans(asarray(xp, x), 3, init=asarray(xp, x[::20]), **options)
    far = soft_kmeans(asarray(xp, x + 1000), 3, init=asarray(xp, x[::20] + 1000), **options)
    np.testing.assert_allclose(to_numpy(far.centroids) - 1000, to_numpy(near.centroids), atol=2e-3)


@pytest.mark.backend("numpy", "jax", "torch")
def test_half_precision(xp, asarray, to_numpy):
    result = soft_kmeans(asarray(xp, rows(), "float16"), 3, key=0, temperature=2.0)
    wide = soft_kmeans(asarray(xp, rows()), 3, key=0, temperature=2.0)
    assert result.centroids.dtype == xp.float16
    assert result.free_energy.dtype == xp.float32
    ours, theirs = (in_order(to_numpy(r.centroids)) for r in (result, wide))
    np.testing.assert_allclose(ours.astype(float), theirs, atol=0.02)


BAD = [
    ({"temperature": 0.0}, ValueError, "temperature must be positive"),
    ({"temperature": float("nan")}, ValueError, "temperature must be positive"),
    ({"temperature": "hot"}, TypeError, "temperature must be an array, got str"),
    ({"schedule": (2.0, -1.0)}, ValueError, "schedule must hold positive numbers"),
    ({"gradient": "magic"}, ValueError, "gradient must be one of 'implicit', 'unrolled'"),
    ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
    ({"init": "center"}, ValueError, "init must be one of"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_input(xp, asarray, options, error, message):
    with pytest.raises(error, match=message):
        soft_kmeans(asarray(xp, rows()), 3, key=0, **options)


def test_a_temperature_array_that_is_not_positive(xp, asarray):
    with pytest.raises(ValueError, match="temperature must be positive"):
        soft_kmeans(asarray(xp, rows()), 3, key=0, temperature=asarray(xp, -1.0))


@pytest.mark.backend("jax")
def test_a_traced_call_reports_bad_values(xp):
    import jax

    fit = jax.jit(lambda x, t: soft_kmeans(x, 3, key=0, temperature=t).status)
    x = xp.asarray(rows(), dtype=xp.float32)
    assert int(fit(x, 2.0)) == CONVERGED
    assert int(fit(x, -2.0)) == NONFINITE
    assert int(fit(x.at[0, 0].set(xp.nan), 2.0)) == NONFINITE
