"""Fuzzy c-means against scikit-fuzzy, and its limits."""

import numpy as np
import pytest
from skfuzzy.cluster import cmeans

import kmeans_fx as kf
from kmeans_fx import CONVERGED, fuzzy_assign, fuzzy_cmeans


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) + np.repeat([[0.0], [3.0], [6.0]], 20, axis=0)
    return x, x[::20].copy()


def memberships(x, centroids, fuzzifier):
    """Bezdek's formula as it stands."""
    far = np.linalg.norm(x[:, None] - centroids, axis=-1)
    ratios = (far[:, :, None] / far[:, None, :]) ** (2 / (fuzzifier - 1))
    return 1 / ratios.sum(axis=2)


@pytest.mark.parametrize("fuzzifier", [1.3, 2.0, 3.0])
def test_equals_scikit_fuzzy(xp, asarray, to_numpy, dtype, tol, fuzzifier):
    """From the same start: theirs are memberships, ours the centroids they belong to."""
    x, start = problem()
    theirs, u, *_, objectives, _, _ = cmeans(
        x.T, 3, fuzzifier, 1e-10, 2000, init=memberships(x, start + 0.1, fuzzifier).T
    )
    ours = fuzzy_cmeans(
        asarray(xp, x, dtype),
        3,
        key=0,
        init=asarray(xp, start + 0.1, dtype),
        fuzzifier=fuzzifier,
        tol=1e-14 if str(dtype).endswith("64") else 1e-11,
        max_iter=2000,
    )
    assert ours.centroids.dtype == dtype
    close = 1e-6 if str(dtype).endswith("64") else 1e-3
    assert int(ours.status) == CONVERGED
    np.testing.assert_allclose(to_numpy(ours.centroids), theirs, atol=close)
    np.testing.assert_allclose(float(ours.objective), objectives[-1], rtol=close)
    own = fuzzy_assign(asarray(xp, x, dtype), ours.centroids, fuzzifier=fuzzifier)
    np.testing.assert_allclose(to_numpy(own), u.T, atol=close)
    np.testing.assert_array_equal(to_numpy(ours.labels), u.argmax(axis=0))


def test_memberships_are_bezdeks(xp, asarray, to_numpy, dtype, tol):
    x, start = problem()
    for fuzzifier in (1.2, 2.0, 5.0):
        ours = fuzzy_assign(
            asarray(xp, x, dtype), asarray(xp, start + 0.1, dtype), fuzzifier=fuzzifier
        )
        expected = memberships(x, start + 0.1, fuzzifier)
        np.testing.assert_allclose(to_numpy(ours), expected, atol=50 * tol(dtype))


def test_memberships_sum_to_one_however_hard(xp, asarray, to_numpy):
    # Logarithms of memberships are large here, and a compiler rounds their differences anew.
    rng = np.random.default_rng(2)
    x, c = (asarray(xp, rng.normal(size=(size, 3)), "float32") for size in (40, 6))
    shares = to_numpy(fuzzy_assign(x, c, fuzzifier=1.001))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)


def test_a_row_on_a_centroid_belongs_to_it(xp, asarray, to_numpy):
    x, start = problem()
    ours = to_numpy(fuzzy_assign(asarray(xp, x), asarray(xp, start)))
    np.testing.assert_allclose(ours[::20], np.eye(3), atol=1e-6)
    twice = to_numpy(fuzzy_assign(asarray(xp, x), asarray(xp, np.repeat(start, 2, axis=0))))
    np.testing.assert_allclose(twice[::20], np.repeat(np.eye(3), 2, axis=1) / 2, atol=1e-6)


def test_crisp_is_lloyd(xp, asarray, to_numpy):
    x, start = (asarray(xp, a) for a in problem())
    crisp = fuzzy_cmeans(x, 3, key=0, init=start, fuzzifier=1.01)
    hard = kf.lloyd(x, start, tol=0.0)
    np.testing.assert_allclose(to_numpy(crisp.centroids), to_numpy(hard.centroids), atol=0.02)
    np.testing.assert_array_equal(to_numpy(crisp.labels), to_numpy(hard.labels))


def test_weights_count_rows(xp, asarray, to_numpy):
    x, start = problem()
    counts = np.random.default_rng(2).integers(0, 3, size=60)
    options = {"key": 0, "init": asarray(xp, start)}
    weighted = fuzzy_cmeans(asarray(xp, x), 3, weights=asarray(xp, counts * 1.0), **options)
    copies = fuzzy_cmeans(asarray(xp, np.repeat(x, counts, axis=0)), 3, **options)
    for field in ("centroids", "objective"):
        ours, theirs = (to_numpy(getattr(r, field)) for r in (weighted, copies))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("fuzzifier", [1.0, 0.5, float("inf")])
def test_bad_fuzzifier(xp, asarray, fuzzifier):
    x, start = (asarray(xp, a) for a in problem())
    with pytest.raises(ValueError, match="fuzzifier must be greater than 1"):
        fuzzy_cmeans(x, 3, key=0, fuzzifier=fuzzifier)
    with pytest.raises(ValueError, match="fuzzifier must be greater than 1"):
        fuzzy_assign(x, start, fuzzifier=fuzzifier)
