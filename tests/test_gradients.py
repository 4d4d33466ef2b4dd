"""Gradients: finite differences and closed forms confirm them, and none is NaN."""

import numpy as np
import pytest
from array_api_compat import is_torch_namespace

import kmeans_fx as kf
from tests.cases import problems
from tests.parameters import uncompiled

pytestmark = [
    pytest.mark.backend("jax", "torch"),
    pytest.mark.x64,
    pytest.mark.eager,
    # PyTorch's own forward mode imports a module that it deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning"),
]

METRICS = ["sqeuclidean", "euclidean", "manhattan", "cosine"]
POLICIES = ["farthest", "random", "split", "merge", "keep"]
X = problems()[0]
WEIGHTS = np.random.default_rng(1936).uniform(0.5, 2.0, size=24)
STARTS = X[::8]
# The last centroid is too far away to be anyone's nearest.
STARTS_AND_NOWHERE = np.concatenate([STARTS, [[1000.0, 1000.0]]])


@pytest.fixture
def grad(xp):
    """``grad(f, *arrays)``: the gradient in every array, as NumPy's."""

    def of(function, *arrays):
        arrays = [xp.asarray(a) for a in arrays]
        each = range(len(arrays))
        if is_torch_namespace(xp):
            from torch.func import grad
        else:
            from jax import grad
        return [np.asarray(g) for g in grad(function, tuple(each))(*arrays)]

    return of


@pytest.fixture
def check(xp):
    """``check(f, *arrays)``: forward and reverse mode agree with finite differences."""

    def agrees(function, *arrays):
        arrays = [xp.asarray(a) for a in arrays]
        if is_torch_namespace(xp):
            from torch.autograd import gradcheck

            tracked = [a.clone().requires_grad_() for a in arrays]
            assert gradcheck(function, tracked, check_forward_ad=True)
        else:
            import jax
            from jax.test_util import check_grads

            check_grads(jax.jit(function), arrays, order=1, atol=1e-5, rtol=1e-5)

    return agrees


def differences(function, array, step=1e-6):
    """The gradient of a function of one NumPy array, entry by entry."""
    result = np.empty_like(array)
    for place in np.ndindex(array.shape):
        move = np.zeros_like(array)
        move[place] = step
        result[place] = (function(array + move) - function(array - move)) / (2 * step)
    return result


def scalar(result):
    """Inertia and centroids of three clusters, with factors that no symmetry hides."""
    factors = [[1.0, -2.0], [3.0, 0.5], [-0.7, 1.3]]
    return result.inertia + sum(
        factors[j][f] * result.centroids[j, f] for j in range(3) for f in range(2)
    )


@pytest.mark.parametrize("metric", ["sqeuclidean", *uncompiled(*METRICS[1:])])
def test_kmeans_in_x_and_weights(grad, metric):
    def fit(x, weights):
        return scalar(kf.kmeans(x, 3, key=0, weights=weights, metric=metric))

    in_x, in_weights = grad(fit, X, WEIGHTS)
    np.testing.assert_allclose(in_x, differences(lambda x: fit(x, WEIGHTS), X), atol=1e-6)
    np.testing.assert_allclose(in_weights, differences(lambda w: fit(X, w), WEIGHTS), atol=1e-6)


@pytest.mark.parametrize("empty", POLICIES)
def test_with_an_empty_cluster(xp, grad, empty):
    def fit(x, weights, starts):
        return scalar(kf.lloyd(x, starts, weights=weights, empty=empty, key=0))

    starts = xp.asarray(STARTS_AND_NOWHERE)
    in_x, in_weights = grad(lambda x, w: fit(x, w, starts), X, WEIGHTS)
    numeric = differences(lambda x: fit(x, WEIGHTS, STARTS_AND_NOWHERE), X)
    np.testing.assert_allclose(in_x, numeric, atol=1e-6)
    numeric = differences(lambda w: fit(X, w, STARTS_AND_NOWHERE), WEIGHTS)
    np.testing.assert_allclose(in_weights, numeric, atol=1e-6)


@pytest.mark.parametrize("empty", ["merge", "keep"])
def test_an_empty_cluster_has_gradient_zero(xp, grad, empty):
    def place(x):
        return xp.sum(kf.lloyd(x, xp.asarray(STARTS_AND_NOWHERE), empty=empty).centroids[3, :])

    assert not grad(place, X)[0].any()


