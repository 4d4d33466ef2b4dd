"""Scaling: scikit-learn's results, the laws of weights, and the way back."""

import numpy as np
import pytest
from array_api_compat import is_jax_namespace, is_torch_namespace
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from sklearn import preprocessing as sk

from kmeans_fx.preprocess import (
    ScaleParams,
    apply_scale,
    invert_scale,
    minmax_scale,
    normalize,
    robust_scale,
    standardize,
)

COLUMN_SCALINGS = [standardize, minmax_scale, robust_scale]
for function in (*COLUMN_SCALINGS, normalize, apply_scale, invert_scale):
    lazy_xp_function(function)


def table(n=101, seed=0):
    """Columns of many sizes, one constant; n = 1 mod 4, where all quartiles agree."""
    rng = np.random.default_rng(seed)
    spread, mean = np.asarray([1.0, 1e-3, 500.0, 0.0]), np.asarray([0.0, 7.0, 1e4, 0.1])
    return rng.standard_normal((n, 4)) * spread + mean


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (standardize, sk.StandardScaler()),
        (minmax_scale, sk.MinMaxScaler()),
        (robust_scale, sk.RobustScaler()),
        (normalize, sk.Normalizer()),
    ],
)
def test_equals_scikit_learn(xp, asarray, to_numpy, dtype, ours, theirs):
    x = asarray(xp, table(), dtype)
    scaled, params = ours(x)
    assert scaled.dtype == dtype
    # Columns of mean 1e4 keep 3 to 4 digits in float32: the input's, not the function's.
    expected = theirs.fit_transform(to_numpy(x).astype(np.float64))
    atol = 1e-9 if dtype == xp.float64 else 5e-3
    np.testing.assert_allclose(to_numpy(scaled), expected, atol=atol, rtol=0)
    back = to_numpy(invert_scale(scaled, params))
    np.testing.assert_allclose(back, to_numpy(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalize_equals_scikit_learn(xp, asarray, to_numpy, norm):
    values = np.concatenate([table(20), np.zeros((1, 4))])
    scaled, params = normalize(asarray(xp, values), norm=norm)
    np.testing.assert_allclose(to_numpy(scaled), sk.normalize(values, norm=norm), rtol=1e-5)
    assert params.scale.shape == (21, 1)


def test_minmax_range(xp, asarray, to_numpy):
    scaled, _ = minmax_scale(asarray(xp, table()), feature_range=(-1.0, 3.0))
    expected = sk.minmax_scale(table(), feature_range=(-1.0, 3.0))
    np.testing.assert_allclose(to_numpy(scaled), expected, atol=5e-3)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 10, 100])
@pytest.mark.parametrize("percentages", [(0, 100), (25, 75), (7, 30)])
def test_quantiles_are_the_averaged_inverse(xp, asarray, to_numpy, n, percentages):
    values = table(n)[:, :1]
    _, params = robust_scale(asarray(xp, values), quantile_range=percentages)
    lower, upper = (averaged_inverse(values[:, 0], p) for p in percentages)
    np.testing.assert_allclose(to_numpy(params.shift), np.median(values), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(params.scale), upper - lower or 1.0, rtol=1e-5)


def averaged_inverse(column, percentage):
    """Definition 2 of Hyndman and Fan, read off the distribution function."""
    below = {value: 100 * int(np.sum(column <= value)) for value in column}
    target = percentage * len(column)
    reached = min(value for value in column if below[value] >= target)
    passed = min((value for value in column if below[value] > target), default=reached)
    return (reached + passed) / 2


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
def test_constant_columns_get_scale_one(xp, asarray, to_numpy, scaling):
    # 0.1 has no exact mean in binary: the computed one is off by a rounding.
    x = asarray(xp, np.full((1000, 2), (0.1, 1e4)))
    scaled, params = scaling(x)
    np.testing.assert_array_equal(to_numpy(scaled), 0.0)
    np.testing.assert_array_equal(to_numpy(params.scale), 1.0)


