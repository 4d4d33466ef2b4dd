"""Arrays as compiled loops take them, and those of their results."""

import numpy as np

__all__ = ["members_of", "narrowed", "plain", "plain_all", "share_of", "zeros"]


def zeros(*shape):
    """Sums (..., k, d) and counts (..., k) of many rows: in float64, for their digits."""
    return np.zeros(shape), np.zeros(shape[:-1])


def narrowed(rows, sums, counts):
    """They in the dtype of the rows."""
    return sums.astype(rows.dtype), counts.astype(rows.dtype)


def share_of(weights, rows):
    """Weights, or an empty array where there are none."""
    return np.empty(0, rows.dtype) if weights is None else weights


def plain_all(*arrays):
    """`plain` of each."""
    return tuple(plain(array) for array in arrays)


def plain(array):
    """Contiguous, and writable in name: Numba compiles once more for read-only arrays."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Opened(array))


def members_of(*given):
    """`plain` of arrays as members, (m, ...). With each goes the rank of a single one."""
    return tuple(plain(a) if a.ndim > rank else plain(a)[None] for a, rank in given)


class _Opened:
    """The memory of a read-only array, which no kernel writes to."""

    def __init__(self, array):
        self.array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
