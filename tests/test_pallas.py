"""JAX on a GPU, seen without one: the kernel by Pallas' interpreter, and what is compiled for it.

Part of `nox -s triton`; the default run leaves it out.
"""

import json
import os
import subprocess
import sys
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmeans_fx as kf
from kmeans_fx._backend import blocks, fixed_point, kernels
from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx._backend.nearest import nearest, score_table

jax = pytest.importorskip("jax")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("a part of `nox -s triton`", allow_module_level=True)

from jax import numpy as jnp  # noqa: E402

from kmeans_fx._backend.kernels import pallas  # noqa: E402
from tests import gpu_launches  # noqa: E402

pytestmark = pytest.mark.backend("jax")


@pytest.fixture
def on_gpu(monkeypatch):
    """Programs are made as for a machine with a GPU; none that was made before is used."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(kernels, "_is_recent", lambda: True)
    for made in (fixed_point._jax_program, fixed_point._jax_open):
        made.cache_clear()
    yield
    for made in (fixed_point._jax_program, fixed_point._jax_open):
        made.cache_clear()


def for_cuda(function, *shapes):
    """The program of a function for a GPU, as text."""
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).trace(*given).lower(lowering_platforms=("cuda",))


def rows_of(kind, n, d, seed):
    rng = np.random.default_rng(seed)
    whole = rng.integers(-2, 3, size=(n, d)) if kind == "grid" else rng.standard_normal((n, d))
    return jnp.asarray(whole[rng.integers(n // 4 + 1, size=n)] if kind == "copies" else whole, "f4")


@settings(max_examples=40)
@given(
    st.sampled_from(["noise", "grid", "copies"]),
    st.integers(1, 300),
    st.sampled_from([1, 2, 3, 15, 16, 17, 33, 64]),
    st.sampled_from([1, 2, 7, 63, 64, 65, 130]),
)
def test_the_kernel_finds_a_nearest_centroid_and_of_equals_the_first(kind, n, d, k):
    x, centroids = rows_of(kind, n, d, 0), rows_of(kind, k, d, 1)
    labels = pallas.nearest(x, *score_table(centroids), interpret=True)
    assert labels.shape == (n,)
    far = ((np.asarray(x, float)[:, None] - np.asarray(centroids, float)) ** 2).sum(-1)
    if kind == "grid":  # whole numbers: nothing is rounded
        np.testing.assert_array_equal(labels, far.argmin(1))
    own = np.take_along_axis(far, np.asarray(labels)[:, None], 1)[:, 0]
    assert np.all(own <= far.min(1) + 1e-5 * far.max())


def test_a_dropped_centroid_has_no_rows():
    x = rows_of("noise", 100, 4, 0)
    table = score_table(x[:5], jnp.asarray([True, False, False, True, False]))
    assert set(np.asarray(pallas.nearest(x, *table, interpret=True)).tolist()) == {1, 2, 4}


def test_a_fit_by_the_kernel_equals_one_without(monkeypatch):
    x = rows_of("noise", 500, 5, 2)
    expected = kf.lloyd(x, x[:9], max_iter=5)
    calls = []

    def interpreted(rows, operand, bias):
        calls.append(rows.shape)
        return pallas.nearest(rows, operand, bias, interpret=True)

    monkeypatch.setattr("kmeans_fx._backend.nearest._nearest_xla", interpreted)
    fixed_point._jax_program.cache_clear()
    try:
        found = kf.lloyd(x, x[:9], max_iter=5)
    finally:
        fixed_point._jax_program.cache_clear()
    assert calls
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-6)


def test_who_has_a_kernel(monkeypatch, on_gpu):
    x = jnp.zeros((100, 64))
    assert kernels_for(x, x.dtype, "nearest") is pallas
    assert kernels_for(x, x.dtype, "assign") is None
    assert kernels_for(jnp.zeros((100, 65)), x.dtype, "nearest") is None
    assert kernels_for(x.astype("bfloat16"), jnp.bfloat16, "nearest") is None
    assert kernels_for(x[None], x.dtype, "nearest") is None
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert kernels_for(x, x.dtype, "nearest") is None
    monkeypatch.undo()
    assert kernels_for(x, x.dtype, "nearest") is None


class Device(NamedTuple):
    compute_capability: str


@pytest.mark.parametrize(
    ("generation", "able"), [("7.5", False), ("8.0", True), ("10.0", True), ("gfx90a", False)]
)
def test_older_gpus_and_those_of_others_have_no_kernel(monkeypatch, generation, able):
    monkeypatch.setattr(jax, "local_devices", lambda: [Device(generation)])
    assert kernels._is_recent() is able


def test_another_version_of_jax_takes_the_portable_form(monkeypatch, on_gpu):
    monkeypatch.setitem(sys.modules, "kmeans_fx._backend.kernels.pallas", None)
    monkeypatch.delattr("kmeans_fx._backend.kernels.pallas")
    x = jnp.zeros((100, 3))
    assert kernels_for(x, x.dtype, "nearest") is None


def test_a_program_for_a_gpu_has_the_kernel_and_one_for_a_cpu_the_portable_form(on_gpu):
    fit = partial(kf.lloyd, max_iter=3)
    shapes = (1000, 5), (7, 5)
    assert "xla.gpu.triton" in for_cuda(fit, *shapes).as_text()
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    compiled = jax.jit(fit).lower(*given).compile()
    x = rows_of("noise", 1000, 5, 0)
    assert compiled(x, x[:7]).labels.shape == (1000,)


@pytest.mark.parametrize(("d", "k"), [(3, 64), (16, 100), (64, 1000)])
def test_machine_code(tmp_path, on_gpu, d, k):
    """Products are exact, and all that a program holds fits the registers."""
    lowered = for_cuda(lambda *given: nearest(given[0], given[1:]), (1000, d), (d, k), (k,))
    (tmp_path / "kernel.ttir").write_text(gpu_launches.code_of_jax(lowered))
    assert "tf32" not in (tmp_path / "kernel.ttir").read_text()
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    for generation in ("80", "90"):
        command = [sys.executable, gpu_launches.__file__, generation, tmp_path / "kernel.ttir"]
        made = json.loads(subprocess.check_output(command, env=environment, timeout=300))
        assert made["shared"] <= 99 << 10
        assert made["spilled"] == 0


def test_without_a_kernel_no_number_for_every_row_and_centroid_is_alive(monkeypatch):
    """Blocks as on a GPU, compiled for a CPU, which tells how much memory a program takes."""
    monkeypatch.setattr(blocks, "_compiles_for_accelerator", lambda: True)
    fixed_point._jax_program.cache_clear()
    n, d, k = 1 << 20, 128, 4096
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((n, d), (k, d))]
    fit = jax.jit(partial(kf.lloyd, max_iter=3, empty="keep"))
    memory = fit.lower(*given).compile().memory_analysis()
    fixed_point._jax_program.cache_clear()
    # A few blocks of 256 MiB, and some numbers for every row.
    assert memory.temp_size_in_bytes < (1 << 30) + 64 * n < 4 * n * k / 10
