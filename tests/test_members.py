"""Batches of small problems: compiled kernels bring every member to its end by itself."""

import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import CONVERGED, MAX_ITER, cluster_stats, kmeans, kmeans_plusplus, lloyd
from kmeans_fx._backend import kernels
from kmeans_fx._backend.kernels import bounds
from tests.parameters import HARD_KINDS, hard_rows

algorithm = importlib.import_module("kmeans_fx.algorithms.lloyd")
pytest.importorskip("numba")
fused = pytest.importorskip("kmeans_fx._backend.kernels.fused")

pytestmark = pytest.mark.usefixtures("kernels_for_few")
ON_NUMPY = pytest.mark.backend("numpy")
KINDS = st.sampled_from(["normal", *HARD_KINDS])


@pytest.fixture
def calls(monkeypatch):
    """The names of the kernels for batches, as often as they are called."""
    seen = []
    for name in ("lead_each", "sample_each"):
        function = getattr(fused, name)

        def spy(*arguments, name=name, function=function):
            seen.append(name)
            return function(*arguments)

        monkeypatch.setattr(fused, name, spy)
    return seen


def problems(m, n, d, seed, dtype=np.float64):
    """Separated clusters: (m, n, d), of which every member has six."""
    rng = np.random.default_rng(seed)
    middles = 20.0 * rng.standard_normal((m, 6, d))
    own = np.take_along_axis(middles, rng.integers(6, size=(m, n, 1)), axis=1)
    return (own + rng.standard_normal((m, n, d))).astype(dtype)


def alone(x, start, weights=None, **options):
    """The fits of all members, one after the other, as fields of a batch."""
    m = max(len(x), len(start))
    members = [
        lloyd(x[i % len(x)], start[i % len(start)], weights=w, algorithm="lloyd", **options)
        for i, w in enumerate([None] * m if weights is None else weights)
    ]
    return tuple(np.stack(field) for field in zip(*members, strict=True))


def own_centroids(centroids, labels):
    """That of every row, (m, n, d)."""
    return np.take_along_axis(centroids, labels[..., None], axis=1)


