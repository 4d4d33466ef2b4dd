"""Fused kernels, and the one place that decides whether they are used.

Everything has a portable form with equal results. Kernels for a CPU take NumPy arrays, compiled
by Numba or, where it is not there, as array programs; arrays of other libraries on a CPU come as
views of the same memory (`kmeans_fx._backend.host`). Those for a GPU take tensors of PyTorch, or
arrays of JAX.
"""

import os
from functools import cache
from importlib.util import find_spec
from math import prod

from kmeans_fx._backend.namespace import (
    array_namespace,
    dtype_name,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._backend.transform import tracks_gradients

__all__ = [
    "allowed",
    "are_few",
    "bounds_for",
    "enabled",
    "fits_one_tile",
    "is_large",
    "kernels_for",
    "pays",
    "tile_for",
]

# Fewer numbers than this are clustered before Numba is even imported.
_FEW_NUMBERS = 1 << 16
# Rows, and products of numbers in a pass, that are done with before another way would have begun.
_FEW_ROWS, _MOST_PRODUCTS = 1 << 15, 1 << 22
# Of wider rows a tile would be larger than many a second cache, and than all of the rows.
_MOST_COLUMNS = 1 << 15
# Wider rows fill the registers of a program; the products are most of the work then, too.
_MOST_COLUMNS_OF_JAX = 64
_FIRST_GENERATION = 8.0


def allowed():
    """Whether the user lets kernels be used, and NumPy for JAX: KMEANS_FX_KERNELS is not 0."""
    return os.environ.get("KMEANS_FX_KERNELS") != "0"


def enabled():
    """Whether compiled kernels for a CPU may be used, and Numba is there."""
    return allowed() and _has_numba()


def pays(x, *, times=1):
    """Whether x (..., n, d) is enough work for compiled kernels, of rows that are not too wide.

    With ``times``, whether it is that many times as much.
    """
    return is_large(x, times) and x.shape[-1] <= _MOST_COLUMNS


def is_large(x, times=1):
    """Whether x (..., n, d) has as many numbers as a kernel needs, times as many."""
    return prod(x.shape) >= times * _FEW_NUMBERS


def kernels_for(x, dtype, task):
    """The module of kernels for arrays x (..., n, d) whose rows are worked on as ``dtype``.

    None where none has a function of the name ``task``: then take the portable form.
    """
    xp = array_namespace(x=x)
    module = None
    if is_numpy_namespace(xp):
        module = _for_numpy(x, dtype)
    elif is_torch_namespace(xp):
        module = _for_tensors(x, dtype)
    elif is_jax_namespace(xp):
        module = _for_jax(x, dtype)
    return module if hasattr(module, task) else None


def _for_numpy(x, dtype):
    if not (_is_native(x, dtype) and is_large(x)):
        return None
    if pays(x) and enabled():
        from kmeans_fx._backend.kernels import fused

        return fused
    if x.ndim > 2:
        return None
    from kmeans_fx._backend.kernels import products

    return products


def _is_native(x, dtype):
    return dtype in ("float32", "float64") and x.dtype.isnative


def _for_tensors(x, dtype):
    """For a GPU; its tensors may be in half precision, whose sums are kept as ``dtype``."""
    if not (on_accelerator(x) and allowed()):
        return None
    if dtype_name(dtype) != "float32" or tracks_gradients(x):
        return None
    if not _has_triton(x.device):
        return None
    from kmeans_fx._backend.kernels import tensors

    return tensors


def _for_jax(x, dtype):
    """For one GPU: the arrays of several would all be brought to each."""
    few = x.ndim == 2 and x.shape[-1] <= _MOST_COLUMNS_OF_JAX
    if not (few and dtype_name(dtype) == "float32" and allowed()):
        return None
    import jax

    if not (jax.default_backend() == "gpu" and jax.device_count() == 1 and _is_recent()):
        return None
    try:
        from kmeans_fx._backend.kernels import pallas
    except ImportError:  # of another version
        return None
    return pallas


def _is_recent():
    """Whether JAX's Triton compiles for the GPU: of NVIDIA, and of 2020 or later."""
    import jax

    generation = getattr(jax.local_devices()[0], "compute_capability", "")
    return generation.replace(".", "").isdigit() and float(generation) >= _FIRST_GENERATION


def fits_one_tile(x, dtype, k):
    """Whether rows x (n, d) and k centroids are too few for anything but `one_tile`."""
    if not (is_numpy_namespace(array_namespace(x=x)) and x.ndim == 2 and _is_native(x, dtype)):
        return False
    return are_few(x, k) and not (pays(x) and enabled())


def are_few(x, k):
    """Whether rows x (n, d) and k centroids make so short a pass that bounds would not pay."""
    return x.shape[0] <= _FEW_ROWS and prod(x.shape) * k <= _MOST_PRODUCTS


def tile_for(*arguments):
    """`one_tile.OneTile`, where `fits_one_tile`."""
    from kmeans_fx._backend.kernels.one_tile import OneTile

    return OneTile(*arguments)


def bounds_for(*arguments):
    """`bounds.Bounds`, where `kernels_for` gives kernels."""
    from kmeans_fx._backend.kernels.bounds import Bounds

    return Bounds(*arguments)


@cache
def _has_numba():
    return find_spec("numba") is not None


@cache
def _has_triton(place):
    """Whether Triton is there and compiles for the device: it needs a compiler for C, too."""
    if place.type not in ("cuda", "cpu") or find_spec("triton") is None:
        return False
    try:
        from kmeans_fx._backend.kernels import tensors

        tensors.assign(*tensors.smallest_problem(place))
    except Exception:  # noqa: BLE001, whatever it is that is missing
        return False
    return True
