"""Arrays that lie in a file and come into memory page by page."""

from math import prod

from kmeans_fx._backend.namespace import array_namespace, is_numpy_namespace

__all__ = ["as_plain", "in_memory", "rows_together"]

# What one request should read from a disk: most of its time is finding the place.
_BYTES = 1 << 16


def rows_together(x):
    """How many neighbouring rows to read at a time: 1 in memory, 64 KiB in a mapped file."""
    if getattr(x, "filename", None) is None:
        return 1
    return max(1, _BYTES // max(1, x.dtype.itemsize * prod(x.shape[1:])))


def as_plain(array):
    """A mapped file as an ordinary NumPy array of the same memory; others as they are."""
    if array is None or not hasattr(array, "filename"):
        return array
    xp = array_namespace(array=array)
    return xp.asarray(array, copy=False) if is_numpy_namespace(xp) else array


def in_memory(array, span):
    """The rows ``array[span]``: of a mapped file or another store, read here and now."""
    rows = array[span, ...] if len(array.shape) > 1 else array[span]
    if getattr(array, "filename", None) is None:
        return rows
    return array_namespace(rows=rows).asarray(as_plain(rows), copy=True)