@ON_NUMPY
@given(KINDS, *(st.integers(*r) for r in ((1, 200), (1, 20), (2, 9), (0, 99), (1, 9))))
@pytest.mark.parametrize("empty", ["farthest", "split", "merge", "keep"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_members_end_where_they_do_alone(dtype, empty, kind, n, d, k, seed, most):
    x = np.stack([hard_rows(kind, n, d, [seed, i]).astype(dtype) for i in range(3)])
    rng, k = np.random.default_rng(seed), min(k, n)
    start = x[:, rng.integers(n, size=k)]  # some of them copies, of which all but one are empty
    weights = rng.integers(0, 3, size=(3, n)).astype(dtype) + (np.arange(n) == 0)
    weights = weights.astype(dtype) if seed % 2 else None
    options = {"empty": empty, "max_iter": most, "tol": 0.0}
    batch = lloyd(x, start, weights=weights, **options)
    members = alone(x, start, weights, **options)
    if kind in ("normal", "far", "tiny", "huge"):
        # No ties: the same path. But of two centroids that fall together either may be the nearest.
        ends = [own_centroids(*fit[:2]) for fit in (batch, members)]
        np.testing.assert_allclose(*ends, rtol=1e-3, atol=1e-3 * np.ptp(x))
        if weights is None:  # rows of no weight may be taken for a second centroid in one place
            np.testing.assert_array_equal(batch.n_iter, members[3])
    own = ((x - own_centroids(batch.centroids, batch.labels)) ** 2).sum(-1)
    own = own if weights is None else own * weights
    scale = np.finfo(dtype).eps * (x**2).max() * x[0].size
    np.testing.assert_allclose(batch.inertia, own.sum(-1), rtol=1e-4, atol=scale)


@ON_NUMPY
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shared", ["x", "start", "weights"])
def test_what_all_members_share_is_given_once(calls, shared, weighted):
    x = problems(3, 300, 4, seed=1)
    start = x[:, :7].copy()
    weights = np.random.default_rng(1).uniform(size=(3, 300)) if weighted else None
    x = x[:1] if shared == "x" else x
    start = start[:1] if shared == "start" else start
    if weighted and shared == "weights":
        weights = weights[:1].repeat(3, axis=0)
    given = {"x": x, "start": start, "weights": weights}
    if given[shared] is not None:
        given[shared] = given[shared][0]
    batch = lloyd(given["x"], given["start"], weights=given["weights"])
    assert calls
    for one, other in zip(batch[:4], alone(x, start, weights)[:4], strict=True):
        np.testing.assert_allclose(one, other)


@ON_NUMPY
@pytest.mark.parametrize("most", [1, 2, 30])
def test_iterations_are_counted_to_the_last(most):
    x = np.random.default_rng(2).standard_normal((5, 400, 3))
    x[0] = x[0, :6].repeat(400 // 6 + 1, axis=0)[:400]  # done at once
    batch = lloyd(x, x[:, :6], max_iter=most, tol=0)
    members = alone(x, x[:, :6], max_iter=most, tol=0)
    np.testing.assert_array_equal(batch.n_iter, members[3])
    np.testing.assert_array_equal(batch.status, members[4])
    np.testing.assert_array_equal(batch.labels, members[1])
    np.testing.assert_allclose(batch.centroids, members[0])
    assert batch.status[0] == (CONVERGED if most == 30 else MAX_ITER)
    assert np.all(batch.n_iter[1:] == most) or most == 30


@ON_NUMPY
def test_nobody_looks_at_most_iterations(monkeypatch):
    x = np.random.default_rng(3).standard_normal((20, 300, 3))
    steps, advance = [], algorithm.advance

    def counted(*arguments):
        steps.append(arguments)
        return advance(*arguments)

    monkeypatch.setattr(algorithm, "advance", counted)
    assert lloyd(x, x[:, :5], tol=0).n_iter.max() > 10
    assert not steps  # not even the last, in which no row moves
    lloyd(x, x[:, :5], tol=1.0)
    assert len(steps) == 1  # a rule ended it


@ON_NUMPY
def test_long_fits_pause_in_python(monkeypatch, calls):
    x = np.random.default_rng(4).standard_normal((4, 300, 3))
    in_one = lloyd(x, x[:, :5], tol=0)
    assert len(calls) <= 2
    calls.clear()
    monkeypatch.setattr(bounds, "_LONG", 2 * x.size * 5)
    for one, other in zip(in_one, lloyd(x, x[:, :5], tol=0), strict=True):
        np.testing.assert_allclose(one, other)
    assert len(calls) > 2


@ON_NUMPY
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine", "manhattan"])
def test_a_batch_is_the_portable_one(portable, metric):
    x = problems(4, 200, 5, seed=5, dtype=np.float32)

    def fit():
        return kmeans(x, 6, key=3, metric=metric)

    for one, other in zip(fit(), portable(fit), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@ON_NUMPY
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_restarts_share_their_rows(portable, calls, dtype):
    x = problems(1, 500, 4, seed=6)[0].astype(dtype)

    def fit():
        return kmeans(x, 6, key=1, n_init=8)

    fast = fit()
    assert "lead_each" in calls
    plain = portable(fit)
    np.testing.assert_array_equal(fast.labels, plain.labels)
    np.testing.assert_allclose(fast.inertia, plain.inertia, rtol=1e-3)


@ON_NUMPY
def test_products_find_distances_of_restarts(monkeypatch, portable):
    x = problems(1, 400, 4, seed=7)[0]
    start = x[np.random.default_rng(7).integers(400, size=(3, 6))]
    plain = portable(lambda: lloyd(x, start))
    monkeypatch.setattr(kernels, "_has_numba", lambda: False)
    np.testing.assert_allclose(lloyd(x, start).inertia, plain.inertia)


@ON_NUMPY
@pytest.mark.parametrize("lead", [(), (4,), (2, 2)])
def test_statistics_of_batches(portable, lead):
    rng = np.random.default_rng(9)
    x, labels, weights = rng.normal(size=(100, 3)), rng.integers(5, size=100), rng.uniform(size=100)
    for which, front in itertools.product(range(3), {lead, lead[:1], lead[-1:]}):
        given = [x, labels, weights]
        given[which] = np.broadcast_to(given[which], (*front, *given[which].shape))
        if front != lead:
            given[which - 1] = np.broadcast_to(given[which - 1], (*lead, *given[which - 1].shape))

        def stats(given=given):
            return cluster_stats(given[0], given[1], 5, weights=given[2])

        for one, other in zip(stats(), portable(stats), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


# ---- k-means++


@ON_NUMPY
@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("n_trials", [1, 4, 11])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_those_of_the_portable_form(portable, calls, weighted, n_trials, offset):
    x = problems(5, 150, 3, seed=8, dtype=np.float32) + np.float32(offset)
    weights = None
    if weighted:
        weights = np.random.default_rng(8).integers(0, 3, size=(5, 150)).astype(np.float32)
    keys = np.arange(10, dtype=np.uint32).reshape(5, 2)
    for key, rows in ((7, x), (keys, x), (keys, x[0])):
        share = weights if weights is None or rows is x else weights[0]

        def seeds(key=key, rows=rows, share=share):
            return kmeans_plusplus(rows, 9, key=key, weights=share, n_trials=n_trials)

        found = seeds()
        assert calls
        calls.clear()
        np.testing.assert_array_equal(found, portable(seeds))
        assert not calls


@ON_NUMPY
@given(KINDS, st.integers(1, 60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_row_is_chosen_twice_nor_one_without_weight(dtype, kind, n, d, k, seed):
    x = np.stack([hard_rows(kind, n, d, [seed, i]).astype(dtype) for i in range(2)])
    rng, k = np.random.default_rng(seed), min(k, n)
    weights = (rng.integers(0, 2, size=(2, n)) + (np.arange(n) == n // 2)).astype(dtype)
    for rows, share, chosen in zip(
        x, weights, kmeans_plusplus(x, k, key=seed, weights=weights), strict=True
    ):
        there = np.unique(rows[share > 0], axis=0)
        distinct = np.unique(chosen, axis=0)
        assert len(distinct) == min(k, len(there))
        assert all(np.any(np.all(row == there, axis=1)) for row in distinct)
        assert all(np.array_equal(row, chosen[0]) for row in chosen[len(distinct) :])
