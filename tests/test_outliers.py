"""Anomaly scores and thresholds: plain loops, degenerate clusters, weights."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from scipy.stats import median_abs_deviation

from kmeans_fx import anomaly_scores, anomaly_threshold, kmeans, lloyd, trimmed_kmeans

lazy_xp_function(anomaly_scores)
lazy_xp_function(anomaly_threshold)

CENTERS = np.asarray([[0.0, 0.0], [50.0, 0.0], [0.0, 500.0]])


def problem(n=90, seed=0):
    """Three groups of spreads 1, 3 and 30; the first row of each lies far from it."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    x = CENTERS[labels] + np.asarray([1.0, 3.0, 30.0])[labels, None] * rng.normal(size=(n, 2))
    x[:3] = CENTERS + np.asarray([[9.0, 0.0], [0.0, 22.0], [150.0, 150.0]])
    return x


def fit(xp, asarray, x, weights=None, starts=CENTERS, **options):
    """A fit by NumPy, in arrays of any library."""
    result = lloyd(x, starts, weights=weights, **options)
    return type(result)(*(asarray(xp, field) for field in result))


def loops(x, centroids, labels):
    far = np.linalg.norm(x - centroids[labels], axis=1)
    scores = np.empty(len(x))
    for j in range(len(centroids)):
        own = far[labels == j]
        scale = median_abs_deviation(own, scale="normal")
        scores[labels == j] = (own - np.median(own)) / scale
    return scores


@pytest.mark.x64
def test_equals_loops(xp, asarray, to_numpy):
    x = problem()
    result = fit(xp, asarray, x)
    ours = anomaly_scores(asarray(xp, x, "float64"), result)
    expected = loops(x, to_numpy(result.centroids), to_numpy(result.labels))
    np.testing.assert_allclose(to_numpy(ours), expected, rtol=1e-6, atol=1e-6)


def test_finds_what_is_far_for_its_cluster(xp, asarray, to_numpy):
    x = problem()
    result = fit(xp, asarray, x)
    scores = anomaly_scores(asarray(xp, x), result)
    found = np.flatnonzero(to_numpy(scores > anomaly_threshold(scores)))
    np.testing.assert_array_equal(found, [0, 1, 2])
    # The distance alone says so of the wide group only.
    far = np.linalg.norm(x - to_numpy(result.centroids)[to_numpy(result.labels)], axis=1)
    assert set(np.argsort(far)[-3:]) != {0, 1, 2}


def test_a_trimmed_fit(xp, asarray, to_numpy):
    """Rows that were left out have scores, and no part in what is usual."""
    x = problem()
    x[:3] *= 100
    result = trimmed_kmeans(x, 3, trim=3 / 90, key=0, init=CENTERS)
    ours = type(result)(*(asarray(xp, field) for field in result))
    scores = to_numpy(anomaly_scores(asarray(xp, x), ours))
    centroids, labels = result.centroids, result.labels
    np.testing.assert_array_equal(np.flatnonzero(labels < 0), [0, 1, 2])
    kept = loops(x[3:], centroids, labels[3:])
    np.testing.assert_allclose(scores[3:], kept, rtol=1e-3, atol=1e-3)
    assert scores[:3].min() > 3 * kept.max()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        # A row of its own is no more unusual than its centroid.
        ([0.0, 1.0, 2.0, 9.0, 500.0], None),
        # Most rows at one place: the mean deviation of all stands in.
        ([0.0, 0.0, 0.0, 0.0, 5.0, 500.0], None),
        ([3.0, 3.0, 3.0, 500.0, 500.0], [0.0] * 5),
        ([3.0, 500.0], [0.0] * 2),
    ],
)
def test_degenerate_clusters(xp, asarray, to_numpy, x, expected):
    x = np.asarray(x)[:, None]
    result = fit(xp, asarray, x, starts=np.asarray([[3.0], [500.0]]))
    scores = to_numpy(anomaly_scores(asarray(xp, x), result))
    assert np.all(np.isfinite(scores))
    assert scores[-1] == 0
    if expected is None:
        assert scores.argmax() == len(x) - 2
        assert scores.max() > 1
    else:
        np.testing.assert_array_equal(scores, expected)


