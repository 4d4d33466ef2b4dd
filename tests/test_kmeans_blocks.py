"""k-means out of core: the same as in memory, whatever the blocks, and after any interruption."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kmeans_fx import CONVERGED, MAX_ITER, STOPPED, kmeans, kmeans_blocks, lloyd, metrics
from kmeans_fx._backend.files import save_arrays
from kmeans_fx.algorithms._sweeps import Block, block_reader, local_sweep, read_ahead
from kmeans_fx.distances import METRICS
from kmeans_fx.metrics._block_scores import block_inertia, block_simplified_silhouette
from kmeans_fx.metrics._block_silhouettes import block_silhouette
from tests.parameters import uncompiled

K = 8
# Uneven blocks, one of a single row and one without rows.
CUTS = (200, 201, 201, 450)


def cut(x, cuts=CUTS):
    ends = (0, *cuts, x.shape[0])
    return [x[a:b, ...] for a, b in pairwise(ends)]


def agree(ours, theirs, to_numpy, tol=1e-5):
    for name in ("centroids", "inertia"):
        one, other = (to_numpy(getattr(r, name)) for r in (ours, theirs))
        np.testing.assert_allclose(one, other, rtol=tol, atol=tol)
    assert int(ours.n_iter) == int(theirs.n_iter)
    assert int(ours.status) == int(theirs.status)


@pytest.mark.uncompiled
@pytest.mark.parametrize("init", ["k-means||", "k-means++"])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_fit_in_memory(xp, asarray, to_numpy, blobs, init, weighted):
    x = asarray(xp, blobs[0])
    weights = asarray(xp, np.arange(600) % 3 * 1.0) if weighted else None
    blocks = list(zip(cut(x), cut(weights), strict=True)) if weighted else cut(x)
    theirs = kmeans(x, K, key=5, init=init, weights=weights)
    ours = kmeans_blocks(blocks, K, key=5, init=init, init_size=600, labels=True)
    agree(ours, theirs, to_numpy)
    np.testing.assert_array_equal(to_numpy(ours.labels), to_numpy(theirs.labels))


def test_the_best_of_some_fits(tmp_path):
    x = np.random.default_rng(0).normal(size=(600, 4))
    options = {"key": 2, "init": "k-means||"}
    theirs = kmeans(x, K, n_init=4, **options)
    ours = kmeans_blocks(cut(x), K, n_init=4, labels=True, **options)
    agree(ours, theirs, np.asarray)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert float(ours.inertia) < float(kmeans_blocks(cut(x), K, **options).inertia)
    for wrong in ({"init": x[:K]}, {"checkpoint": tmp_path / "fit.npz"}):
        with pytest.raises(ValueError, match="n_init must be 1 with a"):
            kmeans_blocks(cut(x), K, n_init=2, **(options | wrong))


@pytest.mark.parametrize("options", [
    {"empty": "farthest"},
    {"max_iter": 2, "history": True},
    *uncompiled({"empty": "split"}, {"empty": "merge"}),
    *uncompiled({"empty": "keep", "tol": 0}, {"metric": "cosine"}),
])  # fmt: skip
def test_options_are_those_of_lloyd(xp, asarray, to_numpy, blobs, options):
    """From centroids of which three get no rows; directions are nowhere far from all rows."""
    x = asarray(xp, blobs[0])
    nowhere = blobs[0][5:8] if "metric" in options else 900.0 + np.arange(15.0).reshape(3, 5)
    start = asarray(xp, np.concatenate([blobs[0][:5], nowhere]))
    theirs = lloyd(x, start, **options)
    ours = kmeans_blocks(cut(x), K, key=0, init=start, **options)
    agree(ours, theirs, to_numpy, 1e-4)
    np.testing.assert_allclose(to_numpy(ours.history), to_numpy(theirs.history), rtol=1e-5)
    assert ours.labels.shape == (0,)
    assert ours.centroids.dtype == x.dtype


def test_the_draws_of_short_and_long_blocks_are_those_in_memory():
    """Segments lie across blocks, and blocks within a segment."""
    x = np.random.default_rng(0).normal(size=(3000, 3))
    theirs = kmeans(x, 20, key=1, init="k-means||", max_iter=1).centroids
    for block_rows in (7, 54, 55, 1000, 4000):
        ours = kmeans_blocks(x, 20, key=1, max_iter=1, block_rows=block_rows).centroids
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_more_clusters_than_distinct_rows():
    x = np.repeat([[1.0], [2.0]], 6, axis=0)
    result = kmeans_blocks(cut(x, (5,)), 4, key=0)
    assert float(result.inertia) == 0


def test_accuracy_far_from_the_origin():
    """In float32, of rows at 1e3 of standard deviation 1."""
    x = np.random.default_rng(0).normal(1e3, size=(4000, 8)).astype(np.float32)
    ours = kmeans_blocks(cut(x, (999, 1500)), 5, key=0, init=x[:5])
    agree(ours, lloyd(x, x[:5]), np.asarray, 1e-6)


def test_half_precision():
    x = np.random.default_rng(0).normal(size=(4000, 4)).astype(np.float16)
    result = kmeans_blocks(cut(x), 5, key=0)
    assert result.centroids.dtype == np.float16
    assert result.inertia.dtype == np.float32


# ---- where blocks come from


def test_sources_of_blocks(tmp_path, blobs):
    x = blobs[0].astype(np.float32)
    weights = np.arange(600) % 3 + 1.0
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    first = kmeans_blocks(x, K, key=0, weights=weights, block_rows=100)
    for source in (mapped, ArrayLike(x)):
        result = kmeans_blocks(source, K, key=0, weights=weights, block_rows=100)
        np.testing.assert_array_equal(result.centroids, first.centroids)
    pairs = [(x[i : i + 100], weights[i : i + 100]) for i in range(0, 600, 100)]
    for source in (pairs, lambda: iter(pairs)):
        result = kmeans_blocks(source, K, key=0)
        np.testing.assert_array_equal(result.centroids, first.centroids)


class ArrayLike:
    """What Zarr and HDF5 arrays have: a shape, chunks, and slices that are NumPy arrays."""

    def __init__(self, x):
        self.x, self.shape, self.dtype, self.chunks = x, x.shape, x.dtype, (30, 2)

    def __getitem__(self, index):
        return self.x[index]


def zarr_array(x, path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(path, data=x, chunks=(50, 2))
    return zarr.open_array(path, mode="r")


def hdf5_dataset(x, path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=x, chunks=(50, 2))
    return h5py.File(path)["x"]


@pytest.mark.dask
@pytest.mark.parametrize("stored", [zarr_array, hdf5_dataset])
def test_arrays_on_disk(blobs, tmp_path, stored):
    x = stored(blobs[0], str(tmp_path / "x"))
    whole = kmeans_blocks(cut(blobs[0]), K, key=0)
    for block_rows in (None, 70):
        result = kmeans_blocks(x, K, key=0, block_rows=block_rows)
        np.testing.assert_allclose(result.centroids, whole.centroids, rtol=1e-4)


def test_blocks_of_a_store_are_whole_chunks():
    class Large(ArrayLike):
        def __init__(self):
            super().__init__(np.zeros((1, 16), np.float32))
            self.shape, self.chunks = (2_000_000, 16), (100_000, 16)

        def __getitem__(self, index):
            return index[0]

    starts = [block.rows.start for block in block_reader(Large())()]
    assert starts == list(range(0, 2_000_000, 500_000))


def test_a_mapped_file_is_read_by_the_reader(tmp_path):
    """A block is a copy in memory, so that computing does not wait for the disk."""
    np.save(tmp_path / "x.npy", np.ones((10, 2)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    block = next(iter(block_reader(mapped)()))
    assert type(block.rows) is np.ndarray
    assert block.rows.base is None


def test_one_block_is_read_ahead():
    made, used = [], []
    here = threading.current_thread()

    def items():
        for i in range(6):
            made.append(i)
            assert threading.current_thread() is not here
            yield i

    for i in read_ahead(items()):
        used.append(i)
        deadline = time.monotonic() + 5
        while len(made) < min(i + 2, 6) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert made == list(range(min(i + 2, 6)))
    assert used == list(range(6))


def test_an_error_of_the_reader_is_that_of_the_call():
    def blocks():
        yield np.zeros((3, 2))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        kmeans_blocks(blocks, 2, key=0)


def test_an_early_end_stops_the_reader():
    before = threading.active_count()
    sweep = local_sweep(lambda: iter([]))
    assert sweep(None, None, merge=None) == ([], None)
    for item in read_ahead(iter(range(100))):
        if item == 3:
            break
    del item
    assert threading.active_count() <= before + 1


# ---- checkpoints


def fit(blobs, path, **options):
    x = blobs[0]
    return kmeans_blocks(cut(x), K, key=0, init=x[:K], tol=0, checkpoint=path, **options)


def test_resumes_where_it_was(xp, asarray, to_numpy, blobs, tmp_path):
    x, path = asarray(xp, blobs[0]), tmp_path / "fit.npz"
    start = x[:K, :]
    if hasattr(x, "to_device") and type(x).__module__.startswith("array_api_strict"):
        pytest.skip("NumPy cannot read array-api-strict's other devices")
    options = {"key": 0, "init": start, "tol": 0, "history": True}
    whole = kmeans_blocks(cut(x), K, **options)
    for max_iter in (1, 3, 300):
        part = kmeans_blocks(cut(x), K, max_iter=max_iter, checkpoint=path, **options)
    for field in whole._fields:
        ours, theirs = (to_numpy(getattr(r, field)) for r in (part, whole))
        np.testing.assert_array_equal(ours, theirs)


def test_a_finished_fit_is_not_run_again(blobs, tmp_path):
    path, seen = tmp_path / "fit", []
    first = fit(blobs, path)
    again = fit(blobs, path, callback=seen.append)
    assert seen == []
    np.testing.assert_array_equal(first.centroids, again.centroids)
    assert int(again.status) == CONVERGED
    assert int(fit(blobs, path, max_iter=1).status) == CONVERGED


def test_limits_and_stops_are_reported(blobs, tmp_path):
    path = tmp_path / "fit"
    assert int(fit(blobs, path, callback=lambda state: True).status) == STOPPED
    assert int(fit(blobs, path, max_iter=1).status) == MAX_ITER
    assert int(fit(blobs, path, max_iter=1).n_iter) == 1
    assert int(fit(blobs, path).status) == CONVERGED


def test_a_checkpoint_of_another_fit_is_refused(blobs, tmp_path):
    path = tmp_path / "fit"
    fit(blobs, path)
    x = blobs[0]
    for call in (
        lambda: kmeans_blocks(cut(x), K, key=1, init=x[:K], checkpoint=path),
        lambda: kmeans_blocks(cut(x), K, key=0, init=x[:K], metric="cosine", checkpoint=path),
        lambda: kmeans_blocks(cut(x[1:]), K, key=0, init=x[:K], checkpoint=path),
    ):
        with pytest.raises(ValueError, match="must be of this fit"):
            call()
    save_arrays(path, other=np.zeros(3))
    with pytest.raises(ValueError, match="must be of this fit"):
        fit(blobs, path)


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "a.npz"
    save_arrays(path, x=np.arange(3))
    with pytest.raises(RuntimeError):
        save_arrays(path, x=Broken())
    np.testing.assert_array_equal(np.load(path)["x"], [0, 1, 2])


class Broken:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("cannot be read")


KILLED = """
import os, sys, time
import numpy as np
from kmeans_fx import kmeans_blocks
folder, slow = sys.argv[1], sys.argv[2] == "slow"
x = np.random.default_rng(0).normal(size=(2000, 4))
def blocks():
    for i in range(0, 2000, 500):
        if slow:
            time.sleep(0.02)
        yield x[i : i + 500]
