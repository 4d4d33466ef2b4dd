"""Rows in blocks that fit the cache, so that nothing of size n x k is ever whole.

A block function maps slices of the leading axis to ``(outputs, totals)``: outputs
keep the leading axis and are joined again, totals are summed over the blocks. Sums
over many rows are therefore kept per block first, which also keeps them accurate.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from kmeans_fx._backend.namespace import (
    array_namespace,
    is_jax_namespace,
    is_numpy_namespace,
)

__all__ = ["map_blocks", "rows_per_block"]

_BLOCK_BYTES = 1 << 20
_BLOCKS_PER_TASK = 16


def rows_per_block(columns, itemsize=4, budget=_BLOCK_BYTES):
    """How many rows of so many columns of scratch fit the budget of one block."""
    return max(64, min(8192, budget // (itemsize * max(columns, 1))))


def map_blocks(function, arrays, size):
    """Apply ``function`` to blocks of at most ``size`` along the leading axis.

    Parameters
    ----------
    function : callable
        ``(*blocks) -> (outputs, totals)``, two tuples of arrays.
    arrays : tuple of arrays of equal length along axis 0; None is passed through.
    size : int

    Returns
    -------
    outputs, totals : tuples of arrays
    """
    xp = array_namespace(x=arrays[0])
    n = arrays[0].shape[0]
    if n <= size:
        return function(*arrays)
    if is_jax_namespace(xp):
        return _map_scan(xp, function, arrays, size)
    if is_numpy_namespace(xp):
        return _map_threads(xp, function, arrays, size)
    return _map_python(xp, function, arrays, range(0, n, size), size, n)


def _slice(arrays, start, stop):
    return tuple(a if a is None else a[start:stop, ...] for a in arrays)


def _add(first, second):
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _map_python(xp, function, arrays, starts, size, stop):
    """Any eager or unrolled backend: a loop over the blocks."""
    pieces, totals = [], None
    for start in starts:
        outputs, parts = function(*_slice(arrays, start, min(start + size, stop)))
        pieces.append(outputs)
        totals = parts if totals is None else _add(totals, parts)
    return tuple(xp.concat(piece, axis=0) for piece in zip(*pieces, strict=True)), totals


def _map_scan(xp, function, arrays, size):
    """JAX: one compiled body scanned over the whole blocks, then the remainder."""
    from jax import lax

    n = arrays[0].shape[0]
    blocks, whole = n // size, n // size * size

    def split(array):
        return (
            None if array is None else xp.reshape(array[:whole], (blocks, size, *array.shape[1:]))
        )

    def body(totals, block):
        outputs, parts = function(*block)
        return _add(totals, parts), outputs

    split_arrays = tuple(split(a) for a in arrays)
    outputs, totals = function(*_slice(arrays, whole, n)) if whole < n else (None, None)
    if totals is None:
        outputs, totals = function(*_slice(arrays, 0, size))
        split_arrays = tuple(a if a is None else a[1:] for a in split_arrays)
        totals, rest = lax.scan(body, totals, split_arrays)
        first, last = outputs, tuple(_flatten(xp, r) for r in rest)
    else:
        totals, rest = lax.scan(body, totals, split_arrays)
        first, last = tuple(_flatten(xp, r) for r in rest), outputs
    return tuple(xp.concat(pair, axis=0) for pair in zip(first, last, strict=True)), totals


def _flatten(xp, array):
    return xp.reshape(array, (-1, *array.shape[2:]))


def _map_threads(xp, function, arrays, size):
    """NumPy: tasks of several blocks on a thread pool, each with a BLAS of one thread.

    The tasks and the order in which their totals are added depend on the shapes
    alone, so the result does not depend on the number of threads.
    """
    n = arrays[0].shape[0]
    span = size * _BLOCKS_PER_TASK
    starts = range(0, n, span)

    def task(start):
        stop = min(start + span, n)
        return _map_python(xp, function, arrays, range(start, stop, size), size, stop)

    workers = min(_threads(), len(starts))
    if workers == 1:
        return _join(xp, map(task, starts))
    with _single_threaded_blas(), ThreadPoolExecutor(workers) as pool:
        return _join(xp, pool.map(task, starts))


def _join(xp, results):
    pieces, totals = [], None
    for outputs, parts in results:
        pieces.append(outputs)
        totals = parts if totals is None else _add(totals, parts)
    return tuple(xp.concat(piece, axis=0) for piece in zip(*pieces, strict=True)), totals


@cache
def _blas():
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


def _threads():
    """As many threads as the user lets BLAS have; one where BLAS cannot be held to one."""
    blas = _blas()
    if blas is None or not blas.lib_controllers:
        return 1
    limits = [library.num_threads for library in blas.lib_controllers]
    return max(1, min(max(limits), os.cpu_count() or 1))


def _single_threaded_blas():
    return _blas().limit(limits=1)
