"""Lloyd's algorithm against plain loops and scikit-learn, and the laws that it keeps."""

import threading

import numpy as np
import pytest
from array_api_compat import is_jax_namespace
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from kmeans_fx import (
    CONVERGED,
    MAX_ITER,
    RUNNING,
    STOPPED,
    Metric,
    lloyd,
    lloyd_init,
    lloyd_step,
    merge_stats,
)
from tests import reference

SCIPY = {"manhattan": "cityblock"}


def problem(seed=0, n=60, d=3, k=4):
    x = np.random.default_rng(seed).standard_normal((n, d))
    return x, x[:k].copy()


def run(xp, asarray, x, starts, weights=None, dtype=None, **options):
    weights = None if weights is None else asarray(xp, weights, dtype)
    return lloyd(asarray(xp, x, dtype), asarray(xp, starts, dtype), weights=weights, **options)


def same(to_numpy, ours, theirs, rtol=1e-4):
    scale = np.abs(to_numpy(theirs.centroids)).max()
    np.testing.assert_array_equal(to_numpy(ours.labels), to_numpy(theirs.labels))
    np.testing.assert_allclose(
        to_numpy(ours.centroids), to_numpy(theirs.centroids), atol=rtol * scale
    )
    np.testing.assert_allclose(to_numpy(ours.inertia), to_numpy(theirs.inertia), rtol=rtol)


# ---- against others


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_loops(xp, asarray, to_numpy, weighted):
    x, starts = problem()
    weights = np.random.default_rng(1).integers(0, 4, 60) * 1.0 if weighted else None
    centroids, labels, inertia, n_iter = reference.lloyd(x, starts, weights)
    ours = run(xp, asarray, x, starts, weights, tol=0)
    np.testing.assert_array_equal(to_numpy(ours.labels), labels)
    np.testing.assert_allclose(to_numpy(ours.centroids), centroids, atol=1e-5)
    np.testing.assert_allclose(float(ours.inertia), inertia, rtol=1e-5)
    assert int(ours.n_iter) == n_iter
    assert int(ours.status) == CONVERGED


EDGES = {
    "k is 1": (problem()[0], problem(k=1)[1]),
    "k is n": (problem(n=6)[0], problem(n=6, k=6)[1]),
    "n is 1": (problem(n=1)[0], problem(n=1, k=1)[1]),
    "d is 1": problem(d=1),
    "duplicates": (np.tile(problem(n=12)[0], (5, 1)), problem()[1]),
    "constant column": (problem()[0] * [1, 0, 1] + [0, 7, 0], problem()[1] * [1, 0, 1] + [0, 7, 0]),
    "mean 1e4": (problem()[0] + 1e4, problem()[1] + 1e4),
    "far outlier": (
        np.concatenate([20 * (np.arange(59) % 3)[:, None] + problem(n=59)[0], [[1e6, 0, 0]]]),
        np.asarray([[0.0, 0, 0], [20, 20, 20], [40, 40, 40], [1e6, 0, 0]]),
    ),
}


@pytest.mark.parametrize("case", EDGES)
def test_edges_in_single_precision(xp, asarray, to_numpy, case):
    x, starts = (a.astype(np.float32) for a in EDGES[case])
    centroids, labels, inertia, _ = reference.lloyd(x, starts)
    ours = run(xp, asarray, x, starts, tol=0, dtype="float32")
    np.testing.assert_array_equal(to_numpy(ours.labels), labels)
    # Rows are centred on the mean, and so are rounded to its digits and no finer.
    atol = 1e-6 + 2 * np.finfo(np.float32).eps * np.abs(x).mean(axis=0).max()
    np.testing.assert_allclose(to_numpy(ours.centroids), centroids, rtol=1e-7, atol=atol)
    np.testing.assert_allclose(float(ours.inertia), inertia, rtol=1e-4, atol=1e-6)


def pixels():
    """2000 pixels of a photograph, from 0 to 1."""
    from sklearn.datasets import load_sample_image

    image = load_sample_image("china.jpg").reshape(-1, 3)
    return np.random.default_rng(0).choice(image, 2000, replace=False) / 255


