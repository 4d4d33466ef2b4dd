"""On a GPU: float64's results, no number for every row and centroid, no read in an iteration.

Part of `nox -s gpu`.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend.kernels import kernels_for

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("there is no GPU that PyTorch can use", allow_module_level=True)

import torch.distributed as dist  # noqa: E402

from kmeans_fx.distributed.torch import AllReduce  # noqa: E402

pytestmark = pytest.mark.backend("torch")
REALS = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}


def rows(n, d, dtype=torch.float32, seed=0):
    """Rows of 40 groups, on the GPU."""
    rng = np.random.default_rng(seed)
    centres = 5 * rng.standard_normal((40, d))
    x = centres[rng.integers(40, size=n)] + rng.standard_normal((n, d))
    return torch.asarray(x, device="cuda").to(dtype)


def test_kernels_are_used():
    x = rows(10, 3)
    assert kernels_for(x, x.dtype, "assign") is not None


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("d", [1, 3, 16, 100, 1000, 8192])
def test_labels_sums_and_inertia_are_those_of_float64_on_the_cpu(dtype, d):
    x = rows(5000, d, dtype)
    start = x[:70]
    result = kf.lloyd(x, start, max_iter=1, tol=0, empty="keep")
    wide = x.cpu().double()
    expected = kf.lloyd(wide, start.cpu().double(), max_iter=1, tol=0, empty="keep")
    scale = float(wide.abs().max())
    error = (result.centroids.cpu().double() - expected.centroids).abs().max()
    assert error <= 10 * REALS[dtype] * scale
    found = kf.assign(wide, result.centroids.cpu().double())
    own = ((wide - result.centroids.cpu().double()[result.labels.cpu()]) ** 2).sum(1)
    assert torch.all(own <= found.distances + 10 * REALS[dtype] * scale**2)
    torch.testing.assert_close(result.inertia.cpu().double(), own.sum(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("n", [100_000, 1_000_000])
def test_a_pass_holds_far_less_than_a_number_for_every_row_and_centroid(n):
    k = 1000
    x = rows(n, 32)
    kf.lloyd(x, x[:k], max_iter=2, tol=0, empty="keep")
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kf.lloyd(x, x[:k], max_iter=3, tol=0, empty="keep")
    # Labels, their order and their sort, of 8 bytes and of 2.
    assert torch.cuda.max_memory_allocated() - before < 100 * n + (512 << 20) < 4 * n * k + 1


def copies_to_the_host(function):
    kinds = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as profile:
        function()
        torch.cuda.synchronize()
    return sum("DtoH" in event.name for event in profile.events())


@pytest.mark.parametrize("empty", ["farthest", "keep"])
def test_iterations_copy_nothing_to_the_host_but_one_flag_every_few(empty):
    x = rows(20_000, 8)

    def fit(max_iter):
        result = kf.lloyd(x, x[:64], max_iter=max_iter, tol=0, empty=empty)
        return result.n_iter

    fit(2)
    assert int(fit(40)) == 40
    assert copies_to_the_host(lambda: fit(40)) - copies_to_the_host(lambda: fit(8)) <= 5


def test_a_start_copies_nothing_to_the_host_for_a_centroid():
    x = rows(20_000, 8)
    kf.kmeans_plusplus(x, 4, key=0)
    few, more = (copies_to_the_host(lambda k=k: kf.kmeans_plusplus(x, k, key=0)) for k in (4, 64))
    assert few == more


def test_runs_are_equal_to_the_last_bit():
    x = rows(300_000, 20)
    one, *others = (kf.lloyd(x, x[:200], max_iter=10) for _ in range(4))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(one[:5], other[:5], strict=True))


def test_more_members_than_a_grid_has_on_its_short_axes():
    x = rows(70_000 * 6, 2).reshape(70_000, 6, 2)
    labels = kf.assign(x, x[:, :2]).labels
    assert torch.equal(labels, torch.cdist(x.double(), x[:, :2].double()).argmin(-1))


@pytest.mark.skipif(os.environ.get("KMEANS_FX_LARGE") != "1", reason="set KMEANS_FX_LARGE=1: 9 GB")
def test_rows_beyond_31_bits():
    x = torch.zeros(((1 << 31) // 64 + 1000, 64), dtype=torch.float16, device="cuda")
    x[-500:] = 3
    result = kf.lloyd(x, torch.stack((x[0], x[-1])), max_iter=1)
    assert int(result.labels.sum()) == 500


def test_a_graph_holds_a_pass():
    from kmeans_fx._backend.kernels import tensors

    x = rows(10_000, 16)
    packed = tensors.pack(x[:50])
    origin = torch.zeros(16, device="cuda")
    expected = tensors.assign(x, origin, packed, None)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = tensors.assign(x, origin, packed, None)
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_graph_holds_a_fit_and_gives_that_of_the_rows_of_its_replay():
    x = rows(10_000, 16)
    other = rows(10_000, 16, seed=1)
    expected = kf.lloyd(other, other[:50], max_iter=7, empty="keep")
    kf.lloyd(x, x[:50], max_iter=7, empty="keep")  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = kf.lloyd(x, x[:50], max_iter=7, empty="keep")
    x.copy_(other)
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(found[:5], expected[:5], strict=True))


@pytest.mark.parametrize("d", [3, 100])
def test_float64_takes_the_portable_form(d):
    x = rows(5000, d, torch.float64)
    assert kernels_for(x, x.dtype, "assign") is None
    found, expected = (kf.lloyd(a, a[:70], max_iter=5) for a in (x, x.cpu()))
    torch.testing.assert_close(found.centroids.cpu(), expected.centroids, rtol=1e-9, atol=1e-9)


def test_blocks_of_the_host_are_copied_while_the_gpu_works():
    x = rows(400_000, 64).cpu().numpy()
    options = {"key": 0, "max_iter": 3, "block_rows": 50_000}
    expected = kf.kmeans_blocks(x, 300, **options)
    found = kf.kmeans_blocks(x, 300, device="cuda", **options)
    assert found.centroids.is_cuda
    torch.testing.assert_close(
        found.inertia.cpu(), torch.asarray(expected.inertia), rtol=1e-4, atol=0
    )

    kinds = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profile:
        kf.kmeans_blocks(x, 300, device="cuda", **options)
        torch.cuda.synchronize()
    spans = [(e.name, e.time_range.start, e.time_range.end) for e in profile.events()]
    copies = [span for span in spans if "HtoD" in span[0] and "Pinned" in span[0]]
    work = [span for span in spans if "Mem" not in span[0]]
    assert copies
    overlaps = [any(a < end and start < b for _, a, b in work) for _, start, end in copies]
    assert sum(overlaps) > len(copies) / 2


def fit_of_a_rank(folder, world, rank):
    """What the process of one GPU finds with its part of the rows, for all to see."""
    torch.cuda.set_device(rank)
    store = dist.FileStore(f"{folder}/store", world)
    dist.init_process_group("nccl", store=store, rank=rank, world_size=world)
    part = rows(60_000, 16).tensor_split(world)[rank].to(f"cuda:{rank}")
    found = kf.kmeans(part, 40, key=0, empty="split", reduce=AllReduce())
    torch.save(found.centroids.cpu(), f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_nccl_available(), reason="this PyTorch has no nccl")
def test_a_process_for_each_gpu_adds_with_nccl(tmp_path):
    world = torch.cuda.device_count()
    call = [sys.executable, __file__, str(tmp_path), str(world)]
    processes = [subprocess.Popen([*call, str(rank)]) for rank in range(world)]
    assert not any(process.wait(timeout=300) for process in processes)
    expected = kf.kmeans(rows(60_000, 16), 40, key=0, empty="split").centroids.cpu()
    first, *others = (torch.load(tmp_path / str(rank)) for rank in range(world))
    # A row between two centroids may go to the other one: a 1500th of its distance.
    torch.testing.assert_close(first, expected, rtol=0, atol=1e-2)
    assert all(torch.equal(first, other) for other in others)


def test_blocks_of_cupy_under_dask():
    cupy = pytest.importorskip("cupy")
    engine = pytest.importorskip("kmeans_fx.distributed.dask")
    from dask import array, delayed
    from distributed import Client

    x = rows(8000, 5)
    parts = [delayed(cupy.asarray)(part.cpu().numpy()) for part in x.split(1000)]
    blocks = [array.from_delayed(part, (1000, 5), np.float32) for part in parts]
    with Client(processes=False, n_workers=1, threads_per_worker=1) as client:
        found = engine.kmeans(array.concatenate(blocks), 40, key=0, client=client)
    assert isinstance(found.centroids, cupy.ndarray)
    expected = kf.kmeans(x, 40, key=0, init="k-means||")
    np.testing.assert_allclose(
        found.centroids.get(), expected.centroids.cpu().numpy(), rtol=1e-4, atol=1e-4
    )


if __name__ == "__main__":
    fit_of_a_rank(sys.argv[1], *map(int, sys.argv[2:]))
