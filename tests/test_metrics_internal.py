"""Scores of rows and labels: scikit-learn's values, blocks, weights, soft versions, gradients."""

import tracemalloc

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.datasets import load_wine

import kmeans_fx as kf
from kmeans_fx import metrics
from kmeans_fx._backend.pairs import rows_per_tile
from tests.parameters import uncompiled

SCORES = {
    "silhouette_score": sk.silhouette_score,
    "davies_bouldin_score": sk.davies_bouldin_score,
    "calinski_harabasz_score": sk.calinski_harabasz_score,
}
METRICS = ["euclidean", "sqeuclidean", "manhattan", "cosine"]
# By pairs of rows, and by sums.
TWO_METRICS = ["manhattan", "sqeuclidean", *uncompiled("euclidean", "cosine")]

lazy_xp_modules = [metrics]
for name in metrics.__all__:
    if (name.islower() and "silhouette" in name) or "inertia" in name or name in SCORES:
        lazy_xp_function(getattr(metrics, name))
lazy_xp_function(metrics.cluster_table)


def small(n=40, seed=0):
    """Rows near and far from zero; four clusters, of which one has one row."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[3], rng.integers(3, size=n - 1)])
    return rng.standard_normal((n, 3)) + 2 * labels[:, None], labels


def data(request, which):
    if which == "wine":
        return load_wine(return_X_y=True)
    if which in ("iris", "digits"):
        return request.getfixturevalue(which)
    x, labels = small()
    if which == "random labels":
        return x, np.random.default_rng(1).integers(5, size=40) * 9 - 7
    if which == "pairs":
        return x, np.arange(40) // 2
    if which == "all but two alone":
        return x, np.maximum(np.arange(40), 1)
    if which == "equal rows":
        return np.repeat(x[:5], 8, axis=0), np.repeat([0, 1, 2, 3, 0], 8)
    if which == "rows of zeros":
        x[:3] = x[-1] = 0
        return x, labels
    return x[:3], np.asarray([4, 4, 1])


DATA = [
    "iris",
    "random labels",
    "three rows",
    *uncompiled("wine", "digits", "pairs", "all but two alone", "equal rows", "rows of zeros"),
]


@pytest.mark.x64
@pytest.mark.eager
@pytest.mark.parametrize("which", DATA)
@pytest.mark.parametrize("name", SCORES)
def test_equals_scikit_learn(xp, asarray, request, which, name):
    x, labels = data(request, which)
    ours = getattr(metrics, name)(asarray(xp, x, "float64"), asarray(xp, labels))
    assert ours.dtype == xp.float64
    np.testing.assert_allclose(float(ours), SCORES[name](x, labels), rtol=1e-6, atol=1e-6)


@pytest.mark.x64
@pytest.mark.parametrize("which", ["rows of zeros", *uncompiled("iris", "random labels", "pairs")])
@pytest.mark.parametrize("metric", METRICS)
def test_silhouette_samples_of_every_metric(xp, asarray, to_numpy, request, which, metric):
    """Jitted on JAX."""
    x, labels = data(request, which)
    labels = np.unique(labels, return_inverse=True)[1]
    ours = metrics.silhouette_samples(
        asarray(xp, x, "float64"), asarray(xp, labels), metric=metric, k=labels.max() + 3
    )
    expected = sk.silhouette_samples(x, labels, metric=metric)
    np.testing.assert_allclose(to_numpy(ours), expected, atol=1e-7)


@pytest.mark.x64
@pytest.mark.parametrize(
    "which", ["three rows", "iris", *uncompiled("random labels", "wine", "digits")]
)
@pytest.mark.parametrize("name", SCORES)
def test_static_number_of_clusters(xp, asarray, request, which, name):
    """Jitted on JAX; clusters that have no rows do not matter."""
    x, labels = data(request, which)
    labels = np.unique(labels, return_inverse=True)[1]
    options = {"k": int(labels.max()) + 2}
    ours = getattr(metrics, name)(asarray(xp, x, "float64"), asarray(xp, labels), **options)
    np.testing.assert_allclose(float(ours), SCORES[name](x, labels), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_default_types_of_the_library(xp, asarray, blobs, name):
    """In float32 where that is the default, and far from the origin."""
    x, labels = blobs
    ours = getattr(metrics, name)(asarray(xp, x + 1e4), asarray(xp, labels), k=8)
    np.testing.assert_allclose(float(ours), SCORES[name](x, labels), rtol=2e-3)


def test_float32_keeps_small_clusters_far_apart():
    """Blocks are centred on their own rows, or the distances within would be rounding."""
    rng = np.random.default_rng(0)
    labels = np.arange(3 * rows_per_tile(np)) % 3
    centers = np.asarray([[0.0, 0.0], [1e4, 1e4], [1e4 + 3, 1e4]])
    x = (centers[labels] + rng.standard_normal((len(labels), 2))).astype(np.float32)
    ours = metrics.silhouette_samples(x, labels)
    np.testing.assert_allclose(ours, sk.silhouette_samples(x.astype(float), labels), atol=2e-3)


def test_float32_leaves_a_row_out_of_its_own_cluster():
    """What rounding makes of the distance of a row to itself weighs most in a pair."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) // 2
    x = (100 * rng.standard_normal((200, 4))[labels] + rng.standard_normal((400, 4))).astype("f4")
    ours = metrics.silhouette_samples(x, labels)
    error = np.abs(ours - sk.silhouette_samples(x.astype(float), labels))
    assert np.mean(error) < 1e-5