result = kmeans_blocks(blocks, 20, key=3, tol=0, max_iter=40, checkpoint=f"{folder}/fit.npz")
np.savez(f"{folder}/result.npz", *result)
"""


def test_killed_in_the_middle_and_resumed(tmp_path):
    """``kill -9`` between any two instructions: nothing is lost but the iteration."""
    (tmp_path / "whole").mkdir()
    run = [sys.executable, "-c", KILLED]
    subprocess.run([*run, str(tmp_path / "whole"), "fast"], check=True)
    process = subprocess.Popen([*run, str(tmp_path), "slow"])
    iterations(tmp_path / "fit.npz", process, at_least=3)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "result.npz").exists()
    subprocess.run([*run, str(tmp_path), "fast"], check=True)
    ours, theirs = (np.load(p / "result.npz") for p in (tmp_path, tmp_path / "whole"))
    for name in theirs.files:
        np.testing.assert_array_equal(ours[name], theirs[name])


def iterations(path: Path, process, at_least):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and int(np.load(path)["n_iter"]) >= at_least:
            return
        time.sleep(0.01)
    pytest.fail("no checkpoint was written")


# ---- bad input


@pytest.mark.parametrize(("blocks", "error", "text"), [
    ([np.ones((3, 2)), np.ones((3, 4))], ValueError, "columns: 2 in block 0, 4 in block 1"),
    ([np.ones((3, 2)), np.ones((3, 2), "f4")], ValueError, "dtype: float64 in block 0, float32"),
    ([np.ones((3, 2)), np.full((3, 2), np.nan)], ValueError, "block 1 of the rows: x must be fin"),
    ([np.ones((3, 2)), np.ones(2)], ValueError, "block 1 .* must have shape"),
    ([np.ones((3, 2)), np.ones((1, 3, 2))], ValueError, "block 1 .* must have shape"),
    ([np.ones((3, 2)), [[1.0, 2.0]] * 3], TypeError, "block 1"),
    ([(np.ones((3, 2)), -np.ones(3))], ValueError, "block 0 .* weights must not be negative"),
    ([(np.ones((3, 2)), np.ones(2))], ValueError, "block 0 .* weights must have shape"),
    ([(np.ones((3, 2)), np.zeros(3))], ValueError, "weights must not all be zero"),
    ([np.ones((0, 2))], ValueError, "blocks must hold rows"),
    ([], ValueError, "blocks must hold rows"),
    ([np.ones((1, 2))], ValueError, "k must be at most the number of rows, 1, got 2"),
    (iter([np.ones((3, 2))]), TypeError, "again and again"),
    (3, TypeError, "array, an iterable or a function"),
    (np.ones(3), ValueError, "must have shape"),
])  # fmt: skip
def test_bad_blocks(blocks, error, text):
    with pytest.raises(error, match=text):
        kmeans_blocks(blocks, 2, key=0)


@pytest.mark.parametrize(("options", "text"), [
    ({"empty": "random"}, "empty must not be"),
    ({"metric": "manhattan"}, "metric must have a centre"),
    ({"block_rows": 0}, "block_rows must be at least 1"),
    ({"init_size": 1, "init": "random"}, "init_size must be at least 2"),
    ({"init": np.zeros((3, 2))}, "init must give k = 2"),
    ({"init": "no"}, "init must be one of"),
    ({"weights": np.ones(2)}, "weights must have shape"),
])  # fmt: skip
def test_bad_options(options, text):
    with pytest.raises(ValueError, match=text):
        kmeans_blocks(np.ones((3, 2)), 2, key=0, **options)


def test_blocks_of_two_libraries():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="block 1 must be an array of the same library as block 0"):
        kmeans_blocks([np.ones((3, 2)), torch.ones((3, 2))], 2, key=0)


def test_weights_of_rows_that_are_absent():
    """A block of absent rows says nothing, not even where it is."""
    x = np.random.default_rng(0).normal(size=(90, 2))
    weights = np.repeat([1.0, 0.0, 1.0], 30)
    pairs = [(x[i : i + 30] + 1e6 * (i == 30), weights[i : i + 30]) for i in (0, 30, 60)]
    there = np.concatenate([x[:30], x[60:]])
    agree(kmeans_blocks(pairs, 3, key=0, init=x[:3]), lloyd(there, x[:3]), np.asarray)


def test_one_cluster_has_an_inertia_too():
    x = np.random.default_rng(0).normal(size=(30, 2))
    blocks = [(x[:20], np.zeros(20, np.int64)), (x[20:], np.zeros(10, np.int64))]
    found = block_inertia(local_sweep(block_reader(blocks)), 1, None, "sqeuclidean")
    np.testing.assert_allclose(found, ((x - x.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine", METRICS["sqeuclidean"]])
def test_silhouettes_of_blocks_are_those_in_memory(metric):
    """Blocks of 800 rows are more than a tile; one row is alone in its cluster."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(1300, 3)), rng.integers(4, size=1300)
    x += labels[:, None]
    labels[7] = 4
    halves = [(a[:800], a[800:]) for a in (x, labels)]
    blocks = [Block(i, *half) for i, half in enumerate(zip(*halves, strict=True))]
    sweep = local_sweep(lambda: blocks)
    theirs = metrics.silhouette_score(x, labels, metric=metric)
    np.testing.assert_allclose(block_silhouette(sweep, 5, metric), theirs, rtol=1e-10)
    theirs = metrics.simplified_silhouette_score(x, labels, centroids=x[:5], metric=metric)
    ours = block_simplified_silhouette(sweep, 5, x[:5], metric)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