def test_large_mean_keeps_its_digits(xp, asarray, to_numpy, dtype):
    values = np.random.default_rng(1).standard_normal((5000, 1)) + 1e4
    x = asarray(xp, values, dtype)
    scaled, params = standardize(x)
    exact = to_numpy(x).astype(np.float64)
    np.testing.assert_allclose(to_numpy(params.scale)[0], exact.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(scaled).std(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_units_do_not_matter(xp, asarray, to_numpy, scaling, factor):
    values = np.random.default_rng(1).standard_normal((50, 2))
    plain, _ = scaling(asarray(xp, values))
    rescaled, _ = scaling(asarray(xp, values * factor))
    np.testing.assert_allclose(to_numpy(rescaled), to_numpy(plain), atol=1e-5)


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
def test_weight_m_is_m_copies_and_zero_is_absent(xp, asarray, to_numpy, scaling):
    values, counts = table(40), np.random.default_rng(2).integers(0, 4, size=40)
    values[counts == 0] *= 1e30  # the square of which overflows float32
    weights = asarray(xp, counts.astype(np.float64))
    _, weighted = scaling(asarray(xp, values), weights=weights)
    _, repeated = scaling(asarray(xp, np.repeat(values, counts, axis=0)))
    for ours, expected in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(expected), rtol=1e-3)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30).filter(any), st.integers(0, 99))
def test_robust_scale_weights_are_copies(counts, seed):
    values = table(len(counts), seed)
    _, weighted = robust_scale(values, weights=np.asarray(counts))
    _, repeated = robust_scale(np.repeat(values, counts, axis=0))
    np.testing.assert_array_equal(weighted, repeated)


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
@pytest.mark.parametrize("factor", [0.1, 1 / 3, 17.0])
def test_common_factor_of_weights_changes_nothing(xp, asarray, to_numpy, scaling, factor):
    values = table(40)
    x = asarray(xp, values)
    _, plain = scaling(x)
    _, weighted = scaling(x, weights=asarray(xp, np.full(40, factor)))
    for ours, expected in zip(weighted, plain, strict=True):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(expected), rtol=1e-3)


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, scaling):
    members = np.stack([table(30, seed) for seed in range(3)])
    weights = np.random.default_rng(3).integers(1, 4, size=(3, 30)).astype(np.float64)
    scaled, params = scaling(asarray(xp, members), weights=asarray(xp, weights))
    assert params.shift.shape == params.scale.shape == (3, 1, 4)
    for i in range(3):
        one, _ = scaling(asarray(xp, members[i]), weights=asarray(xp, weights[i]))
        np.testing.assert_allclose(to_numpy(scaled)[i], to_numpy(one), atol=5e-3)


def test_new_rows_get_the_same_treatment(xp, asarray, to_numpy):
    values = table()
    scaler = sk.StandardScaler().fit(values[:60])
    _, params = standardize(asarray(xp, values[:60]))
    scaled = apply_scale(asarray(xp, values[60:]), params)
    np.testing.assert_allclose(to_numpy(scaled), scaler.transform(values[60:]), atol=5e-3)


@pytest.mark.parametrize("scaling", [*COLUMN_SCALINGS, normalize])
def test_integers_are_promoted(xp, asarray, to_numpy, scaling):
    x = asarray(xp, np.asarray([[1, 2], [3, 4], [8, 9]]))
    scaled, _ = scaling(x)
    assert xp.isdtype(scaled.dtype, "real floating")
    assert np.all(np.isfinite(to_numpy(scaled)))


@pytest.mark.backend("jax", "torch")
@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
def test_half_precision_sums_in_float32(xp, to_numpy, scaling):
    values = np.arange(4096.0)[:, None] % 7 + 100.0
    x = xp.asarray(values, dtype=xp.bfloat16)
    scaled, params = scaling(x)
    exact, expected = scaling(values)
    assert scaled.dtype == xp.bfloat16
    assert params.scale.dtype == xp.float32
    np.testing.assert_allclose(to_numpy(params.shift), expected.shift, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(xp.astype(scaled, xp.float32)), exact, atol=1e-2)


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
def test_the_callers_array_is_not_changed(xp, asarray, to_numpy, scaling):
    x = asarray(xp, table())
    before = to_numpy(x).copy()
    scaling(x)
    np.testing.assert_array_equal(to_numpy(x), before)


@pytest.mark.backend("jax", "torch")
@pytest.mark.eager
@pytest.mark.parametrize("scaling", [*COLUMN_SCALINGS, normalize])
def test_gradients_are_finite_where_a_column_is_constant(xp, asarray, to_numpy, scaling):
    values = table(20)
    values[0] = 0.0
    values[:, 3] = 0.0

    def loss(x):
        return xp.sum(scaling(x)[0] ** 3)

    gradient = _gradient(xp, loss, asarray(xp, values))
    assert np.all(np.isfinite(to_numpy(gradient)))


