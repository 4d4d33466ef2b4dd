"""The array programs that stand in for compiled kernels on NumPy: exact, whatever the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import assign, kmeans, lloyd
from kmeans_fx._backend import kernels
from kmeans_fx._backend.kernels import product_tiles, products
from kmeans_fx._partition import centred_space, own_distances, partition
from kmeans_fx.algorithms._passes import FusedPartition
from kmeans_fx.converge import NONFINITE
from kmeans_fx.distances import as_metric
from tests.parameters import HARD_KINDS, excess, hard_rows

pytestmark = pytest.mark.backend("numpy")

# On both sides of every threshold: scores across and along, columns in one piece and rows.
CLUSTERS = st.sampled_from([1, 2, 9, 30, 100, 130])
COLUMNS = st.sampled_from([1, 2, 3, 5, 9, 16, 17, 30])
KINDS = st.sampled_from(["normal", *HARD_KINDS])


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    """For however few rows, and as if there were no compiler."""
    monkeypatch.setattr(kernels, "_FEW_NUMBERS", 0)
    monkeypatch.setattr(kernels, "_MOST_PRODUCTS", 0)
    monkeypatch.setattr(kernels, "_has_numba", lambda: False)
    monkeypatch.delenv("KMEANS_FX_KERNELS", raising=False)


@given(KINDS, st.integers(1, 600), COLUMNS, CLUSTERS, st.integers(0, 99))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_label_is_of_a_nearest_centroid(dtype, kind, n, d, k, seed):
    rng = np.random.default_rng(seed)
    x = hard_rows(kind, n, d, rng).astype(dtype)
    weights = rng.integers(0, 3, size=n).astype(dtype) if seed % 2 else None
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    centroids = space.relative(x[rng.integers(n, size=k)])
    dropped = np.arange(k) % 3 == 2
    part = partition(x, centroids, weights, space, dropped=dropped, distances=True)
    assert not np.any(dropped[part.labels])
    rows = x - space.origin
    above, scale = excess(rows, centroids[~dropped], (np.cumsum(~dropped) - 1)[part.labels])
    assert np.all(above <= 64 * np.finfo(dtype).eps * scale)
    np.testing.assert_array_equal(part.stats.counts, np.bincount(part.labels, weights, k))
    share = np.ones(n) if weights is None else weights
    sums = np.zeros((k, d))
    np.add.at(sums, part.labels, share[:, None] * rows)
    room = 64 * np.finfo(dtype).eps * (np.abs(rows).sum() + np.finfo(dtype).tiny)
    np.testing.assert_allclose(part.stats.sums, sums, atol=room)
    own = own_distances(x, part.labels, centroids, space)
    np.testing.assert_allclose(part.inertia, np.sum(share * own), rtol=1e-4)


@given(KINDS, st.integers(2, 600), COLUMNS, CLUSTERS, st.integers(0, 99), st.booleans())
@pytest.mark.parametrize("more", [0, 40])  # with so many a row's own distance is looked at first
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_pass_finds_a_nearest_centroid_wherever_they_move(
    dtype, more, kind, n, d, k, seed, bounded
):
    n, d, k = min(n, 100) if more else n, d + more, k + more
    rng = np.random.default_rng(seed)
    x = hard_rows(kind, n, d, rng).astype(dtype)
    weights = rng.integers(0, 3, size=n).astype(dtype) if seed % 2 else None
    space = centred_space(x, None, as_metric("sqeuclidean"), 200)
    chosen = kernels.kernels_for(x, x.dtype, "update_bounds")
    rows, passes = x - space.origin, FusedPartition(chosen, bounded=bounded)
    centroids, labels = rows[rng.integers(n, size=k)], np.full(n, -1)
    steps = (0, 1, 0.1, 0, 1e-3, 5, 0, 0.01, 1e-4, 0) * (2 if more else 4)
    for turn, step in enumerate(steps):
        centroids = centroids + (step * rng.normal(size=(k, d)) * np.ptp(rows)).astype(dtype)
        part = passes.next(x, centroids, weights, space)
        assert passes.bounds.kernels is products
        assert passes.moved == np.sum(part.labels != labels)
        np.testing.assert_array_equal(passes.bounds.labels_before(), labels)
        labels = part.labels + 0
        if turn % 3 == 0:  # what bounds let through is let through for good
            above, scale = excess(rows, centroids, labels)
            assert np.all(above <= 128 * np.finfo(dtype).eps * scale)
            np.testing.assert_array_equal(part.stats.counts, np.bincount(labels, weights, k))


def test_no_thread_warns_of_what_overflows():
    # Of as many rows two threads have a block each; NumPy's settings are those of one.
    x = 1e30 * np.random.default_rng(0).standard_normal((70_000, 3)).astype(np.float32)
    for algorithm in ("lloyd", "bounded"):
        assert int(lloyd(x, x[:5], algorithm=algorithm, max_iter=3).status) == NONFINITE


def test_bounds_skip_rows_and_are_given_up_where_they_skip_few():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 8)).astype(np.float32)
    passes = FusedPartition(products, bounded=True)
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    centroids, searched = x[:40] - space.origin, []
    for turn in range(12):
        # They leap, and from the sixth turn on they creep.
        step = np.float32(1e-3) * rng.standard_normal(centroids.shape, dtype=np.float32)
        centroids = rng.permutation(centroids) if turn < 6 else centroids + step
        passes.next(x, centroids, None, space)
        searched.append(passes.bounds.tally[:, 0].sum() / 4000)
    assert searched[1] > 0.9
    assert searched[2:4] == [1.0, 1.0]  # plain passes
    assert searched[-1] < 0.4


def test_a_long_fit_is_the_plain_one():
    x = np.random.default_rng(1).standard_normal((3000, 3))
    fits = [lloyd(x, x[:40], algorithm=a, tol=0, max_iter=300) for a in ("lloyd", "bounded")]
    assert int(fits[0].n_iter) > 40
    np.testing.assert_array_equal(fits[1].labels, fits[0].labels)
    np.testing.assert_allclose(fits[1].centroids, fits[0].centroids, rtol=1e-10)


@pytest.mark.parametrize("k", [3, 30, 100])
def test_the_number_of_threads_does_not_change_a_bit(monkeypatch, k):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setattr("kmeans_fx._backend.threads._FEWEST_ROWS", 1000)
    monkeypatch.setattr(product_tiles, "_MOST_ROWS", 700)
    x = np.random.default_rng(2).standard_normal((9000, 4)).astype(np.float32)
    fits = []
    for number in (1, 2, 3):
        with threadpoolctl.threadpool_limits(number):
            fits.append(kmeans(x, k, key=1, max_iter=20))
    for fit in fits[1:]:
        for one, other in zip(fits[0], fit, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("k", [5, 60, 500])  # a product of signs, and rows in order
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_that_move_leave_one_sum_for_another(monkeypatch, d, k, weighted):
    rng = np.random.default_rng(7)
    x, m = rng.standard_normal((300, d)).astype(np.float32), 300
    before = rng.integers(k, size=m)
    labels = (before + rng.integers(1, k, size=m)) % k
    share = rng.integers(0, 4, size=m).astype(np.float32) if weighted else None
    sorts, sort = [], product_tiles.sum_by_label

    def counted(*arguments):
        sorts.append(arguments)
        return sort(*arguments)

    monkeypatch.setattr(product_tiles, "sum_by_label", counted)
    tile = product_tiles.tile_of(x, np.dtype(np.float32))
    change = product_tiles.moved_by_label(tile, labels, before, k, share)
    assert len(sorts) == (2 if (k, d) == (500, 40) else 0)
    rows = np.column_stack([x, np.ones(m)]).astype(float) * (1 if share is None else share[:, None])
    expected = np.zeros((k, d + 1))
    np.add.at(expected, labels, rows)
    np.subtract.at(expected, before, rows)
    np.testing.assert_allclose(change, expected, atol=1e-4)
    np.testing.assert_array_equal(change[:, -1], expected[:, -1])


def test_starts_side_by_side_on_the_same_rows():
    x = np.random.default_rng(3).standard_normal((500, 4))
    starts = np.stack([x[:5], x[5:10], x[10:15]])
    together = lloyd(x, starts, tol=0)
    for i, start in enumerate(starts):
        alone = lloyd(x, start, tol=0)
        np.testing.assert_array_equal(together.labels[i], alone.labels)
        np.testing.assert_allclose(together.inertia[i], alone.inertia)


@pytest.mark.parametrize("offset", [0, 10])  # rows are centred, or not
@pytest.mark.parametrize("d", [5, 40])
def test_half_precision_is_widened(d, offset):
    rng = np.random.default_rng(6)
    x = (rng.integers(-8, 9, size=(600, d)) + offset).astype(np.float16)
    wide = lloyd(x.astype(np.float32), x[:40].astype(np.float32), tol=0, max_iter=9)
    half = lloyd(x, x[:40], tol=0, max_iter=9)
    np.testing.assert_array_equal(half.labels, wide.labels)
    np.testing.assert_array_equal(assign(x, x[:40]), assign(x.astype(np.float32), x[:40]))


def test_rows_of_nan_end_in_the_status():
    x = np.ones((300, 3))
    x[200:] = np.nan
    found = partition(x, x[:30], None, centred_space(x[:200], None, as_metric("sqeuclidean"), None))
    assert np.all(found.labels < 30)


@pytest.fixture
def passes(monkeypatch):
    """One for every block that NumPy was given."""
    seen, function = [], products.update_bounds

    def spy(*arguments):
        seen.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(products, "update_bounds", spy)
    return seen


@pytest.mark.backend("torch", "jax")
@pytest.mark.eager
@pytest.mark.parametrize("algorithm", ["lloyd", "auto"])
def test_numpy_does_it_for_other_libraries(xp, asarray, to_numpy, monkeypatch, passes, algorithm):
    rows = np.random.default_rng(4).standard_normal((700, 5)).astype(np.float32)
    x = asarray(xp, rows)
    other = lloyd(x, x[:9, :], algorithm=algorithm)
    assert passes
    passes.clear()
    monkeypatch.setattr(kernels, "_FEW_NUMBERS", 1 << 16)
    plain = lloyd(x, x[:9, :], algorithm=algorithm)
    assert not passes
    np.testing.assert_array_equal(to_numpy(other.labels), to_numpy(plain.labels))
    np.testing.assert_allclose(to_numpy(other.centroids), to_numpy(plain.centroids), atol=1e-5)


@pytest.mark.backend("jax")
def test_numpy_does_it_for_compiled_code_of_jax(monkeypatch, passes):
    import jax

    x = np.random.default_rng(4).standard_normal((700, 5)).astype(np.float32)

    def fit(x, metric):
        passes.clear()
        return jax.jit(lambda x: lloyd(x, x[..., :9, :], tol=0, metric=metric))(x)

    def shapes(*arguments):
        jax.block_until_ready(fit(*arguments))
        return {given[0].shape for given in passes}

    by_numpy = fit(x, "euclidean")
    far = np.linalg.norm(x - by_numpy.centroids[by_numpy.labels], axis=1)
    np.testing.assert_allclose(by_numpy.inertia, np.sum(far), rtol=1e-5)
    assert shapes(x, "euclidean") == {(700, 5)}
    assert not shapes(x.reshape(7, 100, 5), "euclidean")  # XLA is as fast for many problems
    jax.block_until_ready(jax.vmap(lambda x: fit(x, "euclidean"))(x.reshape(7, 100, 5)))
    assert not passes
    assert not shapes(x, "manhattan")
    assert fit(x, "manhattan").labels.dtype == by_numpy.labels.dtype
    monkeypatch.setenv("KMEANS_FX_KERNELS", "0")
    assert not shapes(x, "euclidean")


@pytest.mark.backend("jax")
def test_what_leaves_nothing_to_numpy_can_be_exported(monkeypatch):
    import jax

    x = np.random.default_rng(5).standard_normal((300, 3)).astype(np.float32)

    def export():
        return jax.export.export(jax.jit(lambda x: lloyd(x, x[:4]).labels))(x)

    with pytest.raises(ValueError, match="kmeans_fx_program"):
        export()
    monkeypatch.setenv("KMEANS_FX_KERNELS", "0")
    np.testing.assert_array_equal(export().call(x), lloyd(x, x[:4]).labels)
