"""Mini-batch k-means against plain loops and scikit-learn, from arrays, files and iterables."""

import numpy as np
import pytest
from array_api_compat import is_jax_namespace
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_sample_image
from threadpoolctl import threadpool_limits

from kmeans_fx import (
    CONVERGED,
    MAX_ITER,
    NONFINITE,
    RUNNING,
    assign,
    minibatch_init,
    minibatch_kmeans,
    minibatch_step,
)
from kmeans_fx._backend.mapped import rows_together

K = 8


def inertia(x, centroids):
    return float(assign(x, np.asarray(centroids, dtype=x.dtype)).distances.sum())


def batches_of(x, size):
    return [x[i : i + size] for i in range(0, len(x), size)]


# ---- the step


def steps_in_loops(batches, weights, centroids):
    """Algorithm 1 of Sculley (2010): the learning rate of a row is 1 / count."""
    centroids, counts = centroids.copy(), np.zeros(len(centroids))
    for batch, share in zip(batches, weights, strict=True):
        labels = [((row - centroids) ** 2).sum(axis=1).argmin() for row in batch]
        for row, weight, label in zip(batch, share, labels, strict=True):
            counts[label] += weight
            if weight:
                centroids[label] += weight / counts[label] * (row - centroids[label])
    return centroids, counts


@pytest.mark.parametrize("weighted", [False, True])
def test_steps_equal_loops(xp, asarray, to_numpy, weighted):
    rng = np.random.default_rng(0)
    x, shares = rng.normal(size=(80, 3)), rng.integers(0, 3, 80) * 1.0
    batches, weights = batches_of(x, 20), batches_of(shares if weighted else np.ones(80), 20)
    state = minibatch_init(asarray(xp, x[:4]))
    for batch, share in zip(batches, weights, strict=True):
        given = asarray(xp, share) if weighted else None
        state = minibatch_step(
            asarray(xp, batch), state, key=0, weights=given, reassignment_ratio=0
        )
    centroids, counts = steps_in_loops(batches, weights, x[:4])
    ours = to_numpy(state.centroids) + to_numpy(state.origin)
    np.testing.assert_allclose(ours, centroids, atol=1e-5)
    np.testing.assert_allclose(to_numpy(state.counts), counts, rtol=1e-6)
    assert int(state.n_iter) == 4


def test_steps_equal_scikit_learns():
    """Its ``partial_fit`` on the same batches, without reassignment."""
    x = np.random.default_rng(0).normal(size=(400, 3))
    theirs = MiniBatchKMeans(5, init=x[:5], n_init=1, reassignment_ratio=0)
    state = minibatch_init(x[:5])
    for batch in batches_of(x, 80):
        theirs.partial_fit(batch)
        state = minibatch_step(batch, state, key=0, reassignment_ratio=0)
    np.testing.assert_allclose(state.centroids + state.origin, theirs.cluster_centers_)
    np.testing.assert_array_equal(state.counts, theirs._counts)


@pytest.mark.uncompiled
def test_a_small_move_is_not_lost_far_from_the_origin(xp, asarray, to_numpy):
    """In float32, of rows at 1e4 of standard deviation 1."""
    x = np.random.default_rng(0).normal((1e4, -1e4), size=(4000, 2))
    state = minibatch_init(asarray(xp, x[:1], "float32"))
    for batch in batches_of(x, 500):
        state = minibatch_step(asarray(xp, batch, "float32"), state, key=0)
    ours = to_numpy(state.centroids).astype(float) + to_numpy(state.origin)
    np.testing.assert_allclose(ours[0], x.astype(np.float32).mean(axis=0), atol=2e-3)


