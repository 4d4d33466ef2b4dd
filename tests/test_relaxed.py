"""Straight-through and Gumbel assignment: hard values, samples of the right distribution."""

import numpy as np
import pytest
from array_api_compat import is_torch_namespace

import kmeans_fx as kf
from kmeans_fx import gumbel_assign, straight_through_assign


def problem(n=40):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 2)), rng.standard_normal((4, 2))


@pytest.mark.uncompiled
@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan"])
def test_straight_through_is_one_hot(xp, asarray, to_numpy, dtype, metric):
    x, c = (asarray(xp, a, dtype) for a in problem())
    ours = straight_through_assign(x, c, temperature=3.0, metric=metric)
    labels = to_numpy(kf.assign(x, c, metric=metric).labels)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(to_numpy(ours), np.eye(4)[labels])


@pytest.mark.uncompiled
@pytest.mark.backend("jax", "torch")
@pytest.mark.x64
def test_straight_through_has_the_soft_gradient(xp):
    grad = __import__("torch").func.grad if is_torch_namespace(xp) else __import__("jax").grad
    arrays = [xp.asarray(a) for a in (*problem(), np.asarray(2.0))]
    factors = xp.asarray(np.random.default_rng(1).normal(size=(40, 4)))

    def of(function):
        return grad(
            lambda x, c, t: xp.sum(function(x, c, temperature=t) * factors), argnums=(0, 1, 2)
        )(*arrays)

    for ours, theirs in zip(of(straight_through_assign), of(kf.soft_assign), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-12)
        assert np.abs(np.asarray(ours)).max() > 0


def test_gumbel_samples_the_responsibilities(xp, asarray, to_numpy):
    """Of 4000 equal rows; the places of the largest entries do not depend on relaxation."""
    x, c = problem(1)
    many = asarray(xp, np.repeat(x, 4000, axis=0))
    options = {"key": 7, "temperature": 2.0}
    soft = gumbel_assign(many, asarray(xp, c), relaxation=0.5, **options)
    hard = gumbel_assign(many, asarray(xp, c), relaxation=2.0, hard=True, **options)
    np.testing.assert_allclose(to_numpy(soft).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(hard), np.eye(4)[to_numpy(soft).argmax(axis=1)])
    shares = to_numpy(kf.soft_assign(asarray(xp, x), asarray(xp, c), temperature=2.0))[0]
    error = np.sqrt(shares * (1 - shares) / 4000)
    assert np.all(np.abs(to_numpy(hard).mean(axis=0) - shares) < 4 * error)


def test_gumbel_follows_its_key(xp, asarray, to_numpy):
    x, c = problem()
    one, again, other = (
        to_numpy(gumbel_assign(asarray(xp, x), asarray(xp, c), key=key)) for key in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    reference = gumbel_assign(x.astype(np.float32), c.astype(np.float32), key=0)
    np.testing.assert_allclose(one, reference, atol=1e-5)


def test_gumbel_takes_a_batch(xp, asarray, to_numpy):
    x, c = problem()
    rows = (np.stack([x, x]), x)
    found = (gumbel_assign(asarray(xp, a), asarray(xp, c), key=0) for a in rows)
    both, one = (to_numpy(a) for a in found)
    np.testing.assert_allclose(both, np.stack([one, one]), rtol=1e-6)


def test_gumbel_hardens(xp, asarray, to_numpy):
    x, c = (asarray(xp, a) for a in problem())
    cold = to_numpy(gumbel_assign(x, c, key=0, relaxation=1e-4))
    np.testing.assert_allclose(cold.max(axis=1), 1, atol=1e-3)


def test_bad_input(xp, asarray):
    x, c = (asarray(xp, a) for a in problem())
    with pytest.raises(ValueError, match="relaxation must be positive"):
        gumbel_assign(x, c, key=0, relaxation=0.0)
    with pytest.raises(ValueError, match="temperature must be positive"):
        straight_through_assign(x, c, temperature=-1.0)
    with pytest.raises(TypeError, match="key must be an int"):
        gumbel_assign(x, c, key=None)
