"""Initial centroids: rows of the data, distinct, drawn with the right probabilities."""

import numpy as np
import pytest
import sklearn.cluster
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from kmeans_fx import (
    Metric,
    assign,
    farthest_first,
    kmeans_coreset,
    kmeans_parallel,
    kmeans_plusplus,
    random_partition,
    random_points,
)
from kmeans_fx._backend.random import as_key, split
from tests import reference

CHOOSE_ROWS = [random_points, kmeans_plusplus, kmeans_parallel, farthest_first]
ALL = [*CHOOSE_ROWS, random_partition]
K = 5


@pytest.fixture(scope="module")
def data():
    """40 rows, of which 25 are distinct, with weights of which a third is 0."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((25, 5))
    return np.concatenate([x, x[:15]]), rng.integers(0, 3, 40) * 1.0


def as_set(rows):
    return {tuple(row) for row in np.asarray(rows).tolist()}


@pytest.mark.parametrize("init", CHOOSE_ROWS)
@pytest.mark.parametrize("weighted", [False, True])
def test_gives_distinct_rows_of_positive_weight(xp, asarray, to_numpy, data, init, weighted):
    x, weights = data
    rows = asarray(xp, x)
    share = asarray(xp, weights) if weighted else None
    allowed = as_set(to_numpy(rows)[weights > 0] if weighted else to_numpy(rows))
    for key in range(3):
        chosen = init(rows, K, key=key, weights=share)
        assert chosen.shape == (K, 5)
        assert chosen.dtype == rows.dtype
        assert as_set(to_numpy(chosen)) <= allowed
        assert len(as_set(to_numpy(chosen))) == K


@pytest.mark.parametrize("init", CHOOSE_ROWS)
def test_all_distinct_rows_and_then_the_first_again(xp, asarray, to_numpy, init):
    """Six values: two that differ by less than the mean's rounding, and one of weight 0."""
    values = np.asarray([0.0, 1.0, 1 + 2.0**-20, 5.0, 80.0, 90.0])
    # The candidates of k-means|| have the weight of what is nearest, up to rounding.
    values[2] += 1 if init is kmeans_parallel else 0
    x = np.repeat(values, 6)[:, None]
    weights = np.repeat([1.0, 1.0, 1.0, 2.0, 1.0, 0.0], 6)
    for key in range(3):
        chosen = init(asarray(xp, x, "float32"), 8, key=key, weights=asarray(xp, weights))
        found = to_numpy(chosen)[:, 0]
        assert set(found) == set(values[:-1].astype(np.float32))
        assert np.sum(found == found[0]) == 4


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.integers(0, 99),
    st.sampled_from(CHOOSE_ROWS),
)
def test_never_a_row_twice_while_distinct_rows_remain(values, key, init):
    x = np.asarray(values, dtype=float)[:, None]
    distinct = len(set(values))
    k = min(len(values), distinct + 1)
    assert len(set(init(x, k, key=key)[:, 0])) == min(k, distinct)


@pytest.mark.parametrize("init", ALL)
def test_all_rows_equal(xp, asarray, to_numpy, init):
    chosen = init(asarray(xp, np.full((40, 5), 3.5)), K, key=0)
    np.testing.assert_allclose(to_numpy(chosen), 3.5, rtol=1e-6)


@pytest.mark.parametrize("init", ALL)
def test_k_is_one_and_k_is_n(xp, asarray, to_numpy, init):
    x = asarray(xp, np.arange(5.0)[:, None])
    assert init(x, 1, key=0).shape == (1, 1)
    chosen = to_numpy(init(x, 5, key=0))
    assert chosen.shape == (5, 1)
    if init is not random_partition:
        assert set(chosen[:, 0]) == set(range(5))


@pytest.mark.parametrize(
    ("init", "metric"),
    [
        *((init, "sqeuclidean") for init in ALL),
        (kmeans_plusplus, "cosine"),
        (farthest_first, "manhattan"),
    ],
)
def test_the_same_key_gives_the_same_rows_on_every_backend(
    xp, asarray, to_numpy, blobs, init, metric
):
    x = blobs[0][:40].astype(np.float32)
    chosen = init(asarray(xp, x), K, key=11, metric=metric)
    np.testing.assert_allclose(to_numpy(chosen), init(x, K, key=11, metric=metric), atol=1e-4)


@pytest.mark.parametrize("init", ALL)
def test_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, init, blobs):
    x = np.stack([blobs[0][:40], blobs[0][40:80]])
    keys = split(as_key(3, np, None), 2)
    batch = init(asarray(xp, x), K, key=asarray(xp, keys.astype(np.int64)))
    for i in range(2):
        one = init(asarray(xp, x[i]), K, key=asarray(xp, keys[i].astype(np.int64)))
        np.testing.assert_allclose(to_numpy(batch)[i], to_numpy(one), atol=1e-5)


