"""Imputation: scikit-learn's results, weights, batches, and rows that nobody can help."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import KNNImputer, SimpleImputer

from kmeans_fx._backend.smallest import smallest
from kmeans_fx.preprocess import _donors, apply_impute, impute

lazy_xp_function(impute)
lazy_xp_function(apply_impute)

METHODS = ["mean", "median", "knn"]


def table(n=40, seed=0, share=0.3):
    """Rows of 4 columns far from zero, a share of them missing."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, 4)) * [1.0, 2.0, 0.5, 3.0] + [0.0, 50.0, -7.0, 5.0]
    values[rng.random(values.shape) < share] = np.nan
    return values


def oracle(method, x):
    if method == "knn":
        return KNNImputer(n_neighbors=3).fit(x)
    return SimpleImputer(strategy=method).fit(x)


@pytest.mark.parametrize(
    "eager", [False, pytest.param(True, marks=[pytest.mark.eager, pytest.mark.uncompiled])]
)
@pytest.mark.parametrize("method", METHODS)
def test_equals_scikit_learn(xp, asarray, to_numpy, dtype, method, eager):
    x = asarray(xp, table(), dtype)
    exact = to_numpy(x).astype(np.float64)
    theirs = oracle(method, exact)
    filled, params = impute(x, method=method, n_neighbors=3)
    assert filled.dtype == dtype
    rtol = 1e-9 if dtype == xp.float64 else 1e-4
    np.testing.assert_allclose(to_numpy(filled), theirs.transform(exact), rtol=rtol, atol=rtol)
    there = ~np.isnan(exact)
    np.testing.assert_array_equal(to_numpy(filled)[there], to_numpy(x)[there])
    new = table(15, seed=1, share=0.5)
    new[0] = np.nan  # shares no column with anybody
    ours = apply_impute(asarray(xp, new, dtype), params)
    expected = theirs.transform(new.astype(to_numpy(x).dtype).astype(np.float64))
    np.testing.assert_allclose(to_numpy(ours), expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_missing_stays(xp, asarray, to_numpy, method):
    x = asarray(xp, table(share=0.0))
    filled, params = impute(x, method=method)
    np.testing.assert_array_equal(to_numpy(filled), to_numpy(x))
    assert filled.shape == x.shape
    assert params.fill.shape == (1, 4)


@pytest.mark.uncompiled
@pytest.mark.eager
@pytest.mark.parametrize("method", METHODS)
def test_weight_m_is_m_copies_and_zero_is_absent(xp, asarray, to_numpy, method):
    values, counts = table(30), np.random.default_rng(2).integers(0, 4, size=30)
    values[counts == 0] += 1e3
    _, weighted = impute(
        asarray(xp, values),
        method=method,
        n_neighbors=4,
        weights=asarray(xp, counts.astype(np.float64)),
    )
    copies = asarray(xp, np.repeat(values, counts, axis=0))
    _, repeated = impute(copies, method=method, n_neighbors=4)
    new = asarray(xp, table(20, seed=1))
    ours, theirs = (to_numpy(apply_impute(new, p)) for p in (weighted, repeated))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.eager
@pytest.mark.parametrize("method", METHODS)
def test_common_factor_of_weights_changes_nothing(xp, asarray, to_numpy, method):
    x, weights = asarray(xp, table()), np.random.default_rng(3).random(40)
    ours, theirs = (
        impute(x, method=method, weights=asarray(xp, w))[0] for w in (weights, weights / 3)
    )
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, method):
    members = np.stack([table(20, seed, share=0.1 * seed) for seed in range(3)])
    filled, params = impute(asarray(xp, members), method=method, n_neighbors=3)
    assert params.fill.shape == (3, 1, 4)
    for i in range(3):
        one, _ = impute(members[i], method=method, n_neighbors=3)
        np.testing.assert_allclose(to_numpy(filled)[i], one, rtol=1e-4, atol=1e-4)


def test_blocks_do_not_matter(monkeypatch):
    whole, _ = impute(table(), method="knn")
    monkeypatch.setattr(_donors, "_BUDGET", 200)
    blocks, _ = impute(table(), method="knn")
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)


def test_fewer_rows_than_neighbours(xp, asarray, to_numpy):
    values = np.asarray([[1.0, 2.0], [3.0, np.nan], [5.0, 7.0]])
    filled, _ = impute(asarray(xp, values), method="knn", n_neighbors=50)
    np.testing.assert_allclose(to_numpy(filled)[1], [3.0, 4.5], rtol=1e-6)


def test_of_equally_near_rows_the_first_count(xp, asarray, to_numpy):
    values = np.asarray([[0.0, np.nan], [1.0, 5.0], [-1.0, 7.0], [1.0, 9.0]])
    filled, _ = impute(asarray(xp, values), method="knn", n_neighbors=2)
    np.testing.assert_allclose(to_numpy(filled)[0], [0.0, 6.0])


@given(st.lists(st.integers(0, 5), min_size=3, max_size=40), st.integers(1, 3))
def test_smallest_is_a_stable_sort(values, k):
    table = np.asarray([values, values[::-1]], dtype=np.float64)
    expected = np.argsort(table, axis=-1, kind="stable")[:, :k]
    np.testing.assert_array_equal(smallest(table, k), expected)


def test_smallest_anywhere(xp, asarray, to_numpy):
    values = np.random.default_rng(0).integers(0, 4, size=(2, 3, 9)) * 1.0
    expected = np.argsort(values, axis=-1, kind="stable")[..., :4]
    np.testing.assert_array_equal(to_numpy(smallest(asarray(xp, values), 4)), expected)


@pytest.mark.backend("jax", "torch")
@pytest.mark.eager
@pytest.mark.parametrize("method", METHODS)
def test_a_gradient_is_that_of_the_values_that_are_there(xp, to_numpy, method):
    values = table(12, share=0.2)
    x = xp.asarray(values, dtype=xp.float32)
    if "torch" in xp.__name__:
        from torch.func import grad
    else:
        from jax import grad
    slope = to_numpy(grad(lambda x: xp.sum(impute(x, method=method)[0]))(x))
    there = ~np.isnan(values)
    # Every value counts once for itself, and what fills in is a mean.
    assert np.all(np.isfinite(slope))
    np.testing.assert_allclose(slope[there].sum(), values.size, rtol=1e-5)
    assert not slope[~there].any()


@pytest.mark.eager
def test_bad_input_is_named(xp, asarray):
    values = table()
    with pytest.raises(ValueError, match="method must be one of"):
        impute(asarray(xp, values), method="mode")
    with pytest.raises(ValueError, match="n_neighbors must be at least 1"):
        impute(asarray(xp, values), method="knn", n_neighbors=0)
    _, params = impute(asarray(xp, values), method="knn")
    with pytest.raises(ValueError, match="x must have 4 columns"):
        apply_impute(asarray(xp, values[:, :3]), params)
    values[:, 1] = np.nan
    with pytest.raises(ValueError, match="got only NaN in column 1"):
        impute(asarray(xp, values))
    values[:, 1] = np.inf
    with pytest.raises(ValueError, match="x must be finite"):
        impute(asarray(xp, values))
