"""Fused kernels, and the one place that decides whether they are used.

Everything has a portable form with equal results. Kernels take NumPy arrays; arrays of
other libraries on a CPU come as views of the same memory (`kmeans_fx._backend.host`).
"""

import os
from functools import cache
from importlib.util import find_spec
from math import prod

from kmeans_fx._backend.namespace import array_namespace, is_numpy_namespace

__all__ = ["bounds_for", "enabled", "kernels_for", "pays"]

# Fewer numbers than this are clustered before Numba is even imported.
_FEW_NUMBERS = 1 << 16
# Wider rows fall out of the cache in a tile; a library's product is faster then.
_MOST_COLUMNS = 256


def enabled():
    """Whether kernels may be used: Numba is there, and KMEANS_FX_KERNELS is not 0."""
    return os.environ.get("KMEANS_FX_KERNELS") != "0" and _has_numba()


def pays(x):
    """Whether x (..., n, d) is enough work, of rows that are not too wide."""
    return prod(x.shape) >= _FEW_NUMBERS and x.shape[-1] <= _MOST_COLUMNS


def kernels_for(x, dtype):
    """The module of kernels for NumPy arrays x (..., n, d) whose rows are worked on as ``dtype``.

    None where there is none: then take the portable form.
    """
    if not (is_numpy_namespace(array_namespace(x=x)) and enabled()):
        return None
    if not (dtype in ("float32", "float64") and x.dtype.isnative and pays(x)):
        return None
    from kmeans_fx._backend.kernels import fused

    return fused


def bounds_for(*arguments):
    """`bounds.Bounds`, where `kernels_for` gives kernels."""
    from kmeans_fx._backend.kernels.bounds import Bounds

    return Bounds(*arguments)


@cache
def _has_numba():
    return find_spec("numba") is not None