@pytest.mark.parametrize(
    ("name", "k", "weighted"),
    [
        pytest.param("digits", 10, False, marks=pytest.mark.uncompiled),
        pytest.param("iris", 3, True, marks=pytest.mark.uncompiled),
        pytest.param("pixels", 16, False, marks=pytest.mark.uncompiled),
        ("pixels", 16, True),
    ],
)
def test_equals_scikit_learn(xp, asarray, to_numpy, request, dtype, name, k, weighted):
    x = pixels() if name == "pixels" else request.getfixturevalue(name)[0]
    rng = np.random.default_rng(0)
    # Real data is rounded: ties, which rounding may break either way, are moved apart.
    x = x + 0.01 * x.std() * rng.standard_normal(x.shape)
    starts, weights = x[rng.choice(len(x), k, replace=False)], rng.random(len(x))
    weights = weights if weighted else None
    exact = dtype == xp.float64
    limit = 300 if exact else 10  # before rounding may lead to another optimum
    theirs = KMeans(k, init=starts, n_init=1, tol=0, max_iter=limit).fit(x, sample_weight=weights)
    ours = run(xp, asarray, x, starts, weights, dtype, tol=0, max_iter=limit)
    np.testing.assert_allclose(float(ours.inertia), theirs.inertia_, rtol=1e-10 if exact else 1e-4)
    differ = np.mean(to_numpy(ours.labels) != theirs.labels_)
    assert differ == 0 if exact else differ < 0.005
    atol = x.std() * (1e-9 if exact else 0.02)
    np.testing.assert_allclose(to_numpy(ours.centroids), theirs.cluster_centers_, atol=atol)


@pytest.mark.backend("numpy", "jax", "torch")
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_equals_scikit_learn(xp, asarray, to_numpy, blobs, half):
    if not hasattr(xp, half):
        return
    x = asarray(xp, blobs[0], half)
    exact = to_numpy(xp.astype(x, xp.float32)).astype(np.float64)
    starts = exact[[int(np.argmax(blobs[1] == j)) for j in range(8)]]
    theirs = KMeans(8, init=starts, n_init=1, tol=0).fit(exact)
    ours = lloyd(x, asarray(xp, starts, half), tol=0)
    assert ours.centroids.dtype == x.dtype
    assert ours.inertia.dtype == xp.float32
    centroids = to_numpy(xp.astype(ours.centroids, xp.float32))
    np.testing.assert_array_equal(to_numpy(ours.labels), theirs.labels_)
    np.testing.assert_allclose(centroids, theirs.cluster_centers_, rtol=5e-3, atol=2e-2)
    # The inertia is that of the rounded centroids.
    inertia = np.sum((exact - centroids[theirs.labels_]) ** 2)
    np.testing.assert_allclose(float(ours.inertia), inertia, rtol=1e-4)


def test_integers_are_promoted(xp, asarray, to_numpy):
    x = np.random.default_rng(0).integers(0, 100, (60, 3))
    ours = run(xp, asarray, x, x[:4])
    same(to_numpy, ours, run(xp, asarray, x * 1.0, x[:4] * 1.0))


# ---- laws


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "manhattan", "cosine"])
@pytest.mark.parametrize("max_iter", [2, 300])
def test_labels_and_inertia_are_those_of_the_centroids(xp, asarray, to_numpy, metric, max_iter):
    x, starts = problem()
    weights = np.random.default_rng(1).random(60)
    ours = run(xp, asarray, x, starts, weights, metric=metric, max_iter=max_iter)
    table = cdist(x, to_numpy(ours.centroids), SCIPY.get(metric, metric))
    np.testing.assert_array_equal(to_numpy(ours.labels), table.argmin(axis=1))
    np.testing.assert_allclose(float(ours.inertia), weights @ table.min(axis=1), rtol=1e-5)
    assert int(ours.status) == (CONVERGED if max_iter == 300 else MAX_ITER)


