"""Balanced assignment: its marginals, its form, and the optimum it goes to when cold."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import kmeans_fx as kf
from kmeans_fx import CONVERGED, MAX_ITER, NONFINITE, sinkhorn_assign
from tests.parameters import uncompiled


def problem(n=40, k=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 2)), rng.standard_normal((k, 2))


@pytest.mark.parametrize("temperature", [0.2, *uncompiled(5.0)])
def test_columns_get_their_sizes(xp, asarray, to_numpy, dtype, temperature):
    x, c = (asarray(xp, a, dtype) for a in problem())
    weights, sizes = np.arange(40) % 3 * 1.0, np.asarray([1.0, 2.0, 3.0, 2.0])
    ours = sinkhorn_assign(
        x,
        c,
        temperature=temperature,
        weights=asarray(xp, weights, dtype),
        sizes=asarray(xp, sizes, dtype),
    )
    plan = to_numpy(ours.responsibilities)
    assert ours.responsibilities.dtype == ours.potentials.dtype == dtype
    assert int(ours.status) == CONVERGED
    np.testing.assert_allclose(plan.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights @ plan, sizes / 8 * weights.sum(), atol=1e-3)
    np.testing.assert_allclose(to_numpy(ours.potentials).sum(), 0, atol=1e-4)
    # The plan is the softmax of the distances, shifted a column.
    soft = kf.soft_assign(x, c, temperature=temperature)
    shifted = to_numpy(soft) * np.exp(to_numpy(ours.potentials))
    np.testing.assert_allclose(plan, shifted / shifted.sum(axis=1, keepdims=True), atol=1e-4)


@pytest.mark.uncompiled
def test_cold_is_the_best_balanced_assignment(xp, asarray, to_numpy):
    """By scipy, with five places for every centroid."""
    x, c = problem(20)
    cost = ((x[:, None] - c) ** 2).sum(axis=-1)
    _, places = linear_sum_assignment(np.repeat(cost, 5, axis=1))
    ours = sinkhorn_assign(
        asarray(xp, x), asarray(xp, c), temperature=0.03, max_iter=2000, tol=1e-2
    )
    labels = to_numpy(ours.responsibilities).argmax(axis=1)
    np.testing.assert_array_equal(labels, places // 5)


def test_nothing_underflows(xp, asarray, to_numpy):
    """exp(-distance / temperature) of the far centroid is 0 in every precision."""
    x, c = problem()
    c[0] = 200.0
    ours = sinkhorn_assign(asarray(xp, x), asarray(xp, c), temperature=50.0, tol=1e-3)
    assert int(ours.status) == CONVERGED
    np.testing.assert_allclose(to_numpy(ours.responsibilities).sum(axis=0), 10, atol=0.05)


def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy):
    (x, c), (y, _) = problem(), problem()
    both = np.stack([x, y[::-1] * 2])
    batch = sinkhorn_assign(asarray(xp, both), asarray(xp, c), temperature=2.0)
    for i in range(2):
        one = sinkhorn_assign(asarray(xp, both[i]), asarray(xp, c), temperature=2.0)
        for ours, theirs in zip(batch, one, strict=True):
            np.testing.assert_allclose(to_numpy(ours)[i], to_numpy(theirs), atol=1e-4)


def test_says_that_it_was_stopped(xp, asarray):
    x, c = (asarray(xp, a) for a in problem())
    assert int(sinkhorn_assign(x, c, temperature=0.1, max_iter=2).status) == MAX_ITER


@pytest.mark.backend("jax")
def test_a_traced_call_reports_bad_values(xp):
    import jax

    x, c = (xp.asarray(a) for a in problem())
    status = jax.jit(lambda x: sinkhorn_assign(x, c).status)
    assert int(status(x.at[0, 0].set(xp.nan))) == NONFINITE


BAD = [
    ({"sizes": np.ones(3)}, ValueError, r"sizes must have shape \(..., 4\), got \(3,\)"),
    ({"sizes": np.asarray([1.0, 0.0, 1.0, 1.0])}, ValueError, "sizes must be positive"),
    ({"weights": -np.ones(40)}, ValueError, "weights must not be negative"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_input(xp, asarray, options, error, message):
    x, c = (asarray(xp, a) for a in problem())
    with pytest.raises(error, match=message):
        sinkhorn_assign(x, c, **{name: asarray(xp, a) for name, a in options.items()})
