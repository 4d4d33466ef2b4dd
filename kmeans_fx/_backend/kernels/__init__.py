"""Fused kernels, and the one place that decides whether they are used.

Everything has a portable form with equal results. Kernels take NumPy arrays; arrays of
other libraries on a CPU come as views of the same memory (`kmeans_fx._backend.host`).
"""

import os
from functools import cache

from kmeans_fx._backend.namespace import array_namespace, is_numpy_namespace

__all__ = ["enabled", "kernels_for", "supported"]

# Wider rows fall out of the cache in a tile; a library's product is faster then.
_MOST_COLUMNS = 256


def enabled():
    """Whether kernels may be used: Numba is there, and KMEANS_FX_KERNELS is not 0."""
    return os.environ.get("KMEANS_FX_KERNELS") != "0" and _compiler() is not None


def kernels_for(rows):
    """The module of kernels for rows (..., n, d), or None: then take the portable form."""
    xp = array_namespace(rows=rows)
    usable = is_numpy_namespace(xp) and supported(rows) and rows.shape[-1] <= _MOST_COLUMNS
    return _compiler() if usable and enabled() else None


def supported(array):
    """Whether kernels know the dtype."""
    return str(array.dtype).removeprefix("torch.") in ("float32", "float64")


@cache
def _compiler():
    try:
        from kmeans_fx._backend.kernels import fused
    except ImportError:
        return None
    return fused