@pytest.mark.uncompiled
def test_a_metric_of_ones_own_is_sampled_by_its_distance(xp, asarray, to_numpy, blobs):
    same = Metric(lambda x, y: xp.sum((x - y) ** 2, axis=-1))
    x = asarray(xp, blobs[0][:40])
    ours = to_numpy(kmeans_plusplus(x, K, key=4, metric=same))
    np.testing.assert_array_equal(ours, to_numpy(kmeans_plusplus(x, K, key=4)))


# ---- probabilities: many keys at once, each drawing two of six rows


def observed_pairs(xp, asarray, to_numpy, choose, x, weights):
    keys = split(as_key(2007, np, None), 2000).astype(np.int64)
    chosen = choose(asarray(xp, x), 2, key=asarray(xp, keys), weights=asarray(xp, weights))
    rows = to_numpy(chosen)
    index = (rows[:, :, None, :] == to_numpy(asarray(xp, x))).all(axis=-1).argmax(axis=-1)
    return np.bincount(index[:, 0] * 6 + index[:, 1], minlength=36)


def pairs_fit(observed, probabilities):
    expected = np.zeros(36)
    for (i, j), probability in probabilities.items():
        expected[6 * i + j] = 2000 * probability
    assert np.all(observed[expected == 0] == 0)
    # Cells of few expected draws are pooled.
    large = expected >= 5
    pooled = [np.append(a[large], a[~large].sum()) for a in (observed, expected)]
    pooled = [a[: large.sum() + (pooled[1][-1] > 0)] for a in pooled]
    return chisquare(*pooled).pvalue > 0.01


X = np.asarray([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [2.0, 2.0], [5.0, 1.0], [4.0, 4.0]])
WEIGHTS = np.asarray([1.0, 2.0, 0.0, 3.0, 1.0, 0.5])


def test_plusplus_is_d_squared_sampling(xp, asarray, to_numpy):
    def choose(x, k, **options):
        return kmeans_plusplus(x, k, n_trials=1, **options)

    observed = observed_pairs(xp, asarray, to_numpy, choose, X, WEIGHTS)
    assert pairs_fit(observed, reference.plusplus_pairs(X, WEIGHTS))


def test_random_points_are_drawn_by_weight_without_replacement(xp, asarray, to_numpy):
    shares = WEIGHTS / WEIGHTS.sum()
    expected = {
        (i, j): shares[i] * shares[j] / (1 - shares[i])
        for i in range(6)
        for j in range(6)
        if i != j and shares[i] * shares[j] > 0
    }
    assert pairs_fit(observed_pairs(xp, asarray, to_numpy, random_points, X, WEIGHTS), expected)


# ---- each by itself


@pytest.mark.parametrize("key", range(3))
def test_farthest_first_equals_loops(xp, asarray, to_numpy, key):
    x = np.random.default_rng(key).integers(-50, 50, (30, 2)) * 1.0
    chosen = to_numpy(farthest_first(asarray(xp, x), 6, key=key))
    first = int((x == chosen[0]).all(axis=1).argmax())
    expected = x[reference.farthest_first(x.tolist(), 6, first)]
    np.testing.assert_array_equal(chosen, expected)


@pytest.mark.uncompiled
@pytest.mark.parametrize("init", [kmeans_plusplus, kmeans_parallel, farthest_first])
def test_finds_every_separated_group(xp, asarray, to_numpy, blobs, init):
    x, labels = blobs
    for key in range(3):
        chosen = init(asarray(xp, x[:200]), 8, key=key)
        groups = {int(labels[np.abs(x - row).sum(axis=1).argmin()]) for row in to_numpy(chosen)}
        assert groups == set(range(8))


def test_parallel_is_about_as_good_as_plusplus():
    x = np.random.default_rng(0).standard_normal((2000, 4))

    def cost(init):
        return np.mean([assign(x, init(x, 20, key=key)).distances.sum() for key in range(5)])

    assert cost(kmeans_parallel) < 1.05 * cost(kmeans_plusplus)
    assert cost(kmeans_plusplus) < 0.9 * cost(random_points)


# ---- a coreset


def test_a_coreset_is_about_as_good_as_plusplus(blobs):
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal((20_000, 4)), blobs[0][rng.integers(600, size=20_000)]):

        def cost(init, x=x, **options):
            starts = [init(x, 20, key=key, **options) for key in range(5)]
            return np.mean([assign(x, start).distances.sum() for start in starts])

        assert cost(kmeans_coreset, size=2000) < 1.05 * cost(kmeans_plusplus)


def test_a_coreset_that_holds_all_rows_is_plusplus(xp, asarray, to_numpy, blobs):
    x = asarray(xp, blobs[0][:40])
    chosen = kmeans_coreset(x, K, key=3)
    np.testing.assert_array_equal(to_numpy(chosen), to_numpy(kmeans_plusplus(x, K, key=3)))


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "manhattan"])
def test_a_coreset_is_the_same_on_every_backend(xp, asarray, to_numpy, blobs, metric):
    x = blobs[0].astype(np.float32)
    weights = np.random.default_rng(0).integers(0, 3, 600).astype(np.float32)
    options = {"key": 4, "metric": metric, "size": 60}
    chosen = kmeans_coreset(asarray(xp, x), K, weights=asarray(xp, weights), **options)
    np.testing.assert_array_equal(
        to_numpy(chosen), kmeans_coreset(x, K, weights=weights, **options)
    )
    assert as_set(to_numpy(chosen)) <= as_set(x[weights > 0])


