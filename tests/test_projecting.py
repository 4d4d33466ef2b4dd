"""Principal components and whitening: scikit-learn's results, weights and the way back."""

import numpy as np
import pytest
from array_api_compat import is_array_api_strict_namespace, is_torch_namespace
from array_api_extra.testing import lazy_xp_function
from sklearn.decomposition import PCA

from kmeans_fx.preprocess import (
    apply_pca,
    apply_whiten,
    invert_pca,
    invert_whiten,
    pca,
    whiten,
)

for function in (pca, apply_pca, invert_pca, whiten, apply_whiten, invert_whiten):
    lazy_xp_function(function)


@pytest.fixture(autouse=True)
def _extension(xp):
    """The one extension of the standard that is asked for here."""
    if not is_array_api_strict_namespace(xp):
        yield
        return
    with xp.ArrayAPIStrictFlags(enabled_extensions=("linalg",)):
        yield


def table(n=60, seed=0):
    """Rows of 4 columns that are correlated and far from zero."""
    rng = np.random.default_rng(seed)
    mix = np.asarray([[3.0, 0, 0, 0], [1, 2, 0, 0], [0, -1, 1, 0], [0.5, 0, 0.2, 0.4]])
    return rng.standard_normal((n, 4)) @ mix + [100.0, 0.0, -20.0, 1.0]


def tolerance(xp, dtype):
    return 1e-9 if dtype == xp.float64 else 2e-3


@pytest.mark.parametrize("n", [60, 12, 3])
@pytest.mark.parametrize("whitened", [False, True])
def test_equals_scikit_learn(xp, asarray, to_numpy, dtype, n, whitened):
    """From covariances, from rows, and of fewer rows than columns."""
    x = asarray(xp, table(n), dtype)
    exact = to_numpy(x).astype(np.float64)
    theirs = PCA(2, whiten=whitened).fit(exact)
    projected, params = pca(x, 2, whiten=whitened, correction=1.0)
    atol = tolerance(xp, dtype)
    assert projected.dtype == dtype
    np.testing.assert_allclose(to_numpy(projected), theirs.transform(exact), atol=atol)
    np.testing.assert_allclose(to_numpy(params.components), theirs.components_, atol=atol)
    for ours, expected in [
        (params.explained_variance, theirs.explained_variance_),
        (params.explained_variance_ratio, theirs.explained_variance_ratio_),
        (params.mean, theirs.mean_[None, :]),
    ]:
        np.testing.assert_allclose(to_numpy(ours), expected, rtol=atol)
    back = theirs.inverse_transform(theirs.transform(exact))
    np.testing.assert_allclose(to_numpy(invert_pca(projected, params)), back, atol=atol)
    new = table(5, seed=1)
    ours = apply_pca(asarray(xp, new, dtype), params)
    np.testing.assert_allclose(to_numpy(ours), theirs.transform(new), atol=10 * atol)


def test_signs_are_fixed(xp, asarray, to_numpy):
    _, params = pca(asarray(xp, table()))
    components = to_numpy(params.components)
    largest = np.abs(components).argmax(axis=1)
    assert np.all(components[np.arange(4), largest] > 0)


@pytest.mark.parametrize("n", [60, 12])
def test_whitened_columns_are_uncorrelated_and_near_to_themselves(xp, asarray, to_numpy, dtype, n):
    x = asarray(xp, table(n), dtype)
    whitened, params = whiten(x)
    atol = tolerance(xp, dtype)
    rows = to_numpy(whitened)
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(4), atol=atol)
    # The symmetric root is the one of all whitenings with the largest correlations.
    root = to_numpy(params.matrix)
    np.testing.assert_allclose(root, root.T, atol=atol)
    inverse = np.linalg.inv(to_numpy(params.inverse).astype(np.float64))
    np.testing.assert_allclose(root, inverse, atol=atol)
    np.testing.assert_allclose(to_numpy(invert_whiten(whitened, params)), to_numpy(x), atol=0.02)
    np.testing.assert_array_equal(to_numpy(apply_whiten(x, params)), rows)


