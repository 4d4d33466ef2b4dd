"""Arrays as compiled loops take them, and those of their results."""

from math import prod

import numpy as np

from kmeans_fx._backend.members import broadcast_shapes

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
    """`plain` of arrays (..., core) as members (m, core), or as one for all: (1, core).

    With each goes the rank of its core. Of more than one leading dimension those of all are one.
    """
    leads = [a.shape[: a.ndim - rank] for a, rank in given]
    batch = broadcast_shapes(*leads) if max(map(len, leads)) > 1 else None

    def member(array, lead):
        core = array.shape[len(lead) :]
        if lead and batch is not None:
            array, lead = np.broadcast_to(array, (*batch, *core)), batch
        return plain(array).reshape(prod(lead), *core)

    return tuple(member(a, lead) for (a, _), lead in zip(given, leads, strict=True))


class _Opened:
    """The memory of a read-only array, which no kernel writes to."""

    def __init__(self, array):
        self.array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