def test_a_coreset_of_a_batch_is_a_loop_over_its_members(xp, asarray, to_numpy, blobs):
    x = np.stack([blobs[0][:40], blobs[0][40:80]])
    batch = kmeans_coreset(asarray(xp, x), K, key=1, size=20)
    for member, rows in zip(to_numpy(batch), x, strict=True):
        one = kmeans_coreset(asarray(xp, rows), K, key=1, size=20)
        np.testing.assert_array_equal(member, to_numpy(one))


def test_a_coreset_weighs_rows_by_the_inverse_of_their_probability():
    """One far row of 5000 is in every sample, and is nothing but one row."""
    x = np.random.default_rng(0).standard_normal((5000, 2))
    x[7] = 1e4
    for key in range(3):
        chosen = kmeans_coreset(x, 2, key=key, size=100)
        assert np.sum(chosen[:, 0] == 1e4) == 1
    # Of equal rows none is far from the mean.
    assert np.all(kmeans_coreset(np.ones((50, 2)), 3, key=0, size=10) == 1)


def test_greedy_trials_help():
    x = np.random.default_rng(0).standard_normal((500, 4))

    def cost(n_trials):
        starts = [kmeans_plusplus(x, 20, key=key, n_trials=n_trials) for key in range(8)]
        return np.mean([assign(x, start).distances.sum() for start in starts])

    assert cost(None) < 0.97 * cost(1)


def test_plusplus_is_as_good_as_that_of_scikit_learn():
    """The mean over 30 seeds within 1%; by kernels too where they are asked for."""
    x = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)

    def mean_inertia(seed_with):
        starts = [np.asarray(seed_with(key)) for key in range(30)]
        return np.mean([assign(x, start).distances.sum() for start in starts])

    ours = mean_inertia(lambda key: kmeans_plusplus(x, 50, key=key))
    theirs = mean_inertia(lambda key: sklearn.cluster.kmeans_plusplus(x, 50, random_state=key)[0])
    np.testing.assert_allclose(ours, theirs, rtol=0.01)


def test_random_partition_is_means_of_groups(xp, asarray, to_numpy, data):
    x, weights = data
    chosen = to_numpy(random_partition(asarray(xp, x), K, key=0, weights=asarray(xp, weights)))
    assert np.all(np.abs(chosen - np.average(x, axis=0, weights=weights)) < 2)
    # A row of weight 0 has no say: neither where it is, nor that it is there.
    moved = x + 1e3 * (weights == 0)[:, None]
    again = random_partition(asarray(xp, moved), K, key=0, weights=asarray(xp, weights))
    np.testing.assert_allclose(to_numpy(again), chosen, atol=1e-5)


@pytest.mark.parametrize(
    ("init", "options", "message"),
    [
        (kmeans_plusplus, {"n_trials": 0}, "n_trials must be at least 1, got 0"),
        (kmeans_coreset, {"size": 1}, "size must be at least 2, got 1"),
        (kmeans_parallel, {"rounds": 0}, "rounds must be at least 1, got 0"),
        (kmeans_parallel, {"oversampling": 0.0}, "oversampling must be positive"),
        (random_points, {"weights": np.ones(3)}, "weights must have shape"),
    ],
)
def test_bad_options_are_named(init, options, message):
    with pytest.raises(ValueError, match=message):
        init(X, 2, key=0, **options)


def test_a_metric_need_not_be_defined_at_the_origin():
    """Warnings are errors: log(0) would be one."""
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], size=50)
    metric = Metric(lambda a, b: np.sum(a * np.log(a / b), axis=-1))
    centroids = kmeans_plusplus(shares, 3, key=0, metric=metric)
    assert {tuple(row) for row in centroids} <= {tuple(row) for row in shares}


@pytest.mark.backend("torch")
def test_large_tensors_are_seeded_as_numpys_arrays_are(xp, to_numpy, monkeypatch):
    # NumPy works on views of them: the same rows to the bit, and tensors in the end.
    monkeypatch.setenv("KMEANS_FX_KERNELS", "0")
    x = np.random.default_rng(5).normal(size=(20_000, 4)).astype(np.float32)
    tensor = xp.asarray(x.copy())
    chosen = kmeans_plusplus(tensor, 7, key=3)
    assert chosen.dtype == tensor.dtype
    np.testing.assert_array_equal(to_numpy(chosen), kmeans_plusplus(x, 7, key=3))
    np.testing.assert_array_equal(to_numpy(tensor), x)