def test_starved_centroids_move_to_rows_of_the_batch(xp, asarray, to_numpy):
    x = np.random.default_rng(0).normal(size=(40, 2))
    nowhere = np.full((3, 2), 1e3) + np.arange(3)[:, None]
    starts = np.concatenate([x[:2], nowhere])
    kept, moved = (
        minibatch_step(asarray(xp, x), minibatch_init(asarray(xp, starts)), key=0, **options)
        for options in ({"reassignment_ratio": 0}, {})
    )
    ours = to_numpy(moved.centroids + moved.origin)
    distances = np.abs(ours[2:, None] - x).sum(axis=-1)
    assert (distances.min(axis=1) < 1e-4).all()
    assert len(set(distances.argmin(axis=1).tolist())) == 3
    np.testing.assert_allclose(ours[:2], to_numpy(kept.centroids + kept.origin)[:2], rtol=1e-4)
    counts = to_numpy(moved.counts)
    np.testing.assert_array_equal(counts[2:], counts[:2].min())
    assert (to_numpy(kept.counts)[2:] == 0).all()


def test_reassignment_never_takes_an_absent_row_nor_more_than_half_of_the_batch():
    x = np.arange(20.0).reshape(10, 2)
    weights = np.asarray([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    starts = np.concatenate([x[:1], np.full((7, 2), 1e4)])
    for key in range(5):
        state = minibatch_step(x, minibatch_init(starts), key=key, weights=weights)
        ours = state.centroids + state.origin
        moved = ours[ours[:, 0] < 1e3]
        assert len(moved) == 1 + 5
        assert moved.max() < 12


def test_rows_of_weight_zero_are_absent_and_of_weight_two_are_two():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(60, 2)), rng.integers(0, 3, 60) * 1.0
    start = minibatch_step(x, minibatch_init(x[:4]), key=0, reassignment_ratio=0)
    ours = minibatch_step(x, start, key=0, weights=weights, reassignment_ratio=0)
    copies = np.repeat(x, weights.astype(int), axis=0)
    theirs = minibatch_step(copies, start, key=0, reassignment_ratio=0)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_batch_without_weight_changes_nothing_but_the_number_of_steps():
    x = np.random.default_rng(0).normal(size=(60, 2))
    state = minibatch_step(x, minibatch_init(x[:4]), key=0)
    state = minibatch_step(x, state, key=0)
    # Only a traced call can have weights of zero: the values are not looked at.
    from kmeans_fx.algorithms._minibatch import Rules, advance_minibatch

    rules = Rules("sqeuclidean", 0.01, 0.1, 1e-3, 1, None, None)
    with np.errstate(invalid="ignore"):
        after = advance_minibatch(x, np.zeros(60), np.zeros(2, np.uint32), state, rules)
    for name, before in state._replace(n_iter=state.n_iter + 1)._asdict().items():
        np.testing.assert_allclose(getattr(after, name), before, atol=1e-15, err_msg=name)


@pytest.mark.uncompiled
def test_stops_by_smoothed_inertia(xp, asarray, to_numpy):
    """The rule in plain loops, on batches of one and the same size."""
    x = np.random.default_rng(0).normal(size=(4000, 2))
    options = {"key": 0, "smoothing": 0.3, "max_no_improvement": 3}
    state, smoothed, best, stale = minibatch_init(asarray(xp, x[:4])), None, np.inf, 0
    for turn, batch in enumerate(batches_of(x, 50)):
        centroids = to_numpy(state.centroids).astype(float) + to_numpy(state.origin)
        placed = assign(batch, centroids).distances.mean()
        if turn > 0:
            smoothed = placed if smoothed is None else smoothed + 0.3 * (placed - smoothed)
            stale = 0 if smoothed < best else stale + 1
            best = min(best, smoothed)
        state = minibatch_step(asarray(xp, batch), state, **options)
        assert int(state.stale) == stale
        assert int(state.status) == (CONVERGED if stale >= 3 else RUNNING)
        if stale >= 3:
            break
    assert 3 < turn < 79
    np.testing.assert_allclose(float(state.smoothed), smoothed, rtol=1e-4)


def test_stops_by_centroid_change_and_by_steps():
    x = np.random.default_rng(0).normal(size=(50, 2))
    state = minibatch_init(x[:2])
    for _ in range(60):
        state = minibatch_step(x, state, key=0, tol=1e-6, max_no_improvement=None)
        if state.status != RUNNING:
            break
    assert state.status == CONVERGED
    assert 2 < state.n_iter < 60
    state = minibatch_step(x, minibatch_init(x[:2]), key=0, max_steps=1)
    assert state.status == MAX_ITER


def test_a_value_that_is_not_finite_is_a_status():
    x = np.random.default_rng(0).normal(size=(50, 2))
    state = minibatch_init(x[:2])
    x[3] = np.nan
    assert minibatch_step(x, state, key=0).status == NONFINITE


# ---- a whole fit


@pytest.mark.uncompiled
def test_finds_the_groups(xp, asarray, to_numpy, blobs):
    ours = minibatch_kmeans(asarray(xp, blobs[0]), K, key=0, batch_size=100, n_init=3)
    pairs = set(zip(blobs[1].tolist(), to_numpy(ours.labels).tolist(), strict=True))
    assert len(pairs) == K
    assert int(ours.status) == CONVERGED
    centroids = to_numpy(ours.centroids).astype(np.float64)
    np.testing.assert_allclose(float(ours.inertia), inertia(blobs[0], centroids), rtol=1e-4)


def test_all_backends_agree_and_a_key_tells_all(xp, asarray, to_numpy, blobs):
    x = blobs[0].astype(np.float32)
    options = {"batch_size": 100, "n_init": 3, "max_iter": 2}
    ours = minibatch_kmeans(asarray(xp, x), K, key=3, **options)
    numpys, again, other = (minibatch_kmeans(x, K, key=key, **options) for key in (3, 3, 4))
    np.testing.assert_allclose(to_numpy(ours.centroids), numpys.centroids, atol=1e-3)
    assert int(ours.n_iter) == numpys.n_iter
    np.testing.assert_array_equal(numpys.centroids, again.centroids)
    assert np.abs(numpys.centroids - other.centroids).max() > 1e-3


def test_all_rows_are_one_batch_if_it_is_large_enough():
    x = np.random.default_rng(0).normal(size=(100, 2))
    ours = minibatch_kmeans(x, 3, key=0, init=x[:3], batch_size=100, max_iter=1)
    step = minibatch_step(x, minibatch_init(x[:3]), key=0)
    np.testing.assert_allclose(ours.centroids, step.centroids + step.origin)
    assert ours.counts.sum() == 100
    assert ours.n_iter == 1


@pytest.mark.parametrize("length", [1, 7])
def test_every_row_is_equally_likely(length):
    """The mean of a feature that tells the row, by one centroid: chi-square of its places."""
    n, size = 20, 14
    x = np.eye(n)
    ours = minibatch_kmeans(
        x, 1, key=0, init=x[:1], batch_size=size, run_length=length,
        max_iter=400, max_no_improvement=None, labels=False,
    )  # fmt: skip
    drawn = float(ours.counts[0])
    share = ours.centroids[0]
    np.testing.assert_allclose(share.sum(), 1)
    # The variance of a share, of runs that are drawn independently.
    sd = np.sqrt(length / n / drawn)
    assert np.abs(share - 1 / n).max() < 4 * sd


def test_labels_are_optional(blobs):
    x = blobs[0]
    options = {"key": 0, "batch_size": 100, "max_iter": 2}
    ours, bare = (minibatch_kmeans(x, K, labels=on, **options) for on in (True, False))
    assert bare.labels.shape == (0,)
    assert np.isnan(float(bare.inertia))
    np.testing.assert_array_equal(ours.centroids, bare.centroids)
    np.testing.assert_allclose(float(ours.smoothed), float(bare.smoothed))


def test_weights_weigh():
    x = np.concatenate([np.zeros((50, 1)), np.ones((50, 1)), np.full((50, 1), 99.0)])
    weights = np.repeat([1.0, 3.0, 0.0], 50)
    ours = minibatch_kmeans(x, 1, key=0, weights=weights, batch_size=150)
    np.testing.assert_allclose(ours.centroids, 0.75, rtol=1e-5)
    np.testing.assert_allclose(float(ours.inertia), 37.5, rtol=1e-5)


def test_cosine():
    rng = np.random.default_rng(0)
    angles = rng.normal(size=600) * 0.1 + rng.integers(0, 3, 600) * 2
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(1, 9, (600, 1))
    ours = minibatch_kmeans(x, 3, key=0, metric="cosine", batch_size=100)
    found = ours.centroids
    np.testing.assert_allclose((found**2).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        np.sort(np.arctan2(found[:, 1], found[:, 0])), [-2.28, 0, 2], atol=0.1
    )


def test_half_precision_and_integers(xp, asarray):
    x = np.repeat([[0, 0], [50, 0], [0, 90]], 30, axis=0)
    for dtype in ("int32", "float16"):
        if hasattr(xp, dtype):
            ours = minibatch_kmeans(asarray(xp, x, dtype), 3, key=0, batch_size=90, n_init=2)
            whole = dtype == "int32"
            assert ours.centroids.dtype == (xp.asarray(0.5).dtype if whole else getattr(xp, dtype))
            np.testing.assert_allclose(float(ours.inertia), 0, atol=1e-6)


# ---- files and iterables


def test_a_mapped_file_gives_what_the_array_gives(tmp_path, blobs):
    path = tmp_path / "x.npy"
    np.save(path, blobs[0])
    mapped = np.load(path, mmap_mode="r")
    options = {"key": 0, "batch_size": 100, "run_length": 10}
    ours, plain = (minibatch_kmeans(x, K, **options) for x in (mapped, blobs[0]))
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(one, other)
        assert type(one) is np.ndarray
    assert (rows_together(mapped), rows_together(blobs[0])) == (65536 // 40, 1)


def test_batches_are_learnt_from_as_they_come(xp, asarray, to_numpy, blobs):
    batches = [asarray(xp, batch) for batch in batches_of(blobs[0], 100)]
    ours = minibatch_kmeans(iter(batches), K, key=0, init=batches[0][:K, :])
    state = minibatch_init(batches[0][:K, :])
    for batch in batches:
        state = minibatch_step(batch, state, key=0)
    expected = to_numpy(state.centroids) + to_numpy(state.origin)
    np.testing.assert_allclose(to_numpy(ours.centroids), expected, rtol=1e-5)
    assert (int(ours.n_iter), int(ours.status)) == (6, MAX_ITER)
    assert ours.labels.shape == (0,)
    assert np.isnan(float(ours.inertia))


def test_an_iterator_has_one_pass_and_a_list_many():
    x = np.random.default_rng(0).normal(size=(60, 2))
    batches = batches_of(x, 20)
    options = {"key": 0, "max_iter": 4, "max_no_improvement": None}
    assert minibatch_kmeans(iter(batches), 3, **options).n_iter == 3
    assert minibatch_kmeans((b for b in batches), 3, **options).n_iter == 3
    assert minibatch_kmeans(batches, 3, **options).n_iter == 12


def test_the_first_batches_are_gathered_until_there_are_enough_rows():
    x = np.arange(12.0).reshape(6, 2)
    ours = minibatch_kmeans(iter(batches_of(x, 1)), 4, key=0, init="random", init_size=5)
    assert ours.n_iter == 6
    assert ours.counts.sum() >= 6
    with pytest.raises(ValueError, match="x must hold at least k = 7 rows, got 6"):
        minibatch_kmeans(iter(batches_of(x, 1)), 7, key=0)


def test_batches_may_bring_weights():
    x = np.asarray([[0.0], [1.0], [99.0]])
    weights = np.asarray([1.0, 3.0, 0.0])
    ours = minibatch_kmeans([(x, weights), (x, weights)], 1, key=0)
    np.testing.assert_allclose(ours.centroids, [[0.75]])
    mixed = minibatch_kmeans([(x, weights), x[:2]], 1, key=0, max_iter=1)
    np.testing.assert_allclose(mixed.counts, [6.0])
    with pytest.raises(ValueError, match="weights must come with the batches"):
        minibatch_kmeans([x], 1, key=0, weights=weights)


# ---- against scikit-learn


def image():
    rows = load_sample_image("china.jpg").reshape(-1, 3)[::11]
    return np.ascontiguousarray(rows) / 255.0


def groups(n=8000, d=8, k=20):
    rng = np.random.default_rng(0)
    return rng.normal(size=(k, d))[rng.integers(k, size=n)] + rng.normal(size=(n, d))


SETS = {
    "groups": (groups, 20),
    "image": (image, 16),
    "duplicates": (lambda: groups(200)[np.random.default_rng(1).integers(200, size=8000)], 40),
}


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("name", [*SETS, "digits"])
def test_as_good_as_scikit_learns(digits, name):
    """Mean inertia of a few fits: at most 1% above."""
    make, k = SETS.get(name, (digits[0].copy, 10))
    x, keys, options = make(), range(16), {"batch_size": 1024, "n_init": 1}
    ours = [inertia(x, minibatch_kmeans(x, k, key=key, **options).centroids) for key in keys]
    with threadpool_limits(1):  # its threads wait for each other at every small batch
        models = [MiniBatchKMeans(k, random_state=key, **options).fit(x) for key in keys]
    theirs = [inertia(x, model.cluster_centers_) for model in models]
    assert np.mean(ours) <= 1.01 * np.mean(theirs)


# ---- what it refuses

X = np.arange(12.0).reshape(6, 2)
REFUSED = [
    (lambda a: minibatch_kmeans(a(X), 7, key=0), "k must be at most the number of rows, 6"),
    (lambda a: minibatch_kmeans(a(X[0]), 1, key=0), "x must have shape"),
    (lambda a: minibatch_kmeans(a(X[None]), 1, key=0), r"x must have shape \(n, d\), got \(1, 6"),
    (lambda a: minibatch_kmeans([a(X[None])], 1, key=0), r"batches of shape \(m, d\)"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, metric="manhattan"), "metric must have a centre"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, batch_size=0), "batch_size must be at least 1"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, run_length=0), "run_length must be at least 1"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, init_size=1), "init_size must be at least 2"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, smoothing=0), "smoothing must be positive"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, smoothing=1.5), "smoothing must be from 0 to 1"),
    (lambda a: minibatch_kmeans(a(X), 2, key=0, tol=-1.0), "tol must be finite and not neg"),
    (
        lambda a: minibatch_kmeans(a(X), 2, key=0, reassignment_ratio=2),
        "reassignment_ratio must be from 0 to 1, got 2",
    ),
    (
        lambda a: minibatch_kmeans(a(X), 2, key=0, max_no_improvement=0),
        "max_no_improvement must be at least 1",
    ),
    (
        lambda a: minibatch_step(a(X), minibatch_init(a(X[:2, :1])), key=0),
        r"state must have shape \(..., k, 2\)",
    ),
    (lambda a: minibatch_kmeans(a(X * np.nan), 2, key=0), "x must be finite"),
    (lambda a: minibatch_kmeans([a(X), a(X * np.nan)], 2, key=0, init_size=2), "x must be finite"),
    (
        lambda a: minibatch_kmeans([a(X)], 2, key=0, reassignment_ratio=0, reduce=print),
        "x must be an array with reduce=; for batches of your own call minibatch_step",
    ),
    (
        lambda a: minibatch_kmeans(a(X), 2, key=0, reduce=print),
        "reassignment_ratio must be 0 if reduce has no rank and no size, got 0.01",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_an_error_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.asarray)


def test_a_number_is_no_iterable():
    with pytest.raises(TypeError, match="x must be an array or an iterable of batches, got int"):
        minibatch_kmeans(3, 2, key=0)
    with pytest.raises(TypeError, match="tol must be a number"):
        minibatch_kmeans(X, 2, key=0, tol="small")


def test_under_a_trace_a_value_that_is_not_finite_is_a_status(xp):
    if not is_jax_namespace(xp):
        pytest.skip("JAX traces")
    import jax

    fit = jax.jit(lambda x: minibatch_kmeans(x, 2, key=0, init=x[:2], batch_size=3))
    assert int(fit(xp.asarray(X * np.nan)).status) == NONFINITE