@pytest.mark.backend("torch")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_accumulates_in_float32(dtype):
    torch = pytest.importorskip("torch")
    x, labels = small()
    rows = torch.asarray(x).to(getattr(torch, dtype))
    ours = metrics.silhouette_score(rows, torch.asarray(labels))
    assert ours.dtype == torch.float32
    expected = sk.silhouette_score(rows.to(torch.float64).numpy(), labels)
    np.testing.assert_allclose(float(ours), expected, atol=1e-5)


@pytest.mark.parametrize("metric", TWO_METRICS)
def test_many_blocks(xp, asarray, to_numpy, metric):
    rng = np.random.default_rng(0)
    labels = rng.integers(12, size=1700)
    x = rng.standard_normal((1700, 3)) + labels[:, None]
    ours = metrics.silhouette_samples(asarray(xp, x), asarray(xp, labels), metric=metric, k=12)
    expected = sk.silhouette_samples(x, labels, metric=metric)
    np.testing.assert_allclose(to_numpy(ours), expected, atol=2e-3)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_no_array_of_n_by_n(metric):
    n = 6000
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((n, 4)), rng.integers(5, size=n)
    tracemalloc.start()
    metrics.silhouette_score(x, labels, metric=metric)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n * 8 / 5


def test_a_metric_of_the_user(xp, asarray, to_numpy):
    def chebyshev(x, y):
        return xp.max(xp.abs(x - y), axis=-1)

    x, labels = small()
    ours = metrics.silhouette_samples(
        asarray(xp, x), asarray(xp, labels), metric=kf.Metric(chebyshev), k=4
    )
    expected = sk.silhouette_samples(x, labels, metric="chebyshev")
    np.testing.assert_allclose(to_numpy(ours), expected, atol=1e-5)


@given(st.integers(3, 40), st.integers(2, 6), st.integers(0, 999))
def test_names_and_order_do_not_matter(n, k, seed):
    rng = np.random.default_rng(seed)
    x, labels = rng.standard_normal((n, 2)), rng.integers(k, size=n)
    if not 2 <= len(np.unique(labels)) <= n - 1:
        labels = np.arange(n) % 2
    order, names = rng.permutation(n), rng.permutation(k) * 5 - 4
    for name, reference in SCORES.items():
        ours = float(getattr(metrics, name)(x[order], names[labels][order]))
        np.testing.assert_allclose(ours, reference(x, labels), rtol=1e-6, atol=1e-6)


# ---- weights