def _gradient(xp, loss, x):
    if is_jax_namespace(xp):
        import jax

        return jax.grad(loss)(x)
    assert is_torch_namespace(xp)
    import torch

    return torch.func.grad(loss)(x)


@pytest.mark.eager
@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
@pytest.mark.parametrize(
    ("x", "weights", "message"),
    [
        (np.ones(3), None, "x must have shape"),
        (np.ones((0, 2)), None, "x must not be empty"),
        (np.asarray([[1.0], [np.nan]]), None, "x must be finite"),
        (np.asarray([[1.0], [-np.inf]]), None, "x must be finite"),
        (np.ones((3, 2)), np.ones(2), "weights must have shape"),
        (np.ones((3, 2)), np.asarray([1.0, -1.0, 1.0]), "weights must not be negative"),
        (np.ones((3, 2)), np.zeros(3), "weights must not all be zero"),
    ],
)
def test_bad_values_are_named(xp, asarray, scaling, x, weights, message):
    weights = None if weights is None else asarray(xp, weights)
    with pytest.raises(ValueError, match=message):
        scaling(asarray(xp, x), weights=weights)


def test_bad_options_are_named():
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="feature_range must rise"):
        minmax_scale(x, feature_range=(1.0, 1.0))
    with pytest.raises(ValueError, match="quantile_range must rise"):
        robust_scale(x, quantile_range=(75.0, 25.0))
    with pytest.raises(ValueError, match="norm must be one of"):
        normalize(x, norm="l3")
    with pytest.raises(TypeError, match="x must be an array, got list"):
        standardize([[1.0]])
    with pytest.raises(ValueError, match="x must have 4 columns"):
        apply_scale(np.ones((3, 1)), ScaleParams(np.zeros((1, 4)), np.ones((1, 4))))


# ---- missing values


def with_holes(n=41):
    values = table(n)
    values[np.random.default_rng(5).random(values.shape) < 0.3] = np.nan
    values[0] = np.nan
    return values


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (standardize, sk.StandardScaler()),
        (minmax_scale, sk.MinMaxScaler()),
        (robust_scale, sk.RobustScaler(quantile_range=(0, 100))),
    ],
)
def test_omitted_nan_equals_scikit_learn(xp, asarray, to_numpy, dtype, ours, theirs):
    x = asarray(xp, with_holes(), dtype)
    whole = isinstance(theirs, sk.RobustScaler)  # on which all quantiles agree
    options = {"quantile_range": (0, 100)} if whole else {}
    scaled, params = ours(x, nan_policy="omit", **options)
    expected = theirs.fit_transform(to_numpy(x).astype(np.float64))
    atol = 1e-9 if dtype == xp.float64 else 5e-3
    np.testing.assert_allclose(to_numpy(scaled), expected, atol=atol, rtol=0)
    assert np.all(np.isfinite(to_numpy(params.shift)))
    assert np.all(np.isfinite(to_numpy(params.scale)))


@pytest.mark.parametrize("scaling", COLUMN_SCALINGS)
def test_omitted_nan_is_a_value_that_is_not_there(xp, asarray, to_numpy, scaling):
    values, counts = with_holes(), np.random.default_rng(2).integers(0, 3, size=41)
    weights = asarray(xp, counts.astype(np.float64))
    _, params = scaling(asarray(xp, values), nan_policy="omit", weights=weights)
    for j in range(4):
        column = np.repeat(values[:, j : j + 1], counts, axis=0)
        _, expected = scaling(column[~np.isnan(column[:, 0])])
        for ours, theirs in zip(params, expected, strict=True):
            np.testing.assert_allclose(to_numpy(ours)[0, j], theirs[0, 0], rtol=2e-3)


@pytest.mark.eager
def test_what_omit_does_not_let_through(xp, asarray):
    values = with_holes()
    with pytest.raises(ValueError, match="x must be finite"):
        standardize(asarray(xp, values))
    with pytest.raises(ValueError, match="nan_policy must be one of 'raise', 'omit', got 'ignore'"):
        standardize(asarray(xp, values), nan_policy="ignore")
    values[:, 2] = np.nan
    with pytest.raises(ValueError, match="a value in every column, got only NaN in column 2"):
        standardize(asarray(xp, values), nan_policy="omit")
    values[3, 2] = np.inf
    with pytest.raises(ValueError, match="x must be finite"):
        standardize(asarray(xp, values), nan_policy="omit")