def test_a_cluster_without_spread_takes_that_of_all(to_numpy):
    x = np.asarray([0.0, 1.0, 2.0, 4.0, 7.0, 100.0, 102.0])[:, None]
    labels = np.asarray([0, 0, 0, 0, 0, 1, 1])
    result = kmeans(x, 2, key=0)._replace(labels=labels, centroids=np.asarray([[2.0], [100.0]]))
    far = np.asarray([2.0, 1, 0, 2, 5])
    own = 1.482602218505602 * np.median(np.abs(far - 2))
    np.testing.assert_allclose(anomaly_scores(x, result)[:5], (far - 2) / own)
    # Distances 0 and 2 to the other centroid: median 1, MAD 1.
    np.testing.assert_allclose(anomaly_scores(x, result)[5:], np.asarray([-1, 1]) / 1.4826, 1e-4)
    alone = result._replace(labels=np.asarray([0, 0, 0, 0, 0, 0, 1]))
    assert anomaly_scores(x, alone)[6] == 0


def test_weight_m_is_m_copies_and_zero_is_absent(xp, asarray, to_numpy):
    x, times = problem(), np.random.default_rng(1).integers(0, 4, 90)
    copies = np.repeat(x, times, axis=0)
    theirs = anomaly_scores(copies, lloyd(copies, CENTERS))
    result = fit(xp, asarray, x, times)
    for factor in (1.0, 0.1):
        weights = asarray(xp, factor * times)
        scores = anomaly_scores(asarray(xp, x), result, weights=weights)
        ours = np.repeat(to_numpy(scores), times)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
        for options in ({}, {"quantile": 0.9}):
            weighted = anomaly_threshold(scores, weights=weights, **options)
            repeated = anomaly_threshold(theirs, **options)
            np.testing.assert_allclose(float(weighted), float(repeated), rtol=1e-3)


def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy):
    x = np.stack([problem(seed=seed) for seed in range(2)])
    result = fit(xp, asarray, x)
    scores = anomaly_scores(asarray(xp, x), result)
    bounds = anomaly_threshold(scores)
    assert scores.shape == (2, 90)
    assert bounds.shape == (2,)
    for i in range(2):
        one = anomaly_scores(x[i], type(result)(*(to_numpy(field)[i] for field in result)))
        np.testing.assert_allclose(to_numpy(scores)[i], one, atol=1e-2)
        np.testing.assert_allclose(to_numpy(bounds)[i], anomaly_threshold(one), rtol=1e-2)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_other_metrics(xp, asarray, to_numpy, metric):
    x = problem() + 10.0
    rows = asarray(xp, x)
    result = fit(xp, asarray, x, starts=CENTERS + 10.0, metric=metric, max_iter=5)
    scores = to_numpy(anomaly_scores(rows, result, metric=metric))
    assert np.all(np.isfinite(scores))
    for label in range(3):
        own = scores[to_numpy(result.labels) == label]
        np.testing.assert_allclose(np.median(own), 0, atol=1e-2)
        np.testing.assert_allclose(median_abs_deviation(own, scale="normal"), 1, atol=1e-2)


def test_thresholds(xp, asarray):
    scores = asarray(xp, np.asarray([3.0, 1.0, 2.0, 4.0, 100.0]))
    np.testing.assert_allclose(float(anomaly_threshold(scores, z=2.0)), 3 + 2 * 1.4826, rtol=1e-4)
    assert float(anomaly_threshold(scores, quantile=0.8)) == 52.0
    assert float(anomaly_threshold(scores, quantile=0.7)) == 4.0
    assert float(anomaly_threshold(scores, quantile=1.0)) == 100.0


@pytest.mark.eager
def test_bad_input_is_named(xp, asarray):
    x = problem()
    rows, result = asarray(xp, x), fit(xp, asarray, x)
    with pytest.raises(ValueError, match="labels must have shape"):
        anomaly_scores(rows[:9, :], result)
    with pytest.raises(ValueError, match="centroids must have shape"):
        anomaly_scores(rows[:, :1], result)
    with pytest.raises(ValueError, match="metric must be one of"):
        anomaly_scores(rows, result, metric="l7")
    with pytest.raises(ValueError, match="x must be finite"):
        anomaly_scores(rows * float("nan"), result)
    with pytest.raises(ValueError, match="quantile must be from 0 to 1, got 90"):
        anomaly_threshold(rows[:, 0], quantile=90)
    with pytest.raises(ValueError, match="z must be from 0 to inf, got -1"):
        anomaly_threshold(rows[:, 0], z=-1)
    with pytest.raises(ValueError, match="scores must have shape"):
        anomaly_threshold(rows[:0, 0])
    with pytest.raises(TypeError, match="scores must be an array, got list"):
        anomaly_threshold([1.0])