def test_weight_m_is_m_copies_and_a_factor_changes_nothing(xp, asarray, to_numpy):
    values, counts = table(30), np.random.default_rng(2).integers(0, 3, size=30)
    values[counts == 0] *= 1e3
    x, weights = asarray(xp, values), counts.astype(np.float64)
    copies = np.repeat(values, counts, axis=0)
    _, expected = pca(copies, 2)
    for factor in (1.0, 1 / 3):
        _, ours = pca(x, 2, weights=asarray(xp, factor * weights))
        for one, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(to_numpy(one), other, rtol=1e-3, atol=1e-3)
    _, ours = whiten(x, weights=asarray(xp, weights), correction=1.0)
    root = np.linalg.cholesky(np.cov(copies.T))
    product = to_numpy(ours.inverse) @ to_numpy(ours.inverse)
    np.testing.assert_allclose(product, root @ root.T, rtol=1e-3, atol=1e-3)


def test_directions_without_variance_stay_as_they_are(xp, asarray, to_numpy, dtype):
    values = table(50)
    values = np.concatenate([values, values[:, :1] + values[:, 1:2], np.full((50, 1), 0.1)], 1)
    x = asarray(xp, values, dtype)
    whitened, params = whiten(x)
    projected, _ = pca(x, whiten=True)
    assert np.abs(to_numpy(projected)[:, 4:]).max() < 1e-3
    np.testing.assert_allclose(to_numpy(projected)[:, :4].std(axis=0), 1.0, rtol=1e-3)
    np.testing.assert_allclose(to_numpy(invert_whiten(whitened, params)), to_numpy(x), atol=0.02)


@pytest.mark.parametrize("n", [50, 20])
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, n):
    members = np.stack([table(n, seed) for seed in range(3)])
    projected, params = pca(asarray(xp, members), 2)
    assert params.components.shape == (3, 2, 4)
    for i in range(3):
        one, _ = pca(members[i], 2)
        np.testing.assert_allclose(to_numpy(projected)[i], one, atol=5e-3)
    back = to_numpy(invert_whiten(*whiten(asarray(xp, members))))
    np.testing.assert_allclose(back, members, atol=0.02)


def test_many_blocks(xp, asarray, to_numpy):
    values = np.random.default_rng(0).standard_normal((70_000, 3)) * [3.0, 2.0, 1.0] + 1e3
    _, params = pca(asarray(xp, values), 2)
    _, expected = pca(values, 2)
    np.testing.assert_allclose(
        to_numpy(params.explained_variance), expected.explained_variance, rtol=1e-3
    )
    np.testing.assert_allclose(to_numpy(params.components), expected.components, atol=1e-2)


@pytest.mark.backend("jax", "torch")
@pytest.mark.eager
@pytest.mark.x64
@pytest.mark.parametrize("n", [45, 12])
def test_gradients_equal_finite_differences(xp, to_numpy, n):
    def loss(x, xp=np):
        projected, params = pca(x, 2)
        ratio, whitened = params.explained_variance_ratio, whiten(x)[0]
        return xp.sum(projected[0, :]) + ratio[0] + xp.sum(whitened[1, :] ** 3)

    values, direction = table(n), table(n, seed=1)
    x = xp.asarray(values)
    if is_torch_namespace(xp):
        from torch.func import grad
    else:
        from jax import grad
    slope = np.sum(to_numpy(grad(lambda x: loss(x, xp))(x)) * direction)
    numeric = (loss(values + 1e-6 * direction) - loss(values - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(slope, numeric, rtol=1e-5)


@pytest.mark.eager
def test_bad_input_is_named(xp, asarray):
    x = asarray(xp, table(3))
    with pytest.raises(ValueError, match="n_components must be at most 3"):
        pca(x, 4)
    with pytest.raises(ValueError, match="n_components must be at least 1"):
        pca(x, 0)
    with pytest.raises(ValueError, match="correction must be less than the total weight"):
        pca(x, 2, correction=3.0)
    with pytest.raises(ValueError, match="x must be finite"):
        whiten(x * float("nan"))
    with pytest.raises(ValueError, match="weights must not be negative"):
        whiten(x, weights=asarray(xp, np.asarray([1.0, 1.0, -1.0])))
    with pytest.raises(ValueError, match="x must have 4 columns"):
        apply_pca(x[:, :3], pca(x, 2)[1])


@pytest.mark.backend("array-api-strict")
def test_a_library_without_linear_algebra(xp, asarray):
    with (
        xp.ArrayAPIStrictFlags(enabled_extensions=()),
        pytest.raises(TypeError, match="a library with the extension linalg"),
    ):
        pca(asarray(xp, table()))
