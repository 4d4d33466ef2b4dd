"""Compiled kernels: the portable results in less time, on every library, and easy to turn off."""

import builtins
import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep, thread_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import assign, kmeans, lloyd
from kmeans_fx._backend import host, kernels
from kmeans_fx._backend.kernels import bounds, products
from kmeans_fx._partition import centred_space, own_distances, partition
from kmeans_fx.algorithms._passes import FusedPartition
from kmeans_fx.distances import as_metric
from tests.parameters import HARD_KINDS, hard_rows

algorithm = importlib.import_module("kmeans_fx.algorithms.lloyd")
pytest.importorskip("numba")
fused = pytest.importorskip("kmeans_fx._backend.kernels.fused")
compiled = importlib.import_module("kmeans_fx._backend.kernels.compiled")

pytestmark = pytest.mark.usefixtures("kernels_for_few")
ON_NUMPY = pytest.mark.backend("numpy")


@pytest.fixture
def calls(monkeypatch):
    """The shapes of the blocks, or of all rows, that kernels were given."""
    seen = []
    for name in ("assign", "lead_alone", "lead_each", "shared_of", "update_bounds"):
        function = getattr(fused, name)

        def spy(given, *rest, function=function):
            rows = given.x if isinstance(given, bounds.Bounds) else given
            seen.append(rows.shape)
            return function(given, *rest)

        monkeypatch.setattr(fused, name, spy)
    return seen


def separated(rng, n=700, d=5, k=6):
    centres = 30.0 * rng.permutation(np.eye(max(d, k))[:k, :d] + np.arange(k)[:, None])
    return (centres[rng.integers(k, size=n)] + rng.standard_normal((n, d))).astype(np.float32)


HARD = st.sampled_from(HARD_KINDS)
# Of the many that are added, a tile is searched in pieces.
FEW_COLUMNS_OR_MANY = st.builds(int.__add__, st.integers(1, 40), st.sampled_from([0, 0, 300]))


@ON_NUMPY
@given(HARD, st.integers(1, 300), FEW_COLUMNS_OR_MANY, st.integers(1, 9), st.integers(0, 9))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_label_is_of_a_nearest_centroid(dtype, kind, n, d, k, seed):
    x = hard_rows(kind, n, d, seed).astype(dtype)
    k = min(k, n)
    weights = np.random.default_rng(seed).integers(0, 3, size=n).astype(dtype)
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    part = partition(x, space.relative(x[:k]), weights, space)
    far = ((x[:, None, :].astype(float) - x[None, :k, :]) ** 2).sum(-1)
    own = far[np.arange(n), part.labels]
    # The expanded square is as exact as its largest term.
    spread = ((x.astype(float) - x.astype(float).mean(0)) ** 2).sum(-1).max()
    assert np.all(own <= far.min(1) + 64 * np.finfo(dtype).eps * (spread + far.max()))
    rows = x - space.origin
    sums = np.stack([(weights[:, None] * rows)[part.labels == j].sum(0) for j in range(k)])
    np.testing.assert_allclose(part.stats.counts, np.bincount(part.labels, weights, k))
    scale = np.abs(rows).sum() + np.finfo(dtype).tiny
    np.testing.assert_allclose(part.stats.sums, sums, atol=64 * np.finfo(dtype).eps * scale)


@ON_NUMPY
@given(HARD, st.integers(2, 300), st.integers(1, 9), st.integers(2, 9), st.integers(0, 9))
@pytest.mark.parametrize("empty", ["farthest", "split", "merge", "keep"])
def test_bounds_lead_to_no_worse_a_fixed_point(empty, kind, n, d, k, seed):
    x = hard_rows(kind, n, d, seed)
    k = min(k, n)
    fits = [lloyd(x, x[:k], empty=empty, algorithm=a, tol=0) for a in ("lloyd", "bounded")]
    plain, bounded = fits
    if kind in ("far", "tiny", "huge"):  # no ties: the same path
        np.testing.assert_array_equal(bounded.labels, plain.labels)
    own = ((x - bounded.centroids[bounded.labels]) ** 2).sum(1)
    np.testing.assert_allclose(bounded.inertia, own.sum(), rtol=1e-9, atol=1e-30)