@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan", "cosine"])
def test_inertia_never_rises(xp, asarray, to_numpy, metric):
    x, starts = problem()
    ours = run(xp, asarray, x, starts, metric=metric, tol=0, history=True, max_iter=50)
    history, n_iter = to_numpy(ours.history), int(ours.n_iter)
    assert history.shape == (50,)
    assert np.all(np.isnan(history[n_iter:]))
    trace = np.append(history[:n_iter], float(ours.inertia))
    assert n_iter > 3
    assert np.all(np.diff(trace) <= 1e-6 * trace[:-1])
    first = cdist(x, starts, SCIPY.get(metric, metric)).min(axis=1).sum()
    np.testing.assert_allclose(trace[0], first, rtol=1e-5)


def test_a_bregman_divergence_never_rises(xp, asarray, to_numpy):
    """Kullback and Leibler's divergence of rows of shares, whose centre is their mean."""
    x = np.random.default_rng(4).dirichlet([0.5] * 4, size=80) + 1e-3
    x /= x.sum(axis=1, keepdims=True)
    divergence = Metric(lambda a, b: xp.sum(a * (xp.log(a) - xp.log(b)), axis=-1))
    ours = run(xp, asarray, x, x[:4], metric=divergence, tol=0, history=True, max_iter=30)
    n_iter = int(ours.n_iter)
    trace = np.append(to_numpy(ours.history)[:n_iter], float(ours.inertia))
    assert n_iter > 3
    assert np.all(np.diff(trace) <= 1e-6 * trace[:-1])
    for i, centroid in enumerate(to_numpy(ours.centroids)):
        np.testing.assert_allclose(centroid, x[to_numpy(ours.labels) == i].mean(0), rtol=1e-4)


def test_weights_are_copies(xp, asarray, to_numpy):
    x, starts = problem()
    times = np.random.default_rng(2).integers(0, 4, 60)
    weighted = run(xp, asarray, x + 50.0 * (times == 0)[:, None], starts, times * 1.0, tol=0)
    scaled = run(xp, asarray, x, starts, times * 0.1, tol=0)
    repeated = run(xp, asarray, np.repeat(x, times, axis=0), starts, tol=0)
    same(to_numpy, weighted._replace(labels=repeated.labels), repeated)
    same(to_numpy, scaled._replace(labels=repeated.labels, inertia=10 * scaled.inertia), repeated)
    assert int(weighted.n_iter) == int(scaled.n_iter) == int(repeated.n_iter)


@given(st.integers(0, 999))
def test_permuting_rows_permutes_labels(seed):
    x, starts = problem(seed)
    order = np.random.default_rng(seed).permutation(60)
    plain, permuted = lloyd(x, starts, tol=0), lloyd(x[order], starts, tol=0)
    same(np.asarray, permuted, plain._replace(labels=plain.labels[order]), rtol=1e-9)


@given(st.integers(0, 999), st.integers(1, 70))
def test_chunks_do_not_matter(seed, chunk_size):
    x, starts = problem(seed)
    plain = lloyd(x, starts, tol=0)
    same(np.asarray, lloyd(x, starts, tol=0, chunk_size=chunk_size), plain, rtol=1e-9)


def test_chunks_do_not_matter_anywhere(xp, asarray, to_numpy):
    x, starts = problem()
    parts = run(xp, asarray, x, starts, tol=0, chunk_size=7)
    same(to_numpy, parts, run(xp, asarray, x, starts, tol=0))


def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy):
    x = np.stack([problem(seed)[0] for seed in range(6)]).reshape(2, 3, 60, 3)
    starts = x[:, :1, :4]  # shared along the second dimension
    both = run(xp, asarray, x, starts)
    assert both.n_iter.shape == both.status.shape == both.inertia.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        one = run(xp, asarray, x[i, j], starts[i, 0])
        same(to_numpy, type(both)(*(to_numpy(field)[i, j] for field in both)), one)
        assert int(one.n_iter) == to_numpy(both.n_iter)[i, j]


