"""Inverse Cholesky factors: right, triangular, and NaN where there is none."""

import numpy as np
import pytest

from kmeans_fx._backend.factor import inverse_cholesky


def matrices(*batch, d=5):
    a = np.random.default_rng(0).normal(size=(*batch, d, d))
    return a @ np.swapaxes(a, -1, -2) + np.eye(d)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_inverts(xp, asarray, to_numpy, dtype, tol, d):
    a = matrices(3, 2, d=d)
    w = to_numpy(inverse_cholesky(asarray(xp, a, dtype))).astype(float)
    np.testing.assert_array_equal(np.triu(w, 1), 0)
    product = w @ a @ np.swapaxes(w, -1, -2)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(d), a.shape), atol=50 * tol(dtype))


def test_a_member_that_is_not_positive_definite_is_nan(xp, asarray, to_numpy):
    a = matrices(3)
    a[1] = -a[1]
    w = to_numpy(inverse_cholesky(asarray(xp, a)))
    assert np.isnan(w[1]).any()
    assert np.isfinite(w[[0, 2]]).all()