@pytest.mark.parametrize("metric", TWO_METRICS)
def test_silhouette_weight_m_is_m_copies_and_zero_is_absent(xp, asarray, to_numpy, metric):
    x, labels = small()
    counts = np.random.default_rng(3).integers(0, 4, size=40)
    x[counts == 0] *= 1e5
    weights = asarray(xp, counts * 1.0)
    ours = metrics.silhouette_samples(
        asarray(xp, x), asarray(xp, labels), metric=metric, weights=weights, k=4
    )
    copies = np.repeat(x, counts, axis=0), np.repeat(labels, counts)
    expected = sk.silhouette_samples(*copies, metric=metric)
    np.testing.assert_allclose(np.repeat(to_numpy(ours), counts), expected, atol=3e-3)
    np.testing.assert_array_equal(to_numpy(ours)[counts == 0], 0)


@pytest.mark.x64
@pytest.mark.parametrize("name", [*SCORES, "simplified_silhouette_score", "inertia"])
def test_weight_m_is_m_copies_and_zero_is_absent(xp, asarray, name):
    x, labels = small()
    counts = np.random.default_rng(3).integers(0, 4, size=40)
    x[counts == 0] *= 1e5
    function = getattr(metrics, name)
    ours = function(
        asarray(xp, x, "float64"),
        asarray(xp, labels),
        weights=asarray(xp, counts * 1.0, "float64"),
        k=4,
    )
    copies = asarray(xp, np.repeat(x, counts, axis=0), "float64"), np.repeat(labels, counts)
    expected = function(copies[0], asarray(xp, copies[1]), k=4)
    np.testing.assert_allclose(float(ours), float(expected), rtol=1e-7)


def test_a_common_factor_of_the_weights():
    x, labels = small()
    weights = np.random.default_rng(0).random(40) + 0.1
    inertia, scaled = (metrics.inertia(x, labels, weights=w) for w in (weights, 5 * weights))
    np.testing.assert_allclose(scaled, 5 * inertia)
    for name in ("davies_bouldin_score", "simplified_silhouette_score"):
        one, other = (
            getattr(metrics, name)(x, labels, weights=w) for w in (40 * weights, 80 * weights)
        )
        np.testing.assert_allclose(one, other)


# ---- tables and centroids


@pytest.mark.parametrize("metric", ["cosine", *uncompiled("sqeuclidean", "euclidean", "manhattan")])
def test_inertia_is_that_of_the_fit(xp, asarray, blobs, metric):
    x, _ = blobs
    rows = asarray(xp, x)
    fit = kf.kmeans(rows, 8, key=0, metric=metric)
    ours = metrics.inertia(rows, fit.labels, centroids=fit.centroids, metric=metric)
    np.testing.assert_allclose(float(ours), float(fit.inertia), rtol=1e-4)
    found = metrics.inertia(rows, fit.labels, metric=metric, k=8)
    # The labels are those of these centroids, whose own centres may be a little better.
    assert float(found) <= float(fit.inertia) * (1 + 1e-4)
    np.testing.assert_allclose(float(found), float(fit.inertia), rtol=1e-2)


@pytest.mark.eager
def test_cluster_table(xp, asarray, to_numpy):
    x = asarray(xp, [[0.0, 0.0], [0.0, 2.0], [5.0, 5.0], [9.0, 9.0]])
    labels = asarray(xp, np.asarray([7, 7, -2, 7]))
    table = metrics.cluster_table(x, labels)
    np.testing.assert_array_equal(to_numpy(table.size), [1, 3])
    center = np.asarray([3.0, 11 / 3])
    far = ((np.asarray([[0.0, 0.0], [0.0, 2.0], [9.0, 9.0]]) - center) ** 2).sum()
    np.testing.assert_allclose(to_numpy(table.inertia), [0, far], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(table.mean_distance), [0, far / 3], rtol=1e-6)
    empty = metrics.cluster_table(x, asarray(xp, np.asarray([0, 0, 2, 2])), k=4)
    np.testing.assert_array_equal(to_numpy(empty.size), [2, 0, 2, 0])
    np.testing.assert_array_equal(to_numpy(empty.mean_distance)[[1, 3]], 0)


