"""Derivatives of soft fits: two ways that agree, with each other and with finite differences."""

import numpy as np
import pytest
from array_api_compat import is_torch_namespace

import kmeans_fx as kf
from tests.cases import problems

pytestmark = [pytest.mark.backend("jax", "torch"), pytest.mark.x64, pytest.mark.eager]

X = problems()[0]
WEIGHTS = np.random.default_rng(1936).uniform(0.5, 2.0, size=24)
STARTS = X[::8] + 0.5
FACTORS = np.asarray([[1.0, -2.0], [3.0, 0.5], [-0.7, 1.3]])


def _soft(x, weights, temperature, **options):
    return kf.soft_kmeans(x, 3, key=0, weights=weights, temperature=temperature, **options)


def _fuzzy(x, weights, fuzzifier, **options):
    return kf.fuzzy_cmeans(x, 3, key=0, weights=weights, fuzzifier=fuzzifier, **options)


# A temperature just below the one where two clusters fall together, and one well below.
FITS = {"soft": (_soft, 10.0), "soft, near-critical": (_soft, 36.0), "fuzzy": (_fuzzy, 2.0)}


@pytest.fixture
def grad(xp):
    """``grad(f, *arrays)``: the gradients in all arrays, as NumPy's."""

    def of(function, *arrays):
        arrays = [xp.asarray(a) for a in arrays]
        each = tuple(range(len(arrays)))
        if is_torch_namespace(xp):
            from torch.func import grad
        else:
            from jax import grad
        return [np.asarray(g) for g in grad(function, each)(*arrays)]

    return of


def scalar(result, factors):
    """Objective and centroids, with factors that no symmetry hides."""
    return result[2] + (result.centroids * factors).sum()


def slope(function, arrays, place, direction, step=1e-5):
    """Finite difference of a function of NumPy arrays, in one of them."""
    moved = [
        [a + sign * step * direction if i == place else a for i, a in enumerate(arrays)]
        for sign in (1, -1)
    ]
    return (function(*moved[0]) - function(*moved[1])) / (2 * step)


@pytest.mark.parametrize("gradient", ["implicit", "unrolled"])
@pytest.mark.parametrize("fit", FITS)
def test_in_x_weights_and_parameter(xp, grad, fit, gradient):
    run, parameter = FITS[fit]
    options = {"gradient": gradient, "tol": 1e-26, "max_iter": 3000}
    if gradient == "unrolled":
        options["max_iter"] = 6  # far from the fixed point: its own finite differences
    arrays = (X, WEIGHTS, np.asarray(parameter))
    factors = xp.asarray(FACTORS)

    def loss(*arrays):
        return scalar(run(*arrays, **options), factors)

    found = grad(loss if is_torch_namespace(xp) else __import__("jax").jit(loss), *arrays)
    rng = np.random.default_rng(3)
    for place, array in enumerate(arrays):
        direction = rng.normal(size=array.shape)
        numeric = slope(lambda *a: scalar(run(*a, **options), FACTORS), arrays, place, direction)
        np.testing.assert_allclose(np.sum(found[place] * direction), numeric, rtol=2e-5, atol=1e-6)


def test_unrolled_in_initial_centroids(xp, grad):
    options = {"temperature": 10.0, "gradient": "unrolled", "max_iter": 2}

    def fit(x, centroids, factors):
        return scalar(kf.soft_kmeans(x, 3, key=0, init=centroids, **options), factors)

    (found,) = grad(lambda c: fit(xp.asarray(X), c, xp.asarray(FACTORS)), STARTS)
    direction = np.random.default_rng(3).normal(size=STARTS.shape)
    numeric = slope(lambda c: fit(X, c, FACTORS), (STARTS,), 0, direction)
    np.testing.assert_allclose(np.sum(found * direction), numeric, rtol=1e-6)
    assert abs(numeric) > 1e-3


