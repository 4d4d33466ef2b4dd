"""Bisecting k-means: plain loops, the tree, scikit-learn, weights, batches, gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import BisectingKMeans

from kmeans_fx import CONVERGED, NONFINITE, bisecting_kmeans, lloyd
from tests import reference

GROUPS = np.asarray([[0.0, 0.0], [3, 0], [40, 0], [46, 0], [20, 90]])
PAIRS = {frozenset({0, 1}), frozenset({2, 3}), frozenset({0, 1, 2, 3}), frozenset(range(5))}


def grouped(n=40, seed=0):
    """Rows of five groups, nested in pairs; every group has some."""
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(5), rng.integers(5, size=n - 5)])
    return GROUPS[groups] + 0.3 * rng.standard_normal((n, 2)), groups


def loops(x, k, weights, split):
    """Split the largest cluster at its best bisection, found among many starts."""
    clusters = [list(range(len(x)))]
    while len(clusters) < k:
        sizes = [cost(x, c, weights) if split == "inertia" else sum(weights[c]) for c in clusters]
        members = clusters.pop(int(np.argmax(sizes)))
        tries = [reference.lloyd(x[members], x[[members[0], i]], weights[members]) for i in members]
        labels = min(tries, key=lambda found: found[2])[1]
        clusters += [[members[i] for i in np.flatnonzero(labels == side)] for side in (0, 1)]
    return {frozenset(cluster) for cluster in clusters}


def cost(x, members, weights):
    mean = np.average(x[members], axis=0, weights=weights[members])
    return float(np.sum(weights[members, None] * (x[members] - mean) ** 2))


def rows_of(children, labels):
    """The rows of every node, by following the children."""
    k = len(children) + 1
    nodes = [set(np.flatnonzero(labels == leaf).tolist()) for leaf in range(k)]
    for one, other in children:
        nodes.append(nodes[one] | nodes[other])
    return nodes


@pytest.mark.parametrize("split", ["inertia", "size"])
def test_equals_loops(xp, asarray, to_numpy, split):
    x, _ = grouped()
    weights = np.random.default_rng(1).integers(1, 4, 40) * 1.0
    options = {"key": 0, "split": split, "tol": 0, "weights": asarray(xp, weights), "n_init": 4}
    ours = bisecting_kmeans(asarray(xp, x), 5, **options)
    labels = to_numpy(ours.labels)
    clusters = {frozenset(np.flatnonzero(labels == j).tolist()) for j in range(5)}
    assert clusters == loops(x, 5, weights, split)
    assert int(ours.status) == CONVERGED


def test_the_tree_nests_the_groups(xp, asarray, to_numpy):
    x, groups = grouped()
    weights = np.random.default_rng(1).integers(1, 4, 40) * 1.0
    options = {"key": 3, "tol": 0, "weights": asarray(xp, weights), "n_init": 4}
    ours = bisecting_kmeans(asarray(xp, x), 5, **options)
    children, labels = to_numpy(ours.children), to_numpy(ours.labels)
    nodes = rows_of(children, labels)
    assert sorted(children.ravel()) == list(range(8))
    assert all(child < 5 + i for i, pair in enumerate(children) for child in pair)
    assert {frozenset(groups[list(node)].tolist()) for node in nodes[5:]} == PAIRS
    weight = [weights[list(node)].sum() for node in nodes]
    np.testing.assert_allclose(to_numpy(ours.node_weight), weight)
    inertia = [cost(x, list(node), weights) for node in nodes]
    np.testing.assert_allclose(to_numpy(ours.node_inertia), inertia, rtol=1e-3)
    means = [np.average(x[labels == j], axis=0, weights=weights[labels == j]) for j in range(5)]
    np.testing.assert_allclose(to_numpy(ours.centroids), means, atol=1e-4)
    np.testing.assert_allclose(float(ours.inertia), sum(inertia[:5]), rtol=1e-3)


@given(st.integers(0, 99), st.integers(2, 9), st.sampled_from(["inertia", "size"]))
def test_every_split_lowers_the_inertia(seed, k, split):
    x = np.random.default_rng(seed).standard_normal((30, 2))
    ours = bisecting_kmeans(x, k, key=seed, split=split)
    below = ours.node_inertia[ours.children].sum(axis=-1)
    assert np.all(below < ours.node_inertia[k:])
    np.testing.assert_array_equal(
        ours.node_weight[ours.children].sum(axis=-1), ours.node_weight[k:]
    )
    # The first splits of more clusters are those of fewer.
    fewer = bisecting_kmeans(x, k - 1, key=seed, split=split)
    np.testing.assert_allclose(fewer.node_inertia[k - 1 :], ours.node_inertia[k + 1 :])
    assert lloyd(x, ours.centroids).inertia <= ours.inertia * (1 + 1e-9)


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("name", ["largest_cluster", "biggest_inertia"])
def test_as_good_as_sklearn(digits, xp, name):
    x, _ = digits
    split = {"largest_cluster": "size", "biggest_inertia": "inertia"}[name]
    theirs = [
        BisectingKMeans(
            10, init="k-means++", n_init=3, bisecting_strategy=name, random_state=seed
        ).fit(x)
        for seed in range(3)
    ]
    ours = [bisecting_kmeans(x, 10, key=seed, n_init=3, split=split).inertia for seed in range(3)]
    assert np.mean(ours) <= 1.01 * np.mean([fit.inertia_ for fit in theirs])


def test_weights_are_copies(xp, asarray, to_numpy):
    x, _ = grouped()
    times = np.random.default_rng(2).integers(0, 4, 40)
    times[:5] = 1
    options = {"key": 0, "tol": 0, "n_init": 4}
    weighted, scaled = (
        bisecting_kmeans(asarray(xp, x), 5, weights=asarray(xp, w), **options)
        for w in (times * 1.0, times * 0.1)
    )
    repeated = bisecting_kmeans(np.repeat(x, times, axis=0), 5, **options)
    for ours, factor in ((weighted, 1.0), (scaled, 10.0)):
        np.testing.assert_allclose(factor * float(ours.inertia), repeated.inertia, rtol=1e-3)
        centroids = to_numpy(ours.centroids)
        order, theirs = np.lexsort(centroids.T.round(2)), np.lexsort(repeated.centroids.T.round(2))
        np.testing.assert_allclose(centroids[order], repeated.centroids[theirs], atol=1e-4)
    # A row of weight 0 goes down the tree, too.
    alone = np.flatnonzero(times == 0)
    far = ((x[alone, None, :] - to_numpy(weighted.centroids)) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(to_numpy(weighted.labels)[alone], far.argmin(axis=-1))


def test_equal_rows_are_not_split(xp, asarray, to_numpy):
    x = np.repeat([[0.1], [0.2], [0.7]], [9, 2, 2], axis=0)
    ours = bisecting_kmeans(asarray(xp, x), 5, key=0, split="size")
    assert sorted(to_numpy(ours.node_weight)[:5]) == [0, 0, 2, 2, 9]
    values = sorted(set(to_numpy(ours.centroids)[:, 0].tolist()))
    np.testing.assert_allclose(values, [0.1, 0.2, 0.7], rtol=1e-6)
    np.testing.assert_allclose(float(ours.inertia), 0, atol=1e-9)
    assert int(ours.status) == CONVERGED


def test_one_cluster_is_the_mean(xp, asarray, to_numpy):
    x, _ = grouped()
    ours = bisecting_kmeans(asarray(xp, x), 1, key=0)
    np.testing.assert_allclose(to_numpy(ours.centroids), x.mean(axis=0)[None], atol=1e-4)
    assert ours.children.shape == (0, 2)
    np.testing.assert_allclose(float(ours.inertia), ((x - x.mean(axis=0)) ** 2).sum(), rtol=1e-5)


def test_a_batch_is_a_loop(xp, asarray, to_numpy):
    x = np.stack([grouped(seed=seed)[0] for seed in range(2)])
    both = bisecting_kmeans(asarray(xp, x), 5, key=3)
    for i in range(2):
        one = bisecting_kmeans(x[i], 5, key=3)
        for ours, theirs in zip(both, one, strict=True):
            np.testing.assert_allclose(to_numpy(ours)[i], theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.backend("array-api-strict", "numpy", "torch")  # JAX compiles for each
def test_other_metrics(xp, asarray, to_numpy):
    x, groups = grouped()
    ours = bisecting_kmeans(asarray(xp, x), 5, key=1, metric="manhattan", n_init=2)
    medians = np.stack([np.median(x[groups == g], axis=0) for g in range(5)])
    expected = sum(np.abs(x[groups == g] - medians[g]).sum() for g in range(5))
    np.testing.assert_allclose(float(ours.inertia), expected, rtol=1e-4)


@pytest.mark.backend("jax")
def test_bad_values_under_jit_are_a_status(xp, asarray):
    import jax

    x, _ = grouped()
    fit = jax.jit(lambda x: bisecting_kmeans(x, 3, key=0).status)
    assert fit(asarray(xp, x)) == CONVERGED
    assert fit(asarray(xp, np.where(x == x[7], np.nan, x))) == NONFINITE


@pytest.mark.eager
def test_a_bad_split_is_named(xp, asarray):
    with pytest.raises(ValueError, match="split must be one of 'inertia', 'size', got 'depth'"):
        bisecting_kmeans(asarray(xp, GROUPS), 2, key=0, split="depth")