def test_simplified_silhouette(xp, asarray, to_numpy):
    x, labels = small()
    centers = np.stack([x[labels == j].mean(axis=0) for j in range(4)])
    far = np.linalg.norm(x[:, None] - centers, axis=-1)
    own = far[np.arange(40), labels]
    far[np.arange(40), labels] = np.inf
    samples = (far.min(axis=1) - own) / np.maximum(far.min(axis=1), own)
    samples[0] = 0  # alone
    ours = metrics.simplified_silhouette_score(asarray(xp, x), asarray(xp, labels), k=4)
    np.testing.assert_allclose(float(ours), samples.mean(), rtol=1e-4)
    given = metrics.simplified_silhouette_score(
        asarray(xp, x), asarray(xp, labels), centroids=asarray(xp, centers)
    )
    np.testing.assert_allclose(float(given), float(ours), rtol=1e-4)


def test_all_rows_are_centroids():
    x, labels = np.repeat([[0.1, 0.7], [1e4, 0.3]], 5, axis=0), np.repeat([0, 1], 5)
    assert float(metrics.calinski_harabasz_score(x, labels)) == 1
    assert float(metrics.davies_bouldin_score(x, labels)) == pytest.approx(0, abs=1e-12)
    assert float(metrics.silhouette_score(x, labels)) == pytest.approx(1)
    assert float(metrics.silhouette_score(0 * x, labels)) == 0


# ---- samples


def test_a_sample_is_scored_as_if_there_were_no_others(xp, asarray, blobs):
    x, labels = (asarray(xp, a) for a in blobs)
    options = {"sample_size": 100, "k": 8}
    ours = [float(metrics.silhouette_score(x, labels, key=key, **options)) for key in (0, 0, 1)]
    assert ours[0] == ours[1] != ours[2]
    full = float(metrics.silhouette_score(x, labels, k=8))
    np.testing.assert_allclose(ours, full, atol=0.03)


def test_a_sample_of_all_rows_is_the_score():
    x, labels = small()
    ours = metrics.silhouette_score(x, labels, sample_size=40, key=3)
    np.testing.assert_allclose(ours, sk.silhouette_score(x, labels))


# ---- batches


@pytest.mark.parametrize("name", [*SCORES, "simplified_silhouette_score", "inertia"])
def test_batch(xp, asarray, to_numpy, name):
    problems = [small(seed=seed) for seed in range(3)]
    x, labels = (np.stack(a) for a in zip(*problems, strict=True))
    function = getattr(metrics, name)
    ours = function(asarray(xp, x), asarray(xp, labels), k=4)
    expected = [float(function(a, b, k=4)) for a, b in problems]
    np.testing.assert_allclose(to_numpy(ours), expected, rtol=1e-4)
    shared = function(asarray(xp, x[0]), asarray(xp, labels), k=4)
    expected = [float(function(x[0], b, k=4)) for b in labels]
    np.testing.assert_allclose(to_numpy(shared), expected, rtol=1e-4)


# ---- soft versions


@pytest.mark.parametrize("metric", TWO_METRICS)
def test_soft_scores_of_certain_responsibilities_are_the_hard_ones(xp, asarray, metric):
    x, labels = small()
    certain = asarray(xp, np.eye(5)[labels])
    rows = asarray(xp, x)
    soft = metrics.soft_silhouette_score(rows, certain, metric=metric)
    np.testing.assert_allclose(
        float(soft), sk.silhouette_score(x, labels, metric=metric), rtol=1e-4
    )
    if metric != "manhattan":
        soft = metrics.soft_inertia(rows, certain, metric=metric)
        hard = metrics.inertia(rows, asarray(xp, labels), metric=metric, k=5)
        np.testing.assert_allclose(float(soft), float(hard), rtol=1e-4)


