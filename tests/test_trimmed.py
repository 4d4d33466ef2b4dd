"""Trimmed k-means: plain loops, the paper's claims, weights, batches, gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kmeans_fx import (
    CONVERGED,
    NONFINITE,
    Metric,
    kmeans,
    kmeans_plusplus,
    lloyd,
    trimmed_kmeans,
)
from kmeans_fx._trimming import left_in
from tests import reference

K = 4
CENTERS = np.asarray([[0.0, 0.0], [10, 0], [0, 10], [10, 10]])


def with_outliers(n=95, outliers=5, seed=0):
    """Rows of four groups, then gross outliers."""
    rng = np.random.default_rng(seed)
    rows = CENTERS[rng.integers(K, size=n)] + rng.standard_normal((n, 2))
    return np.concatenate([rows, rng.uniform(100, 300, size=(outliers, 2))])


def loops(x, centroids, trim, max_iter=300):
    """k-means-- as the paper's algorithm 1 reads, for a whole number of rows."""
    previous, out = None, round(trim * len(x))
    trace = []
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - the count is a result
        labels, far = reference.nearest(x, centroids)
        order = sorted(range(len(x)), key=lambda i: -far[i])
        gone = set(order[:out])
        trace.append(sum(far[i] for i in range(len(x)) if i not in gone))
        marked = [-1 if i in gone else label for i, label in enumerate(labels)]
        weights = [0.0 if i in gone else 1.0 for i in range(len(x))]
        centroids = reference.means(x, labels, weights, centroids)
        if marked == previous:
            break
        previous = marked
    return np.asarray(centroids), np.asarray(marked), trace, n_iter


def same(to_numpy, ours, theirs, atol=1e-4):
    np.testing.assert_array_equal(to_numpy(ours.labels), to_numpy(theirs.labels))
    np.testing.assert_allclose(to_numpy(ours.centroids), to_numpy(theirs.centroids), atol=atol)
    np.testing.assert_allclose(to_numpy(ours.inertia), to_numpy(theirs.inertia), rtol=1e-4)


@pytest.mark.parametrize("trim", [0.05, 0.29])
def test_equals_loops(xp, asarray, to_numpy, trim):
    x = with_outliers()
    starts = x[[0, 1, 2, 97]]  # one of them an outlier
    centroids, labels, trace, n_iter = loops(x, starts, trim)
    ours = trimmed_kmeans(
        asarray(xp, x),
        K,
        trim=trim,
        key=0,
        init=asarray(xp, starts),
        tol=0,
        history=True,
        max_iter=30,
    )
    np.testing.assert_array_equal(to_numpy(ours.labels), labels)
    np.testing.assert_array_equal(to_numpy(ours.kept), labels >= 0)
    np.testing.assert_array_equal(to_numpy(ours.weights), 1.0 * (labels >= 0))
    np.testing.assert_allclose(to_numpy(ours.centroids), centroids, atol=1e-4)
    np.testing.assert_allclose(to_numpy(ours.history)[:n_iter], trace, rtol=1e-5)
    np.testing.assert_allclose(float(ours.inertia), trace[-1], rtol=1e-5)
    assert int(ours.n_iter) == n_iter
    assert int(ours.status) == CONVERGED


def test_finds_groups_that_outliers_hide(xp, asarray, to_numpy):
    x = asarray(xp, with_outliers())
    for key in range(5):
        ours = trimmed_kmeans(x, K, trim=0.05, key=key)
        near = cdist(to_numpy(ours.centroids), CENTERS)
        assert sorted(near.argmin(axis=1)) == [0, 1, 2, 3]
        assert near.min(axis=1).max() < 0.6
        np.testing.assert_array_equal(np.flatnonzero(~to_numpy(ours.kept)), np.arange(95, 100))
        # Plain k-means spends centroids on the outliers, and so merges groups.
        plain = kmeans(with_outliers(), K, key=key, n_init=2).centroids
        assert cdist(CENTERS, plain).min(axis=1).max() > 3