@pytest.mark.uncompiled
def test_unrolled_goes_to_implicit(xp, grad):
    factors = xp.asarray(FACTORS)

    def at(**options):
        run = lambda x: scalar(_soft(x, None, 10.0, tol=0.0, **options), factors)  # noqa: E731
        return grad(run, X)[0]

    exact = at(gradient="implicit", max_iter=100)
    errors = [np.abs(at(gradient="unrolled", max_iter=n) - exact).max() for n in (2, 20)]
    assert errors[0] > 1e-4
    assert errors[1] < 1e-10


def test_a_learned_temperature(xp, grad):
    """The free energy falls as the temperature rises, by the entropy of the shares."""
    (found,) = grad(lambda t: _soft(xp.asarray(X), None, t).free_energy, np.asarray(10.0))
    fit = _soft(X, None, 10.0)
    shares = kf.soft_assign(X, fit.centroids, temperature=10.0)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)))
    np.testing.assert_allclose(found, -entropy, rtol=1e-6)


@pytest.mark.parametrize("fit", ["soft", "fuzzy"])
@pytest.mark.parametrize("gradient", ["implicit", "unrolled"])
def test_no_nan_on_awkward_data(xp, grad, fit, gradient):
    """Repeated rows, rows on centroids, a centroid that nothing pulls, rows of weight 0."""
    run, parameter = FITS[fit]
    x = np.repeat(X[::8], 8, axis=0)
    start = np.concatenate([x[::8][:2], [[1e4, 1e4]]])
    weights = np.where(np.arange(24) % 5, WEIGHTS, 0.0)
    options = {"init": xp.asarray(start), "gradient": gradient, "max_iter": 8}

    def loss(*arrays):
        return scalar(run(*arrays, **options), xp.asarray(FACTORS))

    for found in grad(loss, x, weights, np.asarray(parameter)):
        assert np.isfinite(found).all()


def test_at_the_critical_point_the_gradient_is_large_and_finite(xp, grad):
    """Two equal centroids, at the temperature at which they are about to part."""
    critical = 2 * np.linalg.eigvalsh(np.cov(X.T, bias=True))[-1]
    start = xp.asarray(np.repeat(X.mean(axis=0, keepdims=True), 3, axis=0))

    def loss(x, temperature):
        fit = kf.soft_kmeans(x, 3, key=0, temperature=temperature, init=start)
        return scalar(fit, xp.asarray(FACTORS))

    for found in grad(loss, X, np.asarray(critical)):
        assert np.isfinite(found).all()


def test_sinkhorn(xp, grad):
    sizes, factors = np.asarray([1.0, 2.0, 3.0]), np.random.default_rng(2).normal(size=(24, 3))

    def loss(x, centroids, temperature, weights, sizes):
        options = {"temperature": temperature, "tol": 1e-13, "max_iter": 4000}
        found = kf.sinkhorn_assign(x, centroids, weights=weights, sizes=sizes, **options)
        space = np if isinstance(x, np.ndarray) else xp
        return (found.responsibilities * space.asarray(factors)).sum()

    arrays = (X, STARTS, np.asarray(20.0), WEIGHTS, sizes)
    compiled = loss if is_torch_namespace(xp) else __import__("jax").jit(loss)
    found, rng = grad(compiled, *arrays), np.random.default_rng(3)
    for place, array in enumerate(arrays):
        direction = rng.normal(size=array.shape)
        numeric = slope(loss, arrays, place, direction)
        np.testing.assert_allclose(np.sum(found[place] * direction), numeric, rtol=1e-5, atol=1e-8)


def test_values_do_not_change_under_a_gradient(xp, to_numpy):
    plain = _soft(xp.asarray(X), None, 10.0)
    if is_torch_namespace(xp):
        tracked = _soft(xp.asarray(X).requires_grad_(), None, 10.0)
        assert tracked.centroids.requires_grad
        assert tracked.free_energy.requires_grad
    else:
        import jax

        def loss(x):
            result = _soft(x, None, 10.0)
            return result.free_energy, result

        tracked = jax.grad(loss, has_aux=True)(xp.asarray(X))[1]
    for ours, theirs in zip(tracked, plain, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))