def test_inertia_obeys_the_envelope_theorem(grad):
    weights = np.where(np.arange(24) % 5, WEIGHTS, 0.0)
    found = kf.kmeans(X, 3, key=0, weights=weights, tol=0.0)
    offsets = X - found.centroids[found.labels]
    in_x, in_weights = grad(
        lambda x, w: kf.kmeans(x, 3, key=0, weights=w, tol=0.0).inertia, X, weights
    )
    np.testing.assert_allclose(in_x, 2 * weights[:, None] * offsets, atol=1e-12)
    np.testing.assert_allclose(in_weights, np.sum(offsets**2, axis=1), rtol=1e-12)


def test_there_is_no_gradient_in_the_start(xp, grad):
    assert not grad(lambda c: scalar(kf.lloyd(xp.asarray(X), c)), STARTS)[0].any()


def test_hessian_of_the_inertia(xp):
    """2 I - 2 / m between the m rows of a cluster, from sum |x|^2 - |sum x|^2 / m."""
    if is_torch_namespace(xp):
        from torch.func import hessian
    else:
        from jax import hessian
    found = hessian(lambda x: kf.kmeans(x, 3, key=0).inertia)(xp.asarray(X))
    same = np.kron(np.eye(3), np.ones((8, 8)))
    rows = 2 * np.eye(24) - 2 * same / 8
    expected = rows[:, None, :, None] * np.eye(2)[:, None, :]
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_distances(check, metric):
    check(lambda x, c: kf.pairwise_distances(x, c, metric=metric), X, STARTS + 0.3)
    check(lambda x, c: kf.assign(x, c, metric=metric).distances, X, STARTS + 0.3)


def test_soft_assign(check):
    check(lambda x, c, t: kf.soft_assign(x, c, temperature=t), X, STARTS + 0.3, np.asarray(20.0))


def test_statistics_and_update(xp, check):
    labels = xp.asarray(np.arange(24) % 3)  # the fourth cluster is empty
    centroids = xp.asarray(STARTS_AND_NOWHERE)

    def update(x, weights, distances):
        stats = kf.cluster_stats(x, labels, 4, weights=weights, distances=distances)
        merged = kf.merge_stats(stats, stats)
        return kf.update_centroids(merged, centroids), merged.inertia

    check(update, X, WEIGHTS, WEIGHTS + 1.0)


def awkward():
    """Data where a careless derivative is NaN."""
    repeated = np.repeat(X[::8], 8, axis=0)
    with_zeros = X.copy()
    with_zeros[::3] = 0.0
    return {
        "repeated rows": repeated,
        "all rows equal": np.ones_like(X),
        "zero rows": with_zeros,
        "only zeros": np.zeros_like(X),
        "a cluster of one row": np.concatenate([X[:23], [[1e3, 1e3]]]),
    }


@pytest.mark.parametrize("empty", ["farthest", "merge"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("data", awkward())
def test_no_fit_has_a_nan_gradient(xp, grad, data, metric, empty):
    def fit(x, weights):
        result = kf.kmeans(x, 4, key=0, weights=weights, metric=metric, empty=empty)
        return result.inertia + xp.sum(result.centroids)

    weights = np.where(np.arange(24) % 5, WEIGHTS, 0.0)
    in_x, in_weights = grad(fit, awkward()[data], weights)
    assert np.isfinite(in_x).all()
    assert np.isfinite(in_weights).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("data", awkward())
def test_no_part_has_a_nan_gradient(xp, grad, data, metric):
    def parts(x, c):
        return (
            xp.sum(kf.assign(x, c, metric=metric).distances)
            + xp.sum(kf.soft_assign(x, c, metric=metric) ** 2)
            + xp.sum(kf.pairwise_distances(x, c, metric=metric))
        )

    x = awkward()[data]
    for gradient in grad(parts, x, x[:3]):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("empty", ["farthest", "merge"])
def test_values_do_not_change_under_a_gradient(xp, to_numpy, metric, empty):
    def fit(x, weights):
        result = kf.lloyd(x, starts, weights=weights, metric=metric, empty=empty, key=0)
        return xp.sum(result.centroids), result

    x, weights, starts = (xp.asarray(a) for a in (X, WEIGHTS, STARTS_AND_NOWHERE))
    plain = fit(x, weights)[1]
    if is_torch_namespace(xp):
        tracked = fit(x.clone().requires_grad_(), weights.clone().requires_grad_())[1]
        assert tracked.centroids.requires_grad
        assert tracked.inertia.requires_grad
    else:
        import jax

        tracked = jax.grad(fit, has_aux=True)(x, weights)[1]
    for ours, theirs in zip(tracked, plain, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))
