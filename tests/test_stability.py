"""Restarts, samples, noise, traces and outliers: against definitions, and on data that is known."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import kmeans_fx as kf
from kmeans_fx import stability
from kmeans_fx._backend.random import as_key, normal, split
from kmeans_fx.stability import _samples

CENTERS = np.asarray([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])


def three(n=45, seed=0):
    """Three groups of unit normals."""
    rng = np.random.default_rng(seed)
    return CENTERS[np.arange(n) % 3] + rng.standard_normal((n, 2))


def noise(n=60):
    return np.random.default_rng(1).standard_normal((n, 2))


def jaccard_by_loops(labels, others, there, k):
    """Similarity of each cluster with the nearest of the others, over the rows that are there."""
    result = []
    for j in range(k):
        own = set(np.flatnonzero((labels == j) & there))
        refit = [set(np.flatnonzero((others == m) & there)) for m in range(k)]
        similar = [len(own & other) / max(1, len(own | other)) for other in refit]
        result.append(max(similar) if own else np.nan)
    return result


# ---- restarts


def test_agreement_is_that_of_all_pairs(xp, asarray, to_numpy):
    found = stability.restart_agreement(asarray(xp, noise()), 4, key=0, n_init=3)
    labels, agreement = to_numpy(found.labels), to_numpy(found.agreement)
    expected = [[adjusted_rand_score(a, b) for b in labels] for a in labels]
    np.testing.assert_allclose(agreement, expected, rtol=1e-5)
    assert (agreement < 0.99).any()
    pairs = agreement[np.triu_indices(3, 1)]
    np.testing.assert_allclose(float(found.mean), pairs.mean(), rtol=1e-5)
    inertia = to_numpy(found.inertia)
    assert inertia[int(found.best)] == inertia.min()


@pytest.mark.uncompiled
def test_traces_tell_which_start_is_stuck(xp, asarray, to_numpy):
    rng = np.random.default_rng(0)
    x = 6.0 * (np.arange(300) % 12)[:, None] + rng.standard_normal((300, 1))
    found = stability.inertia_trace(asarray(xp, x), 12, key=0, n_init=4, max_iter=20)
    history, inertia = to_numpy(found.history), to_numpy(found.inertia)
    assert history.shape == (4, 20)
    for row, end, turns in zip(history, inertia, to_numpy(found.n_iter), strict=True):
        seen = row[: int(turns)]
        assert np.isfinite(seen).all()
        assert np.isnan(row[int(turns) :]).all()
        assert (np.diff(seen) <= 1e-3 * seen[0]).all()
        assert end <= seen[-1] * (1 + 1e-4)
    stuck = to_numpy(found.local_minimum)
    np.testing.assert_array_equal(stuck, inertia > 1.001 * inertia.min())
    np.testing.assert_allclose(to_numpy(found.excess), inertia / inertia.min() - 1, atol=1e-4)
    assert not stuck[int(found.best)]
    assert stuck.any()


@pytest.mark.backend("numpy")
def test_no_start_is_stuck_on_clear_groups():
    found = stability.inertia_trace(three(), 3, key=0)
    assert not found.local_minimum.any()
    assert stability.restart_agreement(three(), 3, key=0).mean == pytest.approx(1)


# ---- samples


@pytest.mark.uncompiled
@pytest.mark.parametrize("weighted", [False, True])
def test_jaccard_is_that_of_plain_loops(xp, asarray, to_numpy, weighted):
    rng = np.random.default_rng(0)
    labels, others = rng.integers(4, size=30), rng.integers(4, size=(2, 30))
    labels[labels == 3] = 0  # a cluster without rows
    there = rng.random((2, 30)) < 0.6
    weights = 1.0 * there * (rng.integers(1, 3, size=30) if weighted else 1)
    best, match = _samples.jaccard_of(
        asarray(xp, labels), asarray(xp, others), 4, asarray(xp, weights)
    )
    copies = (weights[0]).astype(int) if weighted else None
    expected = [jaccard_by_loops(labels, o, t, 4) for o, t in zip(others, there, strict=True)]
    if weighted:
        repeated = (np.repeat(a, copies) for a in (labels, others[0]))
        expected = [jaccard_by_loops(*repeated, np.ones(copies.sum(), bool), 4)]
    np.testing.assert_allclose(to_numpy(best)[: len(expected)], expected, rtol=1e-5)
    assert match.shape == (2, 4)


@pytest.mark.uncompiled
def test_draws(xp, asarray, to_numpy):
    x = asarray(xp, noise(50))
    keys = split(as_key(0, xp, getattr(x, "device", None)), 3)
    weights = np.random.default_rng(0).integers(0, 3, size=50) * 1.0
    counts = to_numpy(_samples.bootstrap_weights(keys, x, None))
    np.testing.assert_array_equal(counts.sum(axis=1), 50)
    assert counts.max() > 1
    assert not np.array_equal(counts[0], counts[1])
    weighed = to_numpy(_samples.bootstrap_weights(keys, x, asarray(xp, weights)))
    np.testing.assert_array_equal(weighed, counts * weights)
    chosen = to_numpy(_samples.subsample_weights(keys, x, None, 20))
    np.testing.assert_array_equal(chosen.sum(axis=1), 20)
    assert set(np.unique(chosen)) == {0, 1}
    assert not np.array_equal(chosen[0], chosen[1])


@pytest.mark.backend("numpy")
def test_bootstrap_draws_all_rows_equally():
    x = np.zeros((40, 1))
    counts = _samples.bootstrap_weights(split(as_key(0, np, None), 2000), x, None)
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.12)
    np.testing.assert_allclose((counts == 0).mean(), (1 - 1 / 40) ** 40, atol=0.01)


@pytest.mark.backend("numpy")
def test_normal_numbers_are_normal():
    values = normal(as_key(0, np, None), (40_000,), np.float64)
    assert np.isfinite(values).all()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        np.testing.assert_allclose(np.mean(values**power), moment, atol=0.08)


@pytest.mark.uncompiled
@pytest.mark.parametrize("scheme", ["bootstrap", "subsample"])
def test_real_clusters_are_found_again_and_cut_ones_are_not(xp, asarray, to_numpy, scheme):
    """Three groups are stable as three; as four, one is cut in two, another one each time."""
    x = asarray(xp, three(60))
    options = {"key": 0, "n_samples": 12, "scheme": scheme, "n_init": 3}
    whole, cut = (stability.bootstrap_stability(x, k, **options) for k in (3, 4))
    assert to_numpy(whole.jaccard).min() > 0.95
    assert to_numpy(cut.jaccard).min() < 0.75
    assert cut.samples.shape == cut.matches.shape == (12, 4)
    assert cut.agreement.shape == (12,)
    assert float(np.mean(to_numpy(whole.agreement))) > 0.95


@pytest.mark.backend("numpy")
def test_stability_is_the_mean_over_the_refits():
    x, k = noise(), 3
    found = stability.bootstrap_stability(x, k, key=3, n_samples=4, scheme="subsample")
    np.testing.assert_allclose(found.jaccard, found.samples.mean(axis=0))
    words = as_key(3, np, None)
    fit = kf.kmeans(x, k, key=words, n_init=5)
    np.testing.assert_array_equal(found.labels, fit.labels)
    pair = split(words)
    sample = _samples.subsample_weights(split(pair[0], 4), x, None, 30)
    for i in range(4):
        refit = kf.kmeans(x, k, key=pair[1], n_init=5, weights=sample[i])
        there = sample[i] > 0
        expected = jaccard_by_loops(fit.labels, refit.labels, there, k)
        np.testing.assert_allclose(found.samples[i], expected)
        alike = adjusted_rand_score(fit.labels[there], refit.labels[there])
        np.testing.assert_allclose(found.agreement[i], alike)


@pytest.mark.backend("numpy")
def test_batches_do_not_matter(monkeypatch):
    x = noise()
    calls = [
        lambda: stability.bootstrap_stability(x, 3, key=0, n_samples=5, n_init=2),
        lambda: stability.noise_stability(x, 3, key=0, n_samples=5, n_init=2),
    ]
    whole = [call() for call in calls]
    monkeypatch.setattr(_samples, "_NUMBERS", 2 * x.size)
    for one, call in zip(whole, calls, strict=True):
        for a, b in zip(one, call(), strict=True):
            np.testing.assert_allclose(a, b)


# ---- noise


@pytest.mark.uncompiled
def test_noise_of_the_size_of_the_gaps_dissolves_clusters(xp, asarray, to_numpy):
    x = asarray(xp, three())
    little, much = (
        to_numpy(stability.noise_stability(x, 3, key=0, n_samples=4, scale=s, n_init=2).jaccard)
        for s in (0.05, 2.0)
    )
    np.testing.assert_allclose(little, 1)
    assert much.max() < 0.8


@pytest.mark.backend("numpy")
def test_noise_has_the_deviation_asked_for():
    x = np.zeros((5000, 2))
    rows = _samples.noisy(split(as_key(0, np, None), 2), x, np.asarray([1.0, 3.0]))
    np.testing.assert_allclose(rows.std(axis=1), [[1, 3]] * 2, rtol=0.05)
    assert not np.array_equal(rows[0], rows[1])


# ---- outliers


@pytest.mark.uncompiled
def test_outliers_that_pull_a_centroid_are_seen(xp, asarray, to_numpy):
    x = three()
    x[:2] = [[-40.0, 2.0], [-35.0, 0.0]]
    found = stability.outlier_influence(asarray(xp, x), 3, key=0, fraction=2 / 45, n_init=3)
    result = type(found)(*(to_numpy(field) for field in found))
    if len(set(result.labels[:2])) == 1 and (result.labels == result.labels[0]).sum() > 2:
        assert set(result.outliers) == {0, 1}
    kept = np.delete(np.arange(45), result.outliers)
    assert len(result.outliers) == 2
    far = np.linalg.norm(x - result.centroids[result.labels], axis=1)
    assert far[result.outliers].min() >= np.delete(far, result.outliers).max() - 1e-4
    moved = np.linalg.norm(result.centroids_without - result.centroids, axis=1)
    np.testing.assert_allclose(result.shift, moved, rtol=1e-4, atol=1e-5)
    for j in range(3):
        rows = x[kept][result.labels_without[kept] == j]
        np.testing.assert_allclose(result.centroids_without[j], rows.mean(axis=0), rtol=1e-3)
        radius = np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean())
        np.testing.assert_allclose(
            result.relative_shift[j], moved[j] / radius, rtol=1e-3, atol=1e-4
        )
    alike = adjusted_rand_score(result.labels[kept], result.labels_without[kept])
    np.testing.assert_allclose(float(found.agreement), alike, rtol=1e-5)
    squares = ((x[kept] - result.centroids[result.labels[kept]]) ** 2).sum()
    np.testing.assert_allclose(float(found.inertia), squares, rtol=1e-4)
    assert float(found.inertia_without) <= squares * (1 + 1e-4)


@pytest.mark.backend("numpy")
def test_a_centroid_that_an_outlier_pulls_comes_back():
    """Two groups, and one row far away that two centroids cannot have to themselves."""
    x = np.concatenate([np.arange(20.0), 100 + np.arange(20.0), [150.0]])[:, None]
    found = stability.outlier_influence(x, 2, key=0, fraction=0.01)
    assert found.outliers.tolist() == [40]
    right = int(np.argmax(found.centroids[:, 0]))
    np.testing.assert_allclose(found.centroids_without[right], 109.5)
    np.testing.assert_allclose(found.shift[right], (150 - 109.5) / 21)
    np.testing.assert_allclose(found.shift[1 - right], 0, atol=1e-9)
    assert found.agreement == pytest.approx(1)


@pytest.mark.backend("numpy")
def test_rows_that_are_all_equal_have_no_radius():
    x = np.repeat([[0.0], [5.0]], 4, axis=0)
    found = stability.outlier_influence(x, 2, key=0)
    np.testing.assert_array_equal(found.shift, 0)
    np.testing.assert_array_equal(found.relative_shift, 0)


# ---- weights


@pytest.mark.backend("numpy")
def test_weight_zero_is_absent():
    x = three()
    far = np.concatenate([x, [[300.0, 300.0]] * 3])
    weights = np.r_[np.ones(45), np.zeros(3)]
    found = stability.noise_stability(far, 3, key=0, n_samples=4, weights=weights)
    np.testing.assert_allclose(found.jaccard, 1)
    found = stability.bootstrap_stability(far, 3, key=0, n_samples=10, weights=weights)
    assert found.jaccard.min() > 0.9
    found = stability.outlier_influence(far, 3, key=0, weights=weights)
    assert found.outliers.max() < 45
    agreement = stability.restart_agreement(far, 3, key=0, weights=weights)
    plain = stability.restart_agreement(x, 3, key=0)
    np.testing.assert_allclose(np.sort(agreement.inertia), np.sort(plain.inertia))


@pytest.mark.backend("torch")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    torch = pytest.importorskip("torch")
    x = torch.asarray(three()).to(getattr(torch, dtype))
    found = stability.bootstrap_stability(x, 3, key=0, n_samples=3)
    assert found.jaccard.dtype == torch.float32
    shaken = stability.noise_stability(x, 3, key=0, n_samples=3)
    np.testing.assert_allclose(shaken.jaccard, 1, atol=0.05)
    outliers = stability.outlier_influence(x, 3, key=0)
    assert outliers.shift.dtype == torch.float32


# ---- bad input

X = three()


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("restart_agreement", {"n_init": 1}, ValueError, "n_init must be at least 2"),
        ("restart_agreement", {"k": 46}, ValueError, "k must be at most the number of rows"),
        ("restart_agreement", {"key": -1}, ValueError, "key must be between"),
        ("bootstrap_stability", {"scheme": "jackknife"}, ValueError, "scheme must be one of"),
        ("bootstrap_stability", {"fraction": 1.0}, ValueError, "fraction must be above 0"),
        ("bootstrap_stability", {"n_samples": 0}, ValueError, "n_samples must be at least 1"),
        ("noise_stability", {"scale": 0.0}, ValueError, "scale must be positive"),
        ("noise_stability", {"x": X[0]}, ValueError, "x must have shape"),
        ("inertia_trace", {"rtol": -1.0}, ValueError, "rtol must not be negative"),
        ("inertia_trace", {"x": X[None]}, ValueError, r"x must have shape \(n, d\)"),
        ("inertia_trace", {"x": X * np.nan}, ValueError, "x must be finite"),
        ("outlier_influence", {"fraction": 0}, ValueError, "fraction must be above 0"),
        ("outlier_influence", {"k": 45}, ValueError, "k must be below the number of rows"),
        ("outlier_influence", {"weights": np.zeros(45)}, ValueError, "weights must not all"),
        ("outlier_influence", {"metric": "l2"}, ValueError, "metric must be one of"),
    ],
)
def test_bad_input_is_named(name, options, error, message):
    words = {"x": X, "k": 3, "key": 0} | options
    with pytest.raises(error, match=message):
        getattr(stability, name)(words.pop("x"), words.pop("k"), **words)
