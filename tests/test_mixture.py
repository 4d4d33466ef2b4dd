"""Gaussian mixtures against scikit-learn, and k-means as their limit."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

import kmeans_fx as kf
from kmeans_fx import (
    CONVERGED,
    MAX_ITER,
    NONFINITE,
    RUNNING,
    gaussian_mixture,
    mixture_aic,
    mixture_bic,
    mixture_init,
    mixture_log_prob,
    mixture_responsibilities,
    mixture_step,
)

KINDS = ["full", "tied", "diag", "spherical"]


def problem():
    """Three overlapping groups of different shapes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2)) * [1.0, 0.4]
    x[30:60] = x[30:60] @ [[1.0, 1.0], [0.0, 1.0]] + 3.0
    x[60:] = x[60:] * 1.5 + [6.0, 0.0]
    return x, x[[0, 30, 60]]


def narrow(kind, covariances):
    """The covariances of a state in scikit-learn's shape."""
    return {
        "full": lambda a: a,
        "tied": lambda a: a[..., 0, :, :],
        "diag": lambda a: a[..., :, 0, :],
        "spherical": lambda a: a[..., :, 0, 0],
    }[kind](covariances)


def peer(kind, x, start, **options):
    """scikit-learn's fit from the same start."""
    state = mixture_init(x, start, covariance=kind)
    covariances = narrow(kind, state.covariances)
    inverse = np.linalg.inv if kind in ("full", "tied") else np.reciprocal
    return GaussianMixture(
        len(start),
        covariance_type=kind,
        means_init=state.means + state.origin,
        weights_init=state.proportions,
        precisions_init=inverse(covariances),
        **options,
    ).fit(x)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_scikit_learn(xp, asarray, to_numpy, dtype, tol, kind):
    x, start = problem()
    theirs = peer(kind, x, start, tol=1e-3)
    rows = asarray(xp, x, dtype)
    ours = gaussian_mixture(rows, 3, key=0, init=asarray(xp, start, dtype), covariance=kind)
    close = {"rtol": 20 * tol(dtype), "atol": 20 * tol(dtype)}
    assert ours.means.dtype == ours.covariances.dtype == dtype
    assert int(ours.status) == CONVERGED
    assert int(ours.n_iter) == theirs.n_iter_
    np.testing.assert_allclose(float(ours.log_likelihood), theirs.score(x) * 90, **close)
    np.testing.assert_allclose(to_numpy(ours.means), theirs.means_, **close)
    np.testing.assert_allclose(to_numpy(ours.covariances), theirs.covariances_, **close)
    np.testing.assert_allclose(to_numpy(ours.proportions), theirs.weights_, **close)
    np.testing.assert_array_equal(to_numpy(ours.labels), theirs.predict(x))
    rest = {"covariance": kind}
    found = to_numpy(mixture_responsibilities(rows, ours, **rest))
    np.testing.assert_allclose(found, theirs.predict_proba(x), **close)
    found = to_numpy(mixture_log_prob(rows, ours, **rest))
    np.testing.assert_allclose(found, theirs.score_samples(x), **close)
    np.testing.assert_allclose(float(mixture_bic(rows, ours, **rest)), theirs.bic(x), **close)
    np.testing.assert_allclose(float(mixture_aic(rows, ours, **rest)), theirs.aic(x), **close)


@pytest.mark.parametrize("kind", KINDS)
def test_likelihood_never_falls(kind):
    x, start = problem()
    state, seen = mixture_init(x, start, covariance=kind), []
    for _ in range(20):
        state = mixture_step(x, state, covariance=kind, tol=0.0, reg_covar=0.0)
        seen.append(float(state.log_likelihood))
    assert np.all(np.diff(seen) > -1e-12)
    assert seen[-1] > seen[0]


def test_steps_are_the_fit(xp, asarray, to_numpy):
    x, start = (asarray(xp, a) for a in problem())
    fit = gaussian_mixture(x, 3, key=0, init=start)
    state = mixture_init(x, start)
    assert int(state.status) == RUNNING
    while int(state.status) == RUNNING:
        state = mixture_step(x, state)
    assert int(state.n_iter) == int(fit.n_iter)
    means = to_numpy(state.means) + to_numpy(state.origin)
    np.testing.assert_allclose(means, to_numpy(fit.means), rtol=1e-4)
    np.testing.assert_allclose(to_numpy(state.covariances), to_numpy(fit.covariances), rtol=1e-3)


def test_k_means_is_the_limit_of_no_variance(xp, asarray, to_numpy):
    """With one tiny variance for all, every step is one of Lloyd's, to the fixed point."""
    x, start = problem()
    rows, start = asarray(xp, x), asarray(xp, start)
    mixture = mixture_init(rows, start, covariance="spherical")
    lloyd = kf.lloyd_step(rows, kf.lloyd_init(rows, start))
    even = xp.ones_like(mixture.proportions) / 3
    for _ in range(12):
        np.testing.assert_allclose(to_numpy(mixture.means), to_numpy(lloyd.centroids), atol=1e-4)
        tiny = xp.full_like(mixture.covariances, 1e-5)
        cold = mixture._replace(covariances=tiny, proportions=even)
        mixture = mixture_step(rows, cold, covariance="spherical", reg_covar=0.0)
        lloyd = kf.lloyd_step(rows, lloyd, tol=0.0)
    fixed = kf.lloyd(rows, start, tol=0.0)
    assert int(fixed.n_iter) <= 12
    found = to_numpy(mixture.means) + to_numpy(mixture.origin)
    np.testing.assert_allclose(found, to_numpy(fixed.centroids), atol=1e-4)