# ---- ways to run


@pytest.mark.parametrize("weighted", [False, True])
def test_the_portable_loop_agrees_with_the_opaque_one(xp, asarray, to_numpy, weighted):
    x, starts = problem()
    weights = np.random.default_rng(1).random(60) if weighted else None
    mine = Metric(lambda a, b: xp.sum((a - b) ** 2, axis=-1))
    portable = run(xp, asarray, x, starts, weights, metric=mine)
    opaque = run(xp, asarray, x, starts, weights)
    same(to_numpy, portable, opaque)
    assert int(portable.n_iter) == int(opaque.n_iter)


def test_init_and_step_make_the_loop(xp, asarray, to_numpy):
    x, starts = (asarray(xp, a) for a in problem())
    state = lloyd_init(x, starts)
    while int(state.status) == RUNNING:
        state = lloyd_step(x, state)
    whole = lloyd(x, starts)
    assert int(state.n_iter) == int(whole.n_iter)
    centroids = to_numpy(state.centroids + state.origin)
    np.testing.assert_allclose(centroids, to_numpy(whole.centroids), atol=1e-6)


def test_a_callback_sees_every_state_and_may_stop(xp, asarray, to_numpy):
    x, starts = problem()
    seen = []
    whole = run(xp, asarray, x, starts, callback=lambda state: seen.append(int(state.n_iter)))
    same(to_numpy, whole, run(xp, asarray, x, starts))
    assert seen == list(range(1, int(whole.n_iter) + 1))
    ours = run(xp, asarray, x, starts, callback=lambda state: int(state.n_iter) == 2)
    assert int(ours.status) == STOPPED
    same(to_numpy, ours, run(xp, asarray, x, starts, max_iter=2))


def test_reduce_adds_what_other_processes_hold(xp, asarray, to_numpy):
    """Another process that holds the same rows."""
    x, starts = problem()
    ours = run(xp, asarray, x, starts, reduce=lambda s: merge_stats(s, s), empty="keep")
    twice = run(xp, asarray, np.concatenate([x, x]), starts, empty="keep")
    same(to_numpy, ours, twice._replace(labels=twice.labels[:60]))


def test_two_processes_find_what_one_does(xp, asarray, to_numpy):
    x, starts = problem()
    whole = run(xp, asarray, x, starts, empty="keep")
    halves = [asarray(xp, half) for half in (x[:25], x[25:])]
    if is_jax_namespace(xp):
        halves = [asarray(xp, x[:30]), asarray(xp, x[30:])]
        results = in_shards(halves, asarray(xp, starts))
    else:
        results = in_threads(halves, asarray(xp, starts))
    labels = np.concatenate([to_numpy(result.labels) for result in results])
    np.testing.assert_array_equal(labels, to_numpy(whole.labels))
    for result in results:
        same(to_numpy, result._replace(labels=whole.labels), whole)
        assert int(result.n_iter) == int(whole.n_iter)


def in_threads(parts, starts):
    """Each part in a thread; ``reduce`` waits for the others and adds."""
    barrier, shared, results = threading.Barrier(len(parts), timeout=60), {}, {}

    def fit(rank):
        def reduce(stats):
            shared[rank] = stats
            barrier.wait()
            total = shared[0]
            for other in range(1, len(parts)):
                total = merge_stats(total, shared[other])
            barrier.wait()
            return total

        results[rank] = lloyd(parts[rank], starts, reduce=reduce, empty="keep")

    threads = [threading.Thread(target=fit, args=(rank,)) for rank in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(len(parts))]


def in_shards(parts, starts):
    """Equal parts along a named axis of JAX; ``reduce`` is a psum."""
    import jax

    def fit(part):
        def reduce(stats):
            return jax.lax.psum(stats, "shards")

        return lloyd(part, starts, reduce=reduce, empty="keep")

    both = jax.vmap(fit, axis_name="shards")(jax.numpy.stack(parts))
    return [jax.tree.map(lambda field, i=i: field[i], both) for i in range(len(parts))]
