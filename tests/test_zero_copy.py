"""Arrays stay where they are: no copy to another library or to the host, none of the rows."""

import tracemalloc

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend.host import to_numpy as views

ROWS = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
LARGE = np.random.default_rng(0).normal(size=(100_000, 64)).astype(np.float32)


def seen_by_init(x, **options):
    """The rows that a caller's init is given."""
    seen = []

    def start(x, k, *, key, weights):
        seen.append(x)
        return x[:k, :]

    kf.kmeans(x, 3, key=0, init=start, max_iter=2, **options)
    return seen[0]


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "manhattan"])
def test_numpy_rows_are_the_callers(metric):
    assert np.shares_memory(seen_by_init(ROWS, metric=metric), ROWS)


@pytest.mark.backend("numpy")
def test_a_fit_holds_no_copy_of_the_rows():
    kf.kmeans(LARGE, 4, key=0, max_iter=3)
    tracemalloc.start()
    kf.kmeans(LARGE, 4, key=0, max_iter=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LARGE.nbytes / 2


@pytest.mark.backend("torch")
def test_torch_rows_are_the_callers():
    import torch

    x = torch.asarray(ROWS)
    assert seen_by_init(x).data_ptr() == x.data_ptr()
    # Where NumPy does the work, it looks at the same memory.
    (view,) = views((x,), ("nd",))
    assert view.ctypes.data == x.data_ptr()


@pytest.mark.backend("torch")
def test_dlpack_in_and_out_shares_memory():
    import torch

    x = torch.from_dlpack(ROWS)
    assert x.data_ptr() == ROWS.ctypes.data
    result = kf.kmeans(x, 3, key=0)
    back = np.from_dlpack(result.centroids)
    assert back.ctypes.data == result.centroids.data_ptr()
    np.testing.assert_array_equal(back, kf.kmeans(x, 3, key=0).centroids)


@pytest.mark.backend("torch")
@pytest.mark.usefixtures("alone")
def test_torch_reads_one_scalar_an_iteration():
    """A loop on a device waits for it as often: values that are read move to the host."""
    import torch

    x = torch.asarray(ROWS[:500])

    def reads(max_iter):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            result = kf.lloyd(x, x[:20, :], tol=0, max_iter=max_iter, empty="keep")
        assert int(result.n_iter) == max_iter
        return sum(event.name == "aten::_local_scalar_dense" for event in profile.events())

    few, more = reads(3), reads(9)
    assert 0 < more - few <= 6


@pytest.mark.backend("jax")
def test_jax_rows_are_the_callers():
    import jax

    x = jax.numpy.asarray(ROWS)
    assert seen_by_init(x).unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    shared = np.from_dlpack(x)
    assert shared.ctypes.data == x.unsafe_buffer_pointer()


@pytest.mark.backend("jax")
def test_a_jitted_fit_moves_nothing_between_host_and_device(monkeypatch):
    import jax

    monkeypatch.setenv("KMEANS_FX_KERNELS", "0")
    x, key = jax.device_put(ROWS), jax.random.key(0)
    fit = jax.jit(lambda x, key: kf.kmeans(x, 3, key=key, n_init=2))
    compiled = fit.lower(x, key).compile()
    with jax.transfer_guard("disallow"):
        result = compiled(x, key)
    assert int(result.n_iter) > 2
    program = compiled.as_text()
    assert "while" in program
    assert not any(word in program for word in ("callback", "outfeed", "infeed", "send("))


@pytest.mark.backend("jax")
def test_the_guard_sees_a_transfer():
    import jax

    with jax.transfer_guard("disallow"), pytest.raises(Exception, match="transfer"):
        jax.numpy.sin(np.ones(3, dtype=np.float32))
