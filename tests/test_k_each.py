"""A number of clusters for each problem: every one is what it would be alone."""

import numpy as np
import pytest

from kmeans_fx import Metric, kmeans, kmeans_plusplus, lloyd
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.random import as_key, split
from tests.parameters import uncompiled

K_EACH = (2, 5, 4)


def problems():
    """Three problems, and five centroids of which the second gets no rows."""
    x = np.random.default_rng(3).standard_normal((3, 40, 2)) * np.asarray([3.0, 1.0])
    starts = np.asarray([[0.0, 0.0], [50.0, 50.0], [1.0, 0.0], [-2.0, 1.0], [3.0, -1.0]])
    return x, starts


def squares(x, centroids):
    return array_namespace(x=x).sum((x - centroids) ** 2, axis=-1)


def check_each(to_numpy, ours, fits):
    """Each member is its fit alone; the clusters that it has not are copies without rows."""
    for i, (k, alone) in enumerate(zip(K_EACH, fits, strict=True)):
        labels, centroids = to_numpy(ours.labels)[i], to_numpy(ours.centroids)[i]
        np.testing.assert_array_equal(labels, to_numpy(alone.labels))
        np.testing.assert_allclose(centroids[:k], to_numpy(alone.centroids)[:k], atol=1e-4)
        np.testing.assert_allclose(float(ours.inertia[i]), float(alone.inertia), rtol=1e-4)
        assert int(ours.n_iter[i]) == int(alone.n_iter)
        assert labels.max() < k
        assert {tuple(row) for row in centroids} == {tuple(row) for row in centroids[:k]}


@pytest.mark.parametrize("empty", ["farthest", "merge", *uncompiled("split", "keep")])
def test_a_batch_is_a_loop(xp, asarray, to_numpy, empty):
    x, starts = (asarray(xp, a) for a in problems())
    ours = lloyd(x, starts, empty=empty, k_each=asarray(xp, K_EACH))
    fits = [lloyd(x[i, ...], starts[:k, :], empty=empty) for i, k in enumerate(K_EACH)]
    check_each(to_numpy, ours, fits)


@pytest.mark.uncompiled
@pytest.mark.parametrize("metric", ["manhattan", Metric(squares)], ids=["manhattan", "own"])
def test_other_metrics(xp, asarray, to_numpy, metric):
    x, starts = (asarray(xp, a) for a in problems())
    ours = lloyd(x, starts, metric=metric, max_iter=5, k_each=asarray(xp, K_EACH))
    fits = [
        lloyd(x[i, ...], starts[:k, :], metric=metric, max_iter=5) for i, k in enumerate(K_EACH)
    ]
    check_each(to_numpy, ours, fits)


def test_random_rows_fill_only_clusters_that_are_there(xp, asarray, to_numpy):
    x, starts = (asarray(xp, a) for a in problems())
    ours = lloyd(x, starts, empty="random", key=0, k_each=asarray(xp, K_EACH))
    assert [len(set(labels.tolist())) for labels in to_numpy(ours.labels)] == list(K_EACH)


def test_problems_of_different_n_and_k(xp, asarray, to_numpy):
    """Rows of weight 0 pad the shorter ones. Every problem draws its start with the longest's k."""
    x, ns = problems()[0], (30, 40, 17)
    weights = np.arange(40) < np.asarray(ns)[:, None]
    x[~weights] = 1e3
    rows, mass = asarray(xp, x), asarray(xp, weights * 1.0)
    ours = kmeans(rows, 5, key=7, weights=mass, k_each=asarray(xp, K_EACH))
    for i, (n, k) in enumerate(zip(ns, K_EACH, strict=True)):
        part, share = rows[i, :n, :], mass[i, :n]
        start = kmeans_plusplus(rows[i, ...], 5, key=7, weights=mass[i, :])[:k, :]
        alone = lloyd(part, start, weights=share)
        np.testing.assert_array_equal(to_numpy(ours.labels)[i, :n], to_numpy(alone.labels))
        np.testing.assert_allclose(float(ours.inertia[i]), float(alone.inertia), rtol=1e-4)


def test_one_problem_with_several_numbers_and_restarts(xp, asarray, to_numpy, device):
    x = asarray(xp, problems()[0][0])
    ours = kmeans(x, 4, key=5, n_init=3, k_each=asarray(xp, [1, 2, 3, 4]))
    keys = split(as_key(5, xp, device), 3)
    starts = [kmeans_plusplus(x, 4, key=keys[i, :]) for i in range(3)]
    for k in (1, 3):
        best = min(float(lloyd(x, start[:k, :]).inertia) for start in starts)
        np.testing.assert_allclose(float(ours.inertia[k - 1]), best, rtol=1e-4)
    assert ours.labels.shape == (4, 40)
    assert (np.diff(to_numpy(ours.inertia)) < 0).all()


@pytest.mark.backend("numpy", "torch")
@pytest.mark.parametrize(
    ("k_each", "error", "words"),
    [
        ([2, 6, 3], ValueError, "k_each must be from 1 to 5"),
        ([2, 0, 3], ValueError, "k_each must be from 1 to 5"),
        ([2.0, 3.0, 3.0], TypeError, "k_each must have an integer dtype"),
        ([2, 3], ValueError, "leading dimensions of k_each"),
    ],
)
def test_bad_numbers_are_named(xp, asarray, k_each, error, words):
    x, starts = (asarray(xp, a) for a in problems())
    with pytest.raises(error, match=words):
        lloyd(x, starts, k_each=asarray(xp, np.asarray(k_each)))


def test_a_search_has_one_number():
    x = problems()[0]
    with pytest.raises(ValueError, match="k_each"):
        kmeans(x, 3, key=0, search="breathing", k_each=np.asarray([2, 3, 3]))
