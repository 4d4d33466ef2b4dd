"""The kernels for a GPU, run by Triton's interpreter on a CPU that counts as an accelerator.

Part of `nox -s triton`; the default run has no Triton.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmeans_fx as kf
from kmeans_fx._backend import fixed_point, kernels, loop, namespace, transform
from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx.algorithms._options import check_options

torch = pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton is not installed: see `nox -s triton`")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton would look for a GPU: set TRITON_INTERPRET=1", allow_module_level=True)

from kmeans_fx._backend.kernels import tensors  # noqa: E402
from tests import gpu_launches  # noqa: E402
from tests.gpu_launches import launches, problem  # noqa: E402

pytestmark = pytest.mark.backend("torch")

REALS = (torch.float32, torch.float16, torch.bfloat16)
MOST_ITERATIONS = 6


@pytest.fixture(autouse=True, scope="module")
def _device():
    """A CPU as an accelerator, and an interpreter that multiplies bfloat16 as numbers."""
    from triton import language as tl
    from triton.runtime import interpreter as inter

    dot = inter.InterpreterBuilder.create_dot

    def widened(tile):
        if tile.dtype.scalar != tl.bfloat16:
            return tile
        words = inter._convert_float(tile.data, tl.bfloat16, tl.float32, None)
        return inter.TensorHandle(words.view(np.float32), tl.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(namespace, "HOSTS", set())
        patch.setattr(
            inter.InterpreterBuilder,
            "create_dot",
            lambda self, a, b, *rest: dot(self, widened(a), widened(b), *rest),
        )
        yield


@pytest.fixture
def calls(monkeypatch):
    """The shapes of the rows that the search was given."""
    seen = []
    for name in ("_nearest", "_nearest_and_sums"):
        own = getattr(tensors, name)

        def spy(rows, *rest, search=own):
            seen.append(tuple(rows.shape))
            return search(rows, *rest)

        monkeypatch.setattr(tensors, name, spy)
    return seen


def hard_rows(kind, n, d, seed):
    """Ties, copies, offsets, and the ends of the range of half precision."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d))
    if kind == "grid":
        rows = rng.integers(-2, 3, size=(n, d)).astype(float)
    if kind == "copies":
        rows = rows[rng.integers(max(1, n // 8), size=n)]
    if kind == "one":
        rows = np.broadcast_to(rows[:1], (n, d))
    scale, offset = {"far": (1, 1e3), "tiny": (1e-6, 0), "huge": (1e4, 0)}.get(kind, (1, 0))
    return torch.asarray(rows * scale + offset)


def stats_of(rows, labels, k, weights):
    share = torch.ones(len(rows), dtype=torch.float64) if weights is None else weights.double()
    chosen = torch.nn.functional.one_hot(labels, k).double() * share[:, None]
    return chosen.T @ rows.double(), chosen.sum(0)


KINDS = st.sampled_from(["noise", "grid", "copies", "far", "one", "tiny", "huge"])


@settings(max_examples=40)
@given(
    KINDS,
    st.integers(1, 300),
    st.sampled_from([1, 2, 3, 15, 16, 17, 33, 130]),
    st.sampled_from([1, 2, 7, 16, 65, 90]),
    st.booleans(),
    st.integers(0, 9),
)
@pytest.mark.parametrize("dtype", REALS)
def test_every_label_is_of_a_nearest_centroid_and_every_sum_of_its_rows(
    dtype, kind, n, d, k, weighted, seed
):
    x = hard_rows(kind, n, d, seed).to(dtype)
    rng = np.random.default_rng(seed)
    centroids = x.float()[torch.asarray(rng.integers(n, size=k))]
    weights = torch.asarray(rng.integers(0, 3, size=n).astype(np.float32)) if weighted else None
    origin = x.float().mean(0)
    packed = tensors.pack(centroids - origin)
    labels, sums, counts = tensors.assign(x, origin, packed, weights)
    far = ((x.double()[:, None] - centroids.double()) ** 2).sum(-1)
    own = far.gather(1, labels[:, None])[:, 0]
    # The expanded square is as exact as its largest term; in half precision that is of rows
    # that are not centred, and a centroid stands for a number of twice as many digits.
    size = x.double() - (origin if dtype == torch.float32 else 0)
    spread = (size**2).sum(-1).max() + far.max()
    digits = {torch.float32: 2.0**-23, torch.float16: 2.0**-19, torch.bfloat16: 2.0**-15}[dtype]
    assert torch.all(own <= far.min(1).values + 64 * digits * spread)
    expected, number = stats_of(x.float() - origin, labels, k, weights)
    scale = float((x.double() - origin).abs().max()) * n + 1e-30
    torch.testing.assert_close(sums.double(), expected, rtol=0, atol=1e-6 * scale)
    assert torch.equal(counts.double(), number)
    squares = tensors.own_squares(x, centroids, labels)
    torch.testing.assert_close(squares.double(), own, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("dtype", REALS)
def test_ties_go_to_the_first(dtype):
    x = torch.asarray(np.random.default_rng(0).integers(-3, 4, size=(200, 3))).to(dtype)
    centroids = torch.cat([x[:40], x[:40].flip(0), x[:3]]).float()
    labels = tensors.assign(x, torch.zeros(3), tensors.pack(centroids), None)[0]
    assert torch.equal(labels, torch.cdist(x.double(), centroids.double()).argmin(1))


def test_a_dropped_centroid_has_no_rows():
    x = hard_rows("noise", 100, 4, 0).float()
    dropped = torch.tensor([True, False, False, True, False])
    packed = tensors.pack(x[:5], dropped)
    counts = tensors.assign(x, torch.zeros(4), packed, None)[2]
    assert torch.equal(counts == 0, dropped)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("shared", ["rows", "centroids", "nothing"])
def test_a_member_of_a_batch_is_as_if_alone(dtype, shared):
    x = hard_rows("noise", 3 * 140, 5, 1).reshape(3, 140, 5).to(dtype)
    centroids = x[:, :6].float()
    weights = torch.rand((3, 140))
    x = x[0] if shared == "rows" else x
    centroids = centroids[0] if shared == "centroids" else centroids
    origin = x.float().mean(-2)
    relative = centroids - origin[..., None, :]
    found = tensors.assign(x, origin, tensors.pack(relative), weights)
    for i in range(3):
        rows, own = (x, origin) if shared == "rows" else (x[i], origin[i])
        there = relative if relative.ndim == 2 else relative[i]
        alone = tensors.assign(rows, own, tensors.pack(there), weights[i])
        assert all(torch.equal(a[i], b) for a, b in zip(found, alone, strict=True))


def test_a_cluster_of_many_pieces():
    x = hard_rows("far", 5000, 3, 2).float()
    labels, weights = torch.arange(5000) % 2 * 3, torch.rand(5000)
    for share in (None, weights):
        sums, counts = tensors.segment_stats(x, labels, 5, share)
        expected, number = stats_of(x, labels, 5, share)
        torch.testing.assert_close(sums.double(), expected, rtol=1e-6, atol=0)
        torch.testing.assert_close(counts.double(), number, rtol=1e-6, atol=0)
    (one,), (all_of_them,) = tensors.segment_stats(x, labels * 0, 1, None)
    torch.testing.assert_close(one.double(), x.double().sum(0), rtol=1e-6, atol=0)
    assert all_of_them == 5000


def test_offsets_need_more_than_31_bits():
    memory = torch.empty((1 << 32) + 16, dtype=torch.float16)  # of which four rows are touched
    x = memory.as_strided((4, 5), (1 << 30, 1))
    x += torch.tensor([[1.0], [2], [3], [9]], dtype=torch.float16) - x
    packed = tensors.pack(torch.tensor([[1.0], [2], [3], [9]]).expand(4, 5))
    labels, sums, _ = tensors.assign(x, torch.zeros(5), packed, None)
    assert labels.tolist() == [0, 1, 2, 3]
    assert sums[:, 4].tolist() == [1, 2, 3, 9]


def test_strides_are_the_callers():
    x = hard_rows("noise", 5, 200, 3).float().T
    labels = tensors.assign(x, torch.zeros(5), tensors.pack(x[:7].contiguous()), None)[0]
    assert torch.equal(labels, torch.cdist(x, x[:7]).argmin(1))


def separated(n=400, d=6, k=5, seed=4):
    rng = np.random.default_rng(seed)
    centres = 30.0 * rng.permutation(np.eye(max(d, k))[:k, :d])
    rows = centres[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    return torch.asarray(rows.astype(np.float32)) + 50


def assert_equal_results(one, other, rtol=1e-4):
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.n_iter, other.n_iter)
    assert torch.equal(one.status, other.status)
    torch.testing.assert_close(one.centroids, other.centroids, rtol=rtol, atol=1e-3)
    torch.testing.assert_close(one.inertia, other.inertia, rtol=rtol, atol=0)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_equals_the_portable_one(portable, calls, metric, weighted):
    x = separated()
    weights = torch.arange(400) % 3 + 0.0 if weighted else None

    def fit():
        return kf.kmeans(x, 5, key=0, metric=metric, weights=weights, max_iter=MOST_ITERATIONS)

    expected = portable(fit)
    assert not calls
    assert_equal_results(fit(), expected)
    assert calls


@pytest.mark.parametrize("empty", ["farthest", "split", "merge", "keep"])
def test_empty_clusters_are_filled_as_in_the_portable_form(portable, empty):
    x = separated()
    start = torch.cat((x[:5], x[:2] + 500))

    def fit():
        return kf.lloyd(x, start, empty=empty, max_iter=MOST_ITERATIONS)

    assert_equal_results(fit(), portable(fit))


@pytest.mark.parametrize("dtype", REALS[1:])
def test_half_precision_is_read_as_it_is(portable, calls, dtype):
    x = separated().to(dtype)

    def fit():
        return kf.lloyd(x, x[:5], max_iter=MOST_ITERATIONS)

    result = fit()
    assert set(calls) == {(400, 6)}
    assert result.centroids.dtype == dtype
    assert_equal_results(result, portable(fit))


def test_squares_beyond_half_precision(portable):
    x = (separated() * 600).to(torch.float16)
    assert torch.isinf((x * x).sum())
    result = kf.lloyd(x, x[:5], max_iter=MOST_ITERATIONS)
    assert torch.isfinite(result.inertia)
    assert_equal_results(result, portable(lambda: kf.lloyd(x, x[:5], max_iter=MOST_ITERATIONS)))


def test_a_batch_of_fits(portable):
    x = separated(600).reshape(3, 200, 6)

    def fit():
        return kf.kmeans(x, 5, key=0, max_iter=MOST_ITERATIONS)

    assert_equal_results(fit(), portable(fit))


def test_labels_are_those_of_the_centroids_that_are_returned():
    x = hard_rows("noise", 500, 7, 5).float()
    result = kf.lloyd(x, x[:20], max_iter=2)
    far = torch.cdist(x.double(), result.centroids.double())
    assert torch.equal(result.labels, far.argmin(1))
    torch.testing.assert_close(result.inertia.double(), (far.min(1).values ** 2).sum())


def test_copies_among_the_starts():
    x = separated()
    result = kf.lloyd(x, x[:1].repeat(5, 1), max_iter=1)
    # All rows are of the first copy; the other clusters are filled.
    assert torch.all(torch.bincount(result.labels, minlength=5) > 0)
    assert kf.lloyd(x, x[:1].repeat(5, 1)).inertia < 1.01 * kf.lloyd(x, separated_starts(x)).inertia


def separated_starts(x):
    """A row of each group."""
    return torch.stack([x[int(x[:, j].argmax())] for j in range(5)])


def test_runs_are_equal_to_the_last_bit():
    x = hard_rows("noise", 3000, 5, 6).float()
    one, other = (kf.kmeans(x, 9, key=1, max_iter=4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one[:5], other[:5], strict=True))


def test_no_pass_holds_a_number_for_every_row_and_centroid(monkeypatch):
    """The largest tensor that is made is far smaller."""
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if torch.is_tensor(result):
                sizes.append(result.numel())
            return result

    x = hard_rows("noise", 1000, 4, 7).float()
    packed = tensors.pack(x[:500])
    with Sizes():
        tensors.assign(x, torch.zeros(4), packed, None)
    assert 0 < max(sizes) < 1000 * 500 / 10


def test_gradients_are_those_of_the_portable_form(portable):
    def slope():
        x = separated().requires_grad_()
        kf.kmeans(x, 5, key=0, max_iter=MOST_ITERATIONS).inertia.backward()
        return x.grad

    torch.testing.assert_close(slope(), portable(slope), rtol=1e-3, atol=1e-3)


def test_torch_vmap_takes_the_batched_form(calls):
    x = separated(600).reshape(3, 200, 6)
    labels = torch.vmap(lambda x: kf.lloyd(x, x[:5], max_iter=3).labels)(x)
    assert (3, 200, 6) in calls
    for i in range(3):
        assert torch.equal(labels[i], kf.lloyd(x[i], x[i, :5], max_iter=3).labels)


def test_what_has_no_kernel_takes_the_portable_form(monkeypatch):
    x = separated()
    assert kernels_for(x, x.dtype, "assign") is tensors
    assert kernels_for(x, x.dtype, "update_bounds") is None
    assert kernels_for(x.double(), torch.float64, "assign") is None
    assert kernels_for(x.clone().requires_grad_(), x.dtype, "segment_stats") is None
    monkeypatch.setenv("KMEANS_FX_KERNELS", "0")
    assert kernels_for(x, x.dtype, "assign") is None


def test_a_device_that_triton_cannot_compile_for_takes_the_portable_form(monkeypatch):
    def broken(*_):
        raise RuntimeError("no compiler")

    x = separated()
    monkeypatch.setattr(tensors, "assign", broken)
    kernels._has_triton.cache_clear()
    try:
        assert kernels_for(x, x.dtype, "assign") is None
        assert kf.kmeans(x, 5, key=0).status == kf.CONVERGED
    finally:
        kernels._has_triton.cache_clear()


@pytest.fixture
def guest(monkeypatch):
    """array-api-strict in the place of CuPy, which cannot make an array without a GPU."""
    import array_api_strict

    cupy = "kmeans_fx._backend.fixed_point.is_cupy_namespace"
    monkeypatch.setattr(cupy, lambda xp: xp is array_api_strict)
    return array_api_strict


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
def test_arrays_of_cupy_are_clustered_as_tensors_on_the_same_memory(guest, calls, metric):
    x, weights = separated(), torch.arange(400) % 3 + 0.0
    options = {"metric": metric, "max_iter": MOST_ITERATIONS}
    expected = kf.kmeans(x, 5, key=3, weights=weights, **options)
    searches = calls.count((400, 6))
    rows, shares = (guest.asarray(a.numpy(), copy=False) for a in (x, weights))
    found = kf.kmeans(rows, 5, key=guest.asarray([0, 3]), weights=shares, **options)
    assert calls.count((400, 6)) == 2 * searches > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert guest.asarray(0).__class__ is type(ours)
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-5)


def test_only_views_are_handed_over(guest):
    from kmeans_fx._backend.dlpack import from_tensors, to_tensors

    x = guest.asarray(separated().numpy(), copy=False)
    key = guest.asarray([1, 1 << 31], dtype=guest.uint32)
    given = x, None, key
    rows, nothing, words = to_tensors(given, ("nd", "n", "w"), {"metric": "cosine"})
    assert rows.data_ptr() == np.asarray(x).ctypes.data
    assert nothing is None
    assert words.tolist() == [1, 1 << 31]
    (back,) = from_tensors(guest, (rows,))
    assert np.asarray(back).ctypes.data == rows.data_ptr()
    # Without a kernel nothing is won.
    assert to_tensors(given, ("nd", "n", "w"), {"metric": "manhattan"}) is None
    wide = guest.astype(x, guest.float64)
    assert to_tensors((wide,), ("nd",), {"metric": "cosine"}) is None


def test_float32_is_float32_unless_pytorch_was_told_otherwise():
    def precisions(d):
        seen = launches(lambda: problem(9, d, 2, torch.float32))
        return {options["PRECISION"] for *_, options in seen if "PRECISION" in options}

    assert torch.get_float32_matmul_precision() == "highest"
    try:
        for told, meant in (("highest", "ieee"), ("high", "tf32x3"), ("medium", "tf32")):
            torch.set_float32_matmul_precision(told)
            assert precisions(3) == precisions(3000) == {meant}
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("dtype", REALS)
def test_rows_of_many_columns_are_read_in_parts(dtype):
    x = torch.asarray(np.random.default_rng(0).integers(-3, 4, size=(5, 8192))).to(dtype)
    labels = tensors.assign(x, torch.zeros(8192), tensors.pack(x[:3].float()), None)[0]
    assert torch.equal(labels, torch.cdist(x.double(), x[:3].double()).argmin(1))
    seen = launches(lambda: problem(5, 8192, 3, dtype))
    widths = {options["BLOCK_D"] for *_, options in seen}
    assert max(widths) <= 128


def test_a_batch_of_many_members_is_one_long_axis():
    x = torch.zeros((70_000, 2, 3))
    seen = launches(lambda: tensors._nearest(x, x[:, 0], x, x[..., 0]))
    assert [grid for _, grid, *_ in seen] == [(70_000,)]


FIT = "kmeans_fx.algorithms.lloyd._fit", "kmeans_fx._sampling.choose_kmeans_plusplus"


@pytest.mark.parametrize("empty", ["keep", "merge", "split"])
def test_a_graph_can_hold_a_fit(monkeypatch, empty):
    """Tensors without values tell that none is read, and that none comes from the host."""
    places = set()

    class Places(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            leaves = torch.utils._pytree.tree_leaves((args, kwargs, result))
            places.update(leaf.device.type for leaf in leaves if torch.is_tensor(leaf))
            return result

    monkeypatch.setattr(kernels, "_has_triton", lambda place: True)
    for module in (loop, transform):
        monkeypatch.setattr(module, "is_captured", lambda array: True)
    x, centroids, key = (torch.empty(s, device="meta") for s in ((1000, 40), (150, 40), (2,)))
    options = check_options(x, "sqeuclidean", 3, 0, empty, 0, "auto", None, None, None, False)
    fields = tuple(sorted(options.crossing().items()))
    seeding = (("k", 9), ("metric", "sqeuclidean"), ("n_trials", 4))
    with Places():
        kf.lloyd(x, centroids, empty=empty)  # its checks
        seen = launches(
            lambda: (
                fixed_point.call(FIT[0], (True, True, *(False,) * 3), fields, [x, centroids]),
                fixed_point.call(FIT[1], (True, False, True), seeding, [x, key.long()]),
            )
        )
    assert {kernel.__name__ for kernel, *_ in seen} >= {"nearest", "segment_sums", "own_squares"}
    assert places == {"meta"}


@pytest.mark.parametrize("generation", [80, 90, 100])
def test_machine_code_for_gpus(generation):
    """A tile fits the shared memory of that generation, and its sums all but fit the registers."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, gpu_launches.__file__, str(generation)]
    lines = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, timeout=900
    ).stdout.splitlines()
    made = [json.loads(line) for line in lines]
    assert {launch["kernel"] for launch in made} == set(gpu_launches.KERNELS)
    # Of the smallest of a generation: of the first also cards for games.
    most = {80: 99, 90: 227, 100: 227}[generation] << 10
    assert max(launch["shared"] for launch in made) <= most
    assert max(launch["spilled"] for launch in made) <= 32