@given(st.integers(0, 999), st.floats(0.0, 0.6), st.booleans())
def test_the_objective_never_rises(seed, trim, weighted):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(2, size=(40, 2))
    weights = rng.integers(0, 4, size=40) * 0.3 if weighted else None
    options = {"tol": 0, "history": True, "max_iter": 60, "empty": "keep", "init": x[:3]}
    ours = trimmed_kmeans(x, 3, trim=trim, key=0, weights=weights, **options)
    trace = np.append(ours.history[: int(ours.n_iter)], ours.inertia)
    assert int(ours.status) == CONVERGED
    assert np.all(np.diff(trace) <= 1e-9 * trace[0])


@given(st.integers(0, 999), st.integers(1, 9), st.floats(0.0, 0.95))
def test_what_is_left_in(seed, n, trim):
    """The least weighted sum: a linear program, solved by taking copies in order."""
    rng = np.random.default_rng(seed)
    far, times = rng.integers(0, 5, n) * 1.0, rng.integers(1, 4, n)
    kept = left_in(far, times * 1.0, trim)
    np.testing.assert_allclose(kept.sum(), (1 - trim) * times.sum(), rtol=1e-9)
    assert np.all((kept >= 0) & (kept <= times))
    copies = np.sort(np.repeat(far, times))[::-1]
    copied = left_in(copies, None, trim)
    np.testing.assert_allclose(kept @ far, copied @ copies, atol=1e-9)
    np.testing.assert_allclose(left_in(far, times / 3, trim), kept / 3, atol=1e-9)
    assert np.sum((kept > 0) & (kept < times)) <= 1


def test_weights_are_copies(xp, asarray, to_numpy):
    x, times = with_outliers(), np.random.default_rng(2).integers(0, 4, 100)
    options = {"trim": 0.07, "key": 0, "tol": 0}
    starts = {"init": asarray(xp, CENTERS + 1)}
    weighted, scaled = (
        trimmed_kmeans(asarray(xp, x), K, weights=asarray(xp, w), **starts, **options)
        for w in (times * 1.0, times * 0.1)
    )
    repeated = trimmed_kmeans(np.repeat(x, times, axis=0), K, init=CENTERS + 1, **options)
    same(to_numpy, scaled._replace(inertia=10 * scaled.inertia), weighted)
    same(to_numpy, weighted._replace(labels=repeated.labels), repeated)
    # The copies of a row may be on both sides of the cut.
    total = np.bincount(np.repeat(np.arange(100), times), to_numpy(repeated.weights), 100)
    np.testing.assert_allclose(to_numpy(weighted.weights), total, atol=1e-3)
    np.testing.assert_allclose(to_numpy(weighted.weights).sum(), 0.93 * times.sum(), rtol=1e-5)


def test_without_trim_it_is_lloyd(xp, asarray, to_numpy):
    x = with_outliers()[:95]
    ours = trimmed_kmeans(asarray(xp, x), K, trim=0, key=0, init=asarray(xp, x[:K]))
    same(to_numpy, ours, lloyd(x, x[:K]))


@pytest.mark.backend("array-api-strict", "numpy", "torch")  # JAX compiles for each
@pytest.mark.parametrize("metric", ["manhattan", "cosine", "own"])
def test_other_metrics(xp, asarray, to_numpy, metric):
    x = with_outliers() + 5.0
    x[95:, 0] *= -1  # far in direction, too
    own = Metric(lambda a, b: xp.sum((a - b) ** 2, axis=-1))
    metric, name = (own, "sqeuclidean") if metric == "own" else (metric, metric)
    ours = trimmed_kmeans(asarray(xp, x), K, trim=0.05, key=0, metric=metric, tol=0)
    table = cdist(x, to_numpy(ours.centroids), {"manhattan": "cityblock"}.get(name, name))
    labels, far = table.argmin(axis=1), table.min(axis=1)
    gone = np.argsort(far)[-5:]
    labels[gone] = -1
    np.testing.assert_array_equal(to_numpy(ours.labels), labels)
    np.testing.assert_allclose(float(ours.inertia), np.delete(far, gone).sum(), rtol=1e-4)


def test_a_batch_and_restarts_are_loops(xp, asarray, to_numpy):
    x = np.stack([with_outliers(seed=seed) for seed in range(2)])
    options = {"trim": 0.05, "key": 3, "n_init": 2}
    both = trimmed_kmeans(asarray(xp, x), K, **options)
    assert both.kept.shape == both.weights.shape == (2, 100)
    for i in range(2):
        one = trimmed_kmeans(x[i], K, **options)
        same(to_numpy, type(both)(*(to_numpy(field)[i] for field in both)), one)


