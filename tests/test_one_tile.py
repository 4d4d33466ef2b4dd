"""Rows so few that they are one tile: the passes of the portable form, in fewer calls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import kmeans, lloyd
from kmeans_fx._backend import kernels
from kmeans_fx._partition import centred_space
from kmeans_fx.algorithms._options import check_options
from kmeans_fx.algorithms._passes import BoundedPartition, TilePartition, choose_partition
from kmeans_fx.distances import as_metric
from tests.parameters import HARD_KINDS, excess, hard_rows

pytestmark = pytest.mark.backend("numpy")

KINDS = st.sampled_from(["normal", *HARD_KINDS])


@given(
    KINDS,
    st.integers(1, 300),
    st.sampled_from([1, 2, 5, 33]),
    st.integers(1, 9),
    st.integers(0, 99),
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_pass_finds_the_nearest_centroids(dtype, kind, n, d, k, seed):
    rng = np.random.default_rng(seed)
    x = hard_rows(kind, n, d, rng).astype(dtype)
    weights = rng.integers(0, 3, size=n).astype(dtype) if seed % 2 else None
    share = np.ones(n) if weights is None else weights
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    rows, passes, labels = x - space.origin, TilePartition(), np.full(n, -1)
    centroids = rows[rng.integers(n, size=k)]
    for step in (0, 1, 0.1, 0, 1e-3):
        centroids = centroids + (step * rng.normal(size=(k, d)) * np.ptp(rows)).astype(dtype)
        part = passes.next(x, centroids, weights, space)
        assert passes.moved == np.sum(part.labels != labels)
        np.testing.assert_array_equal(passes.bounds.labels_before(), labels)
        labels = part.labels
        above, scale = excess(rows, centroids, labels)
        assert np.all(above <= 64 * np.finfo(dtype).eps * scale)
        np.testing.assert_array_equal(part.stats.counts, np.bincount(labels, share, k))
        sums = np.zeros((k, d))
        np.add.at(sums, labels, share[:, None] * rows)
        room = 64 * np.finfo(dtype).eps * (np.abs(rows).sum() + np.finfo(dtype).tiny)
        np.testing.assert_allclose(part.stats.sums, sums, atol=room)


def test_ties_go_to_the_first_centroid():
    x = np.asarray([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    passes = TilePartition()
    part = passes.next(x, np.asarray([[1.0], [-1.0], [1.0]]), None, space)
    assert part.labels.tolist() == [1, 1, 0, 0, 0]
    assert part.stats.counts.tolist() == [3, 2, 0]
    assert part.stats.sums[:, 0].tolist() == [3, -3, 0]


def test_ties_among_many_centroids():
    x = np.arange(600.0)[:, None]
    centroids = np.repeat(x[::2], 2, axis=0)  # each twice, and rows midway between two
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    part = TilePartition().next(x, centroids - space.origin, None, space)
    far = (x - centroids[:, 0]) ** 2
    np.testing.assert_array_equal(part.labels, far.argmin(axis=1))


@pytest.mark.parametrize("empty", ["farthest", "random", "split", "merge", "keep"])
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [1, 2, 50])
def test_fits_are_those_of_blocks(empty, metric, weighted, max_iter):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200, 4)) + 1
    weights = rng.integers(0, 3, 200).astype(float) if weighted else None
    start = np.concatenate([x[:6], x[:1] - 30, x[:2]])  # one far from all rows, two twice
    options = {"weights": weights, "metric": metric, "empty": empty, "key": 0, "tol": 0.0}
    fits = [lloyd(x, start, max_iter=max_iter, chunk_size=size, **options) for size in (None, 50)]
    for mine, other in zip(*fits, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9)


def test_fits_with_a_rule_and_a_history_are_those_of_blocks():
    x = np.random.default_rng(4).standard_normal((300, 3))
    fits = [kmeans(x, 7, key=1, chunk_size=size, history=True, tol=1e-3) for size in (None, 64)]
    assert int(fits[0].n_iter) > 2
    for mine, other in zip(*fits, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9)


def test_half_precision_is_widened():
    x = np.random.default_rng(5).standard_normal((200, 4)).astype(np.float16)
    half, wide = (lloyd(rows, rows[:5], tol=0) for rows in (x, x.astype(np.float32)))
    assert half.centroids.dtype == np.float16
    np.testing.assert_allclose(half.centroids, wide.centroids, rtol=2e-3, atol=2e-3)


def test_rows_that_overflow_end_in_the_status():
    x = np.asarray([[1e38], [-1e38], [3e38], [0.0]], np.float32)
    assert int(lloyd(x, x[:2]).status) == 3


def test_what_one_tile_is_for(monkeypatch):
    few, many, centroids = np.zeros((1000, 5)), np.zeros((40_000, 5)), np.zeros((3, 5))

    def chosen(algorithm="auto", chunk_size=None, x=few):
        options = check_options(
            x, "sqeuclidean", 9, 0.0, "keep", None, algorithm, chunk_size, None, None, False
        )
        return type(choose_partition(x, centroids, options))

    assert chosen() is chosen("lloyd") is TilePartition
    assert chosen("bounded") is BoundedPartition
    assert chosen(chunk_size=100) is not TilePartition
    assert chosen(x=many) is not TilePartition
    monkeypatch.setattr(kernels, "_MOST_PRODUCTS", 1000 * 5 * 3 - 1)
    assert chosen() is not TilePartition


@pytest.mark.backend("torch")
@pytest.mark.eager
def test_numpy_fits_few_rows_for_pytorch(xp, asarray, to_numpy, monkeypatch):
    made, make = [], kernels.tile_for

    def tile_for(*arguments):
        made.append(arguments)
        return make(*arguments)

    monkeypatch.setattr("kmeans_fx.algorithms._passes.tile_for", tile_for)
    x = asarray(xp, np.random.default_rng(6).standard_normal((300, 3)))
    result = kmeans(x, 5, key=0)
    assert len(made) == 1
    # A batch, and what NumPy has no dtype for, are its own.
    kmeans(xp.stack([x, x]), 5, key=0)
    kmeans(xp.astype(x, xp.bfloat16), 5, key=0)
    assert len(made) == 1
    kmeans(xp.astype(x, xp.float16), 5, key=0)
    assert len(made) == 2
    for field, other in zip(result, kmeans(to_numpy(x), 5, key=0), strict=True):
        assert isinstance(field, type(x))
        np.testing.assert_array_equal(to_numpy(field), other)