@pytest.mark.uncompiled
@pytest.mark.parametrize("kind", ["full", "tied"])
def test_weights_obey_their_laws(xp, asarray, to_numpy, kind):
    """Zero is absent, m is m copies, and a common factor changes the likelihood alone."""
    x, start = problem()
    counts = np.random.default_rng(2).integers(0, 3, size=90)
    options = {"key": 0, "init": asarray(xp, start), "covariance": kind}
    copies = gaussian_mixture(asarray(xp, np.repeat(x, counts, axis=0)), 3, **options)
    for factor in (1.0, 2.5):
        weights = asarray(xp, counts * factor)
        weighted = gaussian_mixture(asarray(xp, x), 3, weights=weights, **options)
        assert int(weighted.n_iter) == int(copies.n_iter)
        total = factor * float(copies.log_likelihood)
        np.testing.assert_allclose(float(weighted.log_likelihood), total, rtol=1e-4)
        for field in ("means", "covariances", "proportions"):
            ours, theirs = (to_numpy(getattr(r, field)) for r in (weighted, copies))
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
    bic = mixture_bic(asarray(xp, x), copies, covariance=kind, weights=asarray(xp, counts * 1.0))
    same = mixture_bic(asarray(xp, np.repeat(x, counts, axis=0)), copies, covariance=kind)
    np.testing.assert_allclose(float(bic), float(same), rtol=1e-4)


@pytest.mark.parametrize("kind", ["full", "tied", "spherical"])
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, kind):
    x, start = problem()
    both, options = np.stack([x, x[::-1] * 2 + 1]), {"key": 0, "covariance": kind, "max_iter": 4}
    starts = np.stack([start, start * 2 + 1])
    batch = gaussian_mixture(asarray(xp, both), 3, init=asarray(xp, starts), **options)
    for i in range(2):
        one = gaussian_mixture(asarray(xp, both[i]), 3, init=asarray(xp, starts[i]), **options)
        for ours, theirs in zip(batch, one, strict=True):
            np.testing.assert_allclose(to_numpy(ours)[i], to_numpy(theirs), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_do_not_matter(kind):
    x, _ = problem()
    options = {"key": 0, "covariance": kind, "max_iter": 5}
    whole = gaussian_mixture(x, 3, **options)
    for ours, theirs in zip(gaussian_mixture(x, 3, chunk_size=13, **options), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_component_without_rows_stays(xp, asarray, to_numpy):
    x, start = problem()
    start = np.concatenate([start, [[1e3, 1e3]]])
    ours = gaussian_mixture(asarray(xp, x), 4, key=0, init=asarray(xp, start))
    assert int(ours.status) == CONVERGED
    assert float(to_numpy(ours.proportions)[3]) == 0
    np.testing.assert_allclose(to_numpy(ours.means)[3], 1e3, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(ours.proportions).sum(), 1, rtol=1e-5)


def test_offset_costs_little(xp, asarray, to_numpy):
    x, start = (a.astype(np.float32) for a in problem())
    near, far = (
        gaussian_mixture(asarray(xp, x + shift), 3, key=0, init=asarray(xp, start + shift))
        for shift in (np.float32(0), np.float32(1024))
    )
    np.testing.assert_allclose(to_numpy(far.covariances), to_numpy(near.covariances), atol=0.01)


@pytest.mark.uncompiled
@pytest.mark.parametrize("kind", KINDS)
def test_equal_rows_need_regularisation(xp, asarray, kind):
    x = asarray(xp, np.ones((8, 2)))
    start = asarray(xp, np.ones((2, 2)))
    fit = gaussian_mixture(x, 2, key=0, init=start, covariance=kind, reg_covar=1e-3)
    assert int(fit.status) == CONVERGED
    fit = gaussian_mixture(x, 2, key=0, init=start, covariance=kind, reg_covar=0.0)
    assert int(fit.status) == NONFINITE


@pytest.mark.backend("numpy", "torch")
def test_starts(xp, asarray):
    x = asarray(xp, problem()[0])
    found = {init: gaussian_mixture(x, 3, key=0, init=init) for init in ("kmeans", "k-means++")}
    best = max(float(fit.log_likelihood) for fit in found.values())
    assert float(found["kmeans"].log_likelihood) > best - 1.0
    assert int(gaussian_mixture(x, 3, key=0, max_iter=1).status) == MAX_ITER


@pytest.mark.backend("numpy", "torch")
def test_bic_finds_the_number_of_groups(xp, asarray):
    x = asarray(xp, problem()[0])
    bic = {k: float(mixture_bic(x, gaussian_mixture(x, k, key=0))) for k in (1, 2, 3, 5)}
    assert min(bic, key=bic.get) == 3


BAD = [
    ({"covariance": "round"}, "covariance must be one of 'full', 'tied', 'diag', 'spherical'"),
    ({"reg_covar": -1.0}, "reg_covar must be finite and not negative"),
    ({"max_iter": 0}, "max_iter must be at least 1"),
    ({"init": "kmean"}, "init must be one of"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input(xp, asarray, options, message):
    with pytest.raises(ValueError, match=message):
        gaussian_mixture(asarray(xp, problem()[0]), 3, key=0, **options)


def test_a_mixture_of_another_kind(xp, asarray):
    x = asarray(xp, problem()[0])
    fit = gaussian_mixture(x, 3, key=0, covariance="diag", max_iter=1)
    with pytest.raises(ValueError, match=r"mixture must have covariances \(..., 3, 2, 2\)"):
        mixture_log_prob(x, fit)