def soft_silhouette_by_loops(x, r, weights):
    n, k = r.shape
    far = np.linalg.norm(x[:, None] - x, axis=-1)
    total = 0.0
    for i in range(n):
        means = []
        for j in range(k):
            mass = sum(weights[m] * r[m, j] for m in range(n)) - r[i, j]
            means.append(sum(weights[m] * r[m, j] * far[i, m] for m in range(n)) / mass)
        for j in range(k):
            other = min(means[m] for m in range(k) if m != j)
            total += weights[i] * r[i, j] * (other - means[j]) / max(other, means[j])
    return total / sum(weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_soft_silhouette_equals_loops(xp, asarray, weighted):
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((12, 2)), rng.dirichlet(np.ones(3), size=12)
    weights = rng.integers(1, 4, size=12) * 1.0 if weighted else None
    ours = metrics.soft_silhouette_score(
        asarray(xp, x), asarray(xp, r), weights=None if weights is None else asarray(xp, weights)
    )
    expected = soft_silhouette_by_loops(x, r, np.ones(12) if weights is None else weights)
    np.testing.assert_allclose(float(ours), expected, rtol=1e-4)


def test_soft_inertia_equals_loops(xp, asarray):
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((12, 2)) + 5, rng.dirichlet(np.ones(3), size=12)
    centers = r.T @ x / r.sum(axis=0)[:, None]
    expected = sum(r[i, j] * ((x[i] - centers[j]) ** 2).sum() for i in range(12) for j in range(3))
    ours = metrics.soft_inertia(asarray(xp, x), asarray(xp, r))
    np.testing.assert_allclose(float(ours), expected, rtol=1e-4)
    given = metrics.soft_inertia(asarray(xp, x), asarray(xp, r), centroids=asarray(xp, centers))
    np.testing.assert_allclose(float(given), expected, rtol=1e-4)


# ---- gradients

SMOOTH = {
    "silhouette_score": lambda x: metrics.silhouette_score(x, like(x), k=3),
    "silhouette_score, cosine": lambda x: metrics.silhouette_score(
        x, like(x), k=3, metric="cosine"
    ),
    "simplified": lambda x: metrics.simplified_silhouette_score(x, like(x), k=3),
    "davies_bouldin_score": lambda x: metrics.davies_bouldin_score(x, like(x), k=3),
    "calinski_harabasz_score": lambda x: metrics.calinski_harabasz_score(x, like(x), k=3),
    "inertia": lambda x: metrics.inertia(x, like(x), k=3),
    "soft_inertia": lambda x: metrics.soft_inertia(x, soft(x)),
    "soft_silhouette_score": lambda x: metrics.soft_silhouette_score(x, soft(x)),
}
LABELS = np.arange(15) % 3
ROWS = np.random.default_rng(5).standard_normal((15, 2)) + LABELS[:, None]
# Two equal rows: their distance has no slope of its own, and must not give NaN.
ROWS[3] = ROWS[0]
ALONG = np.random.default_rng(6).standard_normal((15, 2))
ALONG[3] = ALONG[0]


def like(x):
    """The labels, in the library of x."""
    return kf.assign(x, x[:3, :]).labels * 0 + _library(x).asarray(LABELS)


def soft(x):
    return kf.soft_assign(x, x[:3, :])


def _library(x):
    from kmeans_fx._backend.namespace import array_namespace

    return array_namespace(x=x)


def slope(function):
    step = 1e-6
    ends = (float(function(ROWS + sign * step * ALONG)) for sign in (1, -1))
    return (next(ends) - next(ends)) / (2 * step)


@pytest.mark.x64
@pytest.mark.eager
@pytest.mark.backend("jax")
@pytest.mark.parametrize("name", SMOOTH)
def test_jax_gradients(xp, name):
    import jax

    gradient = jax.jit(jax.grad(SMOOTH[name]))(xp.asarray(ROWS))
    np.testing.assert_allclose(np.sum(np.asarray(gradient) * ALONG), slope(SMOOTH[name]), rtol=1e-5)
    several = jax.vmap(SMOOTH[name])(xp.asarray(np.stack([ROWS, 2 * ROWS])))
    expected = [float(SMOOTH[name](rows)) for rows in (ROWS, 2 * ROWS)]
    # A row is at distance sqrt(rounding) of itself, which depends on the order of the sums.
    np.testing.assert_allclose(np.asarray(several), expected, rtol=1e-8)


@pytest.mark.backend("torch")
@pytest.mark.parametrize("name", SMOOTH)
def test_torch_gradients(xp, name):
    import torch

    x = torch.asarray(ROWS).requires_grad_()
    SMOOTH[name](x).backward()
    np.testing.assert_allclose(np.sum(x.grad.numpy() * ALONG), slope(SMOOTH[name]), rtol=1e-5)
    several = torch.vmap(SMOOTH[name])(torch.asarray(np.stack([ROWS, 2 * ROWS])))
    expected = [float(SMOOTH[name](rows)) for rows in (ROWS, 2 * ROWS)]
    np.testing.assert_allclose(several.numpy(), expected, rtol=1e-9)


# ---- bad input

X, GOOD = small(6)


@pytest.mark.eager
@pytest.mark.parametrize("name", [*SCORES, "simplified_silhouette_score"])
@pytest.mark.parametrize("labels", [np.zeros(6, int), *uncompiled(np.arange(6))])
def test_trivial_clusterings_are_refused(xp, asarray, name, labels):
    with pytest.raises(
        ValueError, match="labels must name 2 to n - 1 clusters for n = 6 rows, got"
    ):
        getattr(metrics, name)(asarray(xp, X), asarray(xp, labels))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.silhouette_score(X[0], GOOD), ValueError, "x must have shape"),
        (lambda: metrics.silhouette_score(X, GOOD[:4]), ValueError, "labels must have shape"),
        (lambda: metrics.silhouette_score(X, GOOD * 1.0), TypeError, "labels must have an integer"),
        (lambda: metrics.silhouette_score(X.tolist(), GOOD), TypeError, "x must be an array"),
        (lambda: metrics.silhouette_score(X * np.nan, GOOD), ValueError, "x must be finite"),
        (lambda: metrics.silhouette_score(X, GOOD, metric="l2"), ValueError, "metric must be one"),
        (lambda: metrics.silhouette_score(X, GOOD, k=2), ValueError, "labels must be from 0 to k"),
        (lambda: metrics.silhouette_score(X, GOOD, sample_size=4), ValueError, "key must be given"),
        (
            lambda: metrics.silhouette_score(X, GOOD, sample_size=0, key=0),
            ValueError,
            "sample_size must be at least 1",
        ),
        (
            lambda: metrics.silhouette_score(X, GOOD, sample_size=7, key=0),
            ValueError,
            "sample_size must be at most the number of rows, 6, got 7",
        ),
        (
            lambda: metrics.silhouette_score(X, GOOD, weights=-np.ones(6)),
            ValueError,
            "weights must not be negative",
        ),
        (
            lambda: metrics.inertia(X, GOOD, centroids=X[:2]),
            ValueError,
            "labels must be from 0 to k - 1 = 1",
        ),
        (
            lambda: metrics.inertia(X, GOOD, centroids=X[:4], k=3),
            ValueError,
            "k must be the number of centroids, 4, got 3",
        ),
        (
            lambda: metrics.inertia(X, GOOD, centroids=X[:4, :1]),
            ValueError,
            "centroids must have shape",
        ),
        (
            lambda: metrics.soft_inertia(X, np.ones((5, 2))),
            ValueError,
            r"responsibilities must have shape \(..., 6, k\)",
        ),
        (
            lambda: metrics.soft_inertia(X, np.full((6, 2), np.nan)),
            ValueError,
            "responsibilities must be finite",
        ),
        (
            lambda: metrics.soft_inertia(X, np.ones((6, 2)), metric="manhattan"),
            ValueError,
            "centroids must be given for a metric",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.backend("jax")
def test_traced_labels_need_k_and_are_not_silently_wrong(xp):
    x = xp.asarray(X)
    with pytest.raises(ValueError, match="k must be given where labels cannot be read"):
        metrics.silhouette_score(x, xp.asarray(GOOD))
    for wrong in (GOOD - 1, GOOD + 1, np.zeros(6, int), np.arange(6)):
        for name in [*SCORES, "simplified_silhouette_score"]:
            k = 6 if wrong[5] == 5 else 4
            assert np.isnan(float(getattr(metrics, name)(x, xp.asarray(wrong), k=k)))
    assert np.isnan(float(metrics.inertia(x, xp.asarray(GOOD + 1), k=4)))