@ON_NUMPY
@given(HARD, st.integers(2, 300), FEW_COLUMNS_OR_MANY, st.integers(2, 20), st.integers(0, 9))
@pytest.mark.parametrize("empty", ["farthest", "keep"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_iterations_that_run_ahead_are_those_of_the_step(dtype, empty, kind, n, d, k, seed):
    x = hard_rows(kind, n, d, seed).astype(dtype)
    start, most = x[: min(k, n)], 1 + seed % 6
    options = {"empty": empty, "max_iter": most}
    steps = lloyd(x, start, history=True, **options)  # a history needs every step
    for algorithm in ("auto", "bounded"):  # transposed once, and by bounds
        ahead = lloyd(x, start, algorithm=algorithm, **options)
        for one, other in zip(ahead[:5], steps[:5], strict=True):
            np.testing.assert_array_equal(one, other)


@ON_NUMPY
@given(HARD, *(st.integers(*r) for r in ((2, 600), (1, 9), (2, 9), (0, 99))), st.booleans())
# With 90 more a row's own distance is looked at first; a tile of 300 more is searched in pieces.
@pytest.mark.parametrize("more", [0, 90, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_pass_finds_a_nearest_centroid_wherever_they_move(
    dtype, more, kind, n, d, k, seed, bounded
):
    n, d, k = min(n, 60) if more else n, d + more, k + min(more, 90)
    x = hard_rows(kind, n, d, seed).astype(dtype)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, size=n).astype(dtype) if seed % 2 else None
    space = centred_space(x, None, as_metric("sqeuclidean"), 200)
    rows, passes = x - space.origin, FusedPartition(fused, bounded=bounded)
    centroids, labels = rows[rng.integers(n, size=k)], np.full(n, -1)
    steps = (0, 1, 0.1, 0, 1e-3, 5, 0, 0.01) * (1 if more else 5)
    for turn, step in enumerate(steps):
        centroids = centroids + (step * rng.normal(size=(k, d)) * np.ptp(rows)).astype(dtype)
        part = passes.next(x, centroids, weights, space)
        assert passes.moved == np.sum(part.labels != labels)
        np.testing.assert_array_equal(passes.bounds.labels_before(), labels)
        labels = part.labels + 0
        if turn % 3 == 0:  # what bounds let through is let through for good
            far = ((rows[:, None, :].astype(float) - centroids) ** 2).sum(-1)
            own, error = far[np.arange(n), labels], 128 * np.finfo(dtype).eps
            scale = (rows.astype(float) ** 2).sum(-1).max() + (centroids.astype(float) ** 2).sum(-1)
            assert np.all(own <= far.min(1) + error * scale.max())
            counts = np.bincount(labels, weights, k)
            np.testing.assert_array_equal(part.stats.counts, counts)


_BEFORE_A_WALL = """
import ctypes, mmap
import numpy as np
from kmeans_fx import assign, lloyd
from kmeans_fx._backend import kernels

kernels._FEW_NUMBERS, size = 0, 128 * mmap.PAGESIZE
room = mmap.mmap(-1, 2 * size)
wall = ctypes.addressof(ctypes.c_char.from_buffer(room)) + size
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(wall), size, 0) == 0
x = np.frombuffer(room, np.float32, size // 4).reshape(-1, 8)[-12298:]  # three blocks, and ten rows
x[:] = np.random.default_rng(0).standard_normal(x.shape)
assign(x, x[:9])
lloyd(x, x[:9], max_iter=5)
print("alive")
"""


@ON_NUMPY
@pytest.mark.skipif(sys.platform != "linux", reason="protects memory as Linux does")
def test_nothing_is_read_beyond_the_last_row():
    command = [sys.executable, "-c", _BEFORE_A_WALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "alive\n", done.stderr


@ON_NUMPY
@pytest.mark.parametrize("apart", [False, True])
def test_own_distances_are_measured_where_they_spare_a_search(apart):
    rng = np.random.default_rng(0)
    middle = 100.0 * rng.standard_normal((90, 100))
    x = rng.standard_normal((600, 100)) + apart * middle[rng.integers(90, size=600)]
    passes = FusedPartition(fused, bounded=True)
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    worth, searched = [], []
    for turn in range(200):
        # They go back and forth by a row's distance, as bounds cannot know, or from row to row.
        leaps = x[rng.choice(600, size=90, replace=False)]
        centroids = middle + turn % 2 * 10 if apart else leaps
        passes.next(x, centroids - space.origin, None, space)
        searched.append(int(passes.bounds.tally[0, 0]))
        worth.append(bool(passes.bounds.tally[0, 2]))
    assert set(worth[8:]) == {apart}
    assert (max(searched[8:]) < 60) == apart


@ON_NUMPY
def test_wide_rows_are_shared_by_threads_and_their_sums_are_few(monkeypatch):
    for rows_per_call in (fused.rows_per_call, products.rows_per_call):
        assert 4 * rows_per_call(50_000, 768) <= 50_000
        assert rows_per_call(5, 1 << 30) >= 1
    monkeypatch.setattr("kmeans_fx.algorithms._passes._SUMS", 400)
    x = np.random.default_rng(0).standard_normal((900, 3))
    space = centred_space(x, None, as_metric("sqeuclidean"), 10)
    passes = FusedPartition(fused, bounded=False)
    part = passes.next(x, x[:20] - space.origin, None, space)
    assert 300 < passes.bounds.parts.size <= 400
    assert part.stats.counts.sum() == 900


@ON_NUMPY
def test_most_iterations_run_ahead(monkeypatch):
    x = np.random.default_rng(13).standard_normal((900, 3))
    steps, advance = [], algorithm.advance

    def counted(*arguments):
        steps.append(arguments)
        return advance(*arguments)

    monkeypatch.setattr(algorithm, "advance", counted)
    assert int(lloyd(x, x[:5], tol=0).n_iter) > 10
    assert not steps  # not even the last, in which no row moves
    lloyd(x, x[:5], tol=1.0)
    assert len(steps) == 1  # a rule ended it


@ON_NUMPY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 7, 8, 21])
def test_ties_go_to_the_first_of_copies(dtype, k):
    x = np.random.default_rng(14).standard_normal((130, 17)).astype(dtype)
    labels = assign(x, np.concatenate([x[:k], x[:k], x[:k]])).labels
    np.testing.assert_array_equal(labels, ((x[:, None] - x[None, :k]) ** 2).sum(-1).argmin(1))


@pytest.mark.backend("numpy", "torch", "jax")
@pytest.mark.eager
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("algorithm", ["lloyd", "bounded"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_is_the_portable_one(
    xp, asarray, to_numpy, portable, calls, metric, algorithm, weighted
):
    rng = np.random.default_rng(3)
    rows = separated(rng)
    x = asarray(xp, rows)
    weights = asarray(xp, rng.uniform(size=700).astype(np.float32)) if weighted else None
    start = asarray(xp, rows[:6])

    def fit():
        return lloyd(x, start, metric=metric, algorithm=algorithm, weights=weights)

    plain = portable(fit)
    assert not calls
    fast = fit()
    assert calls
    np.testing.assert_array_equal(to_numpy(fast.labels), to_numpy(plain.labels))
    assert fast.labels.dtype == plain.labels.dtype
    assert int(fast.n_iter) == int(plain.n_iter)
    for field in ("centroids", "inertia"):
        fast_, plain_ = getattr(fast, field), getattr(plain, field)
        assert fast_.dtype == plain_.dtype
        np.testing.assert_allclose(to_numpy(fast_), to_numpy(plain_), rtol=1e-5, atol=1e-3)


@ON_NUMPY
def test_the_number_of_threads_does_not_change_a_bit():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    x = np.random.default_rng(5).standard_normal((60_000, 4)).astype(np.float32)
    fits = []
    for number in (1, 2, 3):
        with threadpoolctl.threadpool_limits(number):
            fits.append(kmeans(x, 8, key=1, max_iter=20))
    for fit in fits[1:]:
        for one, other in zip(fits[0], fit, strict=True):
            np.testing.assert_array_equal(one, other)


@ON_NUMPY
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_iterations_of_one_call_are_those_of_many(monkeypatch, weighted, workers):
    rng = np.random.default_rng(15)
    x = rng.standard_normal((60_000, 4)).astype(np.float32)
    weights = rng.integers(0, 3, size=60_000).astype(np.float32) if weighted else None
    monkeypatch.setattr(bounds, "threads", lambda: workers)
    fits = []
    for numbers in (0, 8 * x.size, 1 << 33):  # each by Python, a pause after long passes, none
        monkeypatch.setattr(bounds, "_LONG", numbers)
        fits.append(lloyd(x, x[:8], weights=weights, max_iter=50))
    assert int(fits[0].n_iter) > 5
    for fit in fits[1:]:
        for one, other in zip(fits[0], fit, strict=True):
            np.testing.assert_array_equal(one, other)


@ON_NUMPY
def test_fits_side_by_side_share_the_threads(monkeypatch):
    monkeypatch.setattr(bounds, "threads", lambda: 3)
    x = np.random.default_rng(16).standard_normal((40_000, 3))
    with ThreadPoolExecutor(4) as users:
        fits = list(users.map(lambda k: lloyd(x, x[:k], max_iter=20), [5, 6, 7, 8]))
    for k, fit in zip([5, 6, 7, 8], fits, strict=True):
        np.testing.assert_array_equal(fit.labels, lloyd(x, x[:k], max_iter=20).labels)


@ON_NUMPY
def test_whoever_assists_is_dismissed_after_an_error(monkeypatch):
    x, assist, ended = np.random.default_rng(17).standard_normal((40_000, 3)), fused.assist, []
    came = Event()

    def assisted(*arguments):
        came.set()
        ended.append(assist(*arguments))

    def interrupted(*arguments):
        assert came.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(bounds, "threads", lambda: 2)
    monkeypatch.setattr(fused, "assist", assisted)
    monkeypatch.setattr(fused, "lead", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lloyd(x, x[:5])
    assert len(ended) == 1


@ON_NUMPY
def test_a_thread_that_waits_for_long_sleeps():
    passes = bounds.Bounds(fused, np.zeros((9, 2)), None, None, np.zeros(2), 3, 9, 1e-15, True)
    shared = fused.shared_of(passes, np.zeros((3, 2)))

    def assist(over):
        start = thread_time()
        fused.assist(shared, 9, 1e-15, over)
        return thread_time() - start

    fused.dismiss(shared.board)
    assist(0)  # compiles it
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(assist, 1)
        sleep(0.5)
        assert not waiting.done()
        fused.dismiss(shared.board)
        assert waiting.result(60) < 0.4


@ON_NUMPY
def test_a_batch_is_its_members(calls):
    rng = np.random.default_rng(6)
    x = rng.standard_normal((5, 200, 3)).astype(np.float32)
    batch = kmeans(x, 4, key=2)
    assert any(len(shape) == 3 for shape in calls)
    for member, rows in enumerate(x):
        one = kmeans(rows, 4, key=2)
        np.testing.assert_array_equal(batch.labels[member], one.labels)
        np.testing.assert_allclose(batch.inertia[member], one.inertia, rtol=1e-5)


@ON_NUMPY
@pytest.mark.parametrize("layout", ["columns", "strided", "readonly", "swapped"])
def test_rows_of_any_layout(layout):
    rows = separated(np.random.default_rng(7))
    x = {
        "columns": np.asfortranarray(rows),
        "strided": np.repeat(rows, 2, axis=1)[:, ::2],
        "readonly": rows.copy(),
        "swapped": rows.astype(rows.dtype.newbyteorder()),
    }[layout]
    x.flags.writeable = layout != "readonly"
    before = x.copy()
    np.testing.assert_array_equal(kmeans(x, 6, key=0).labels, kmeans(rows, 6, key=0).labels)
    np.testing.assert_array_equal(x, before)


@ON_NUMPY
def test_half_precision_is_widened(calls):
    rows = separated(np.random.default_rng(8)).astype(np.float16)
    result = kmeans(rows, 6, key=0)
    assert calls
    assert result.centroids.dtype == np.float16
    assert result.inertia.dtype == np.float32


@pytest.mark.backend("jax")
@pytest.mark.parametrize(
    ("n", "d", "k", "much"),
    [
        (1_797, 64, 10, False),
        (10_000, 16, 32, True),
        (100_000, 2, 32, True),
        (20_000, 4, 3, False),
        (70_000, 4, 2, True),
        (5_000, 4, 100, False),  # too few numbers for any kernel
    ],
)
def test_xla_hands_over_what_is_much(monkeypatch, n, d, k, much):
    monkeypatch.setattr(kernels, "_FEW_NUMBERS", 1 << 16)
    assert host.pays_from_xla(np.zeros((n, d), np.float32), k) == much


@pytest.mark.backend("jax")
def test_compiled_code_of_jax_calls_kernels(calls, portable):
    import jax

    x = separated(np.random.default_rng(9))

    def fit(x):
        return kmeans(x, 6, key=0)

    def fit_again(x):  # jit knows a function, and nothing of the environment
        return fit(x)

    plain = portable(lambda: jax.jit(fit_again)(x))
    assert not calls
    for transformed in (
        jax.jit(fit),
        jax.jit(lambda x: jax.tree.map(lambda a: a[0], jax.vmap(fit)(x[None]))),
    ):
        calls.clear()
        fast = transformed(x)
        jax.block_until_ready(fast)
        assert calls
        for one, other in zip(fast, plain, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
    slope = jax.jit(jax.grad(lambda x: fit(x).inertia))
    np.testing.assert_allclose(slope(x), 2 * (x - plain.centroids[plain.labels]), atol=1e-3)


@pytest.mark.backend("jax")
def test_an_error_in_compiled_code_leaves_nan(monkeypatch):
    import jax

    def fails(*_):
        msg = "from the kernel"
        raise RuntimeError(msg)

    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    monkeypatch.setattr(fused, "update_bounds", fails)
    x = separated(np.random.default_rng(10))
    result = jax.jit(lambda x: lloyd(x, x[:6], algorithm="lloyd", max_iter=7))(x)
    assert np.isnan(result.inertia)
    assert "from the kernel" in str(printed[0].exc_value)
    assert np.all(result.labels == -1)


@pytest.mark.backend("jax", "torch")
@pytest.mark.eager
def test_a_traced_fit_of_nan_says_so(xp):
    rows = np.full((300, 3), np.nan, np.float32)
    rows[:200] = 1.0
    if "torch" in xp.__name__:
        import torch

        fit = torch.vmap(lambda x: kmeans(x, 3, key=0).status)
        status = fit(torch.asarray(rows)[None])[0]
    else:
        import jax

        status = jax.jit(lambda x: kmeans(x, 3, key=0).status)(rows)
    assert int(status) == 3


ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, numpy as np
import kmeans_fx
x = np.random.default_rng(0).standard_normal((100_000, 8)).astype(np.float32)
fit = jax.jit(lambda x: (kmeans_fx.kmeans(x, 8, key=0), kmeans_fx.kmeans(-x, 8, key=1)))
print(jax.block_until_ready(fit(x))[0].n_iter)
"""


@pytest.mark.backend("jax")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_one_core_is_enough_for_compiled_code():
    command = [sys.executable, "-W", "ignore", "-c", ONE_CORE]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


ELSEWHERE = """
import sys
import numpy as np
from kmeans_fx import lloyd
from kmeans_fx._backend.kernels import registers
assert registers._BITS == 256
x = np.load(sys.argv[1])
np.save(sys.argv[1], lloyd(x, x[:19], max_iter=20).labels)
"""


@ON_NUMPY
def test_labels_are_those_of_a_processor_with_shorter_vectors(tmp_path):
    x = np.random.default_rng(0).standard_normal((9000, 13)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, tmp_path / "x.npy"]
    plain = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    subprocess.run(command, check=True, timeout=300, capture_output=True, env=plain)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), lloyd(x, x[:19], max_iter=20).labels)


NOWHERE_TO_WRITE = """
import numba.core.caching as caching
for kind in caching.CacheImpl.__subclasses__() + [caching.CacheImpl]:
    kind._locator_classes = []
import numpy as np, kmeans_fx
from kmeans_fx._backend.kernels import cpu
x = np.random.default_rng(0).standard_normal((70_000, 1)).astype(np.float32)
print(kmeans_fx.assign(x, x[:2]).labels.sum())
"""


@ON_NUMPY
def test_kernels_work_where_nothing_can_be_written():
    command = [sys.executable, "-W", "ignore", "-c", NOWHERE_TO_WRITE]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


@ON_NUMPY
def test_code_on_disk_is_of_the_sources_as_they_are(tmp_path, monkeypatch):
    (tmp_path / "twice.py").write_text("def twice(x):\n    return part(x) + part(x)\n")

    def loaded(text):
        """What a process makes of a function, whose part is in another file."""
        (tmp_path / "part.py").write_text(text)
        names = {}
        for name in ("part", "twice"):
            path = tmp_path / f"{name}.py"
            exec(builtins.compile(path.read_text(), path, "exec"), names)
            names[name] = compiled.compiled(names[name])
        return names["twice"]

    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    for number, hits in ((1, 0), (1, 1), (5, 0), (5, 1)):
        compiled.sources.cache_clear()
        twice = loaded(f"def part(x):\n    return x + {number}\n")
        assert twice(1) == 2 + 2 * number
        assert sum(twice.stats.cache_hits.values()) == hits
    compiled.sources.cache_clear()


@ON_NUMPY
def test_assign_takes_kernels(calls):
    x = separated(np.random.default_rng(11))
    nearest = assign(x, x[:6])
    assert calls
    far = ((x[:, None] - x[None, :6]) ** 2).sum(-1)
    np.testing.assert_array_equal(nearest.labels, far.argmin(1))


@ON_NUMPY
def test_distances_of_the_kernels_are_those_of_their_labels():
    x = separated(np.random.default_rng(12))
    space = centred_space(x, None, as_metric("euclidean"), None)
    part = partition(x, space.relative(x[:6]), None, space, distances=True)
    own = own_distances(x, part.labels, space.relative(x[:6]), space)
    np.testing.assert_allclose(part.inertia, own.sum(), rtol=1e-5)