def test_chunks_and_backends_agree(xp, asarray, to_numpy):
    x = with_outliers().astype(np.float32)
    ours = trimmed_kmeans(asarray(xp, x), K, trim=0.05, key=1, chunk_size=7)
    same(to_numpy, ours, trimmed_kmeans(x, K, trim=0.05, key=1))


@pytest.mark.parametrize("empty", ["farthest", "merge"])
def test_an_empty_cluster_does_not_take_an_outlier(xp, asarray, to_numpy, empty):
    x, starts = with_outliers(), CENTERS.copy()
    starts[3] = [1e4, -1e4]
    ours = trimmed_kmeans(
        asarray(xp, x), K, trim=0.05, key=0, init=asarray(xp, starts), empty=empty
    )
    assert np.abs(to_numpy(ours.centroids)).max() < 20
    np.testing.assert_array_equal(np.flatnonzero(~to_numpy(ours.kept)), np.arange(95, 100))


def test_kmeans_plusplus_leaves_outliers_alone(xp, asarray, to_numpy):
    x = asarray(xp, with_outliers())
    for key in range(5):
        assert np.abs(to_numpy(kmeans_plusplus(x, K, key=key, trim=0.05))).max() < 20
        assert np.abs(kmeans_plusplus(with_outliers(), K, key=key)).max() > 20


@pytest.mark.uncompiled
@pytest.mark.backend("jax", "torch")
@pytest.mark.eager
@pytest.mark.x64
def test_gradients_equal_finite_differences(xp, to_numpy):
    """In the rows and in their weights, of which the cut is a share."""
    x, rng = with_outliers(), np.random.default_rng(0)
    weights, moves = rng.uniform(0.5, 2, 100), (rng.random((100, 2)), rng.random(100))

    def loss(x, weights, xp=np):
        starts = xp.asarray(CENTERS)
        ours = trimmed_kmeans(x, K, trim=0.123, key=0, init=starts, weights=weights, tol=0)
        return ours.inertia + xp.sum(ours.centroids[0, :])

    if "torch" in xp.__name__:
        from torch.func import grad
    else:
        from jax import grad
    arrays = xp.asarray(x), xp.asarray(weights)
    slopes = grad(lambda x, w: loss(x, w, xp), (0, 1))(*arrays)
    ours = sum(np.sum(to_numpy(s) * m) for s, m in zip(slopes, moves, strict=True))
    up, down = (loss(x + s * moves[0], weights + s * moves[1]) for s in (1e-7, -1e-7))
    np.testing.assert_allclose(ours, (up - down) / 2e-7, rtol=1e-5)


@pytest.mark.backend("jax")
def test_bad_values_under_jit_are_a_status(xp, asarray):
    import jax

    x = with_outliers()
    fit = jax.jit(lambda x, w: trimmed_kmeans(x, K, trim=0.05, key=0, weights=w, init=x[:K]).status)
    weights = np.ones(100)
    assert fit(asarray(xp, x), asarray(xp, weights)) == CONVERGED
    assert fit(asarray(xp, np.where(x == x[7], np.nan, x)), asarray(xp, weights)) == NONFINITE
    assert fit(asarray(xp, x), asarray(xp, -weights)) == NONFINITE


@pytest.mark.eager
@pytest.mark.parametrize(
    ("trim", "error", "message"),
    [
        (1.0, ValueError, "trim must be from 0 to less than 1, got 1"),
        (-0.1, ValueError, "trim must be from 0 to less than 1, got -0.1"),
        (float("nan"), ValueError, "trim must be from 0 to less than 1, got nan"),
        ("few", TypeError, "trim must be a number, got 'few'"),
    ],
)
def test_a_bad_trim_is_named(xp, asarray, trim, error, message):
    with pytest.raises(error, match=message):
        trimmed_kmeans(asarray(xp, with_outliers()), K, trim=trim, key=0)
    with pytest.raises(error, match=message):
        kmeans_plusplus(asarray(xp, with_outliers()), K, trim=trim, key=0)
