"""How many threads there are for eager arrays on a CPU, while their library runs on one.

A library that splits every small operation over all threads waits for them at each;
threads that each run whole blocks by themselves (`kmeans_fx._backend.pool`) wait once.
"""

import os
from contextlib import contextmanager, nullcontext
from functools import cache
from threading import local

from kmeans_fx._backend.namespace import (
    array_namespace,
    is_numpy_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._backend.transform import is_concrete

__all__ = ["fewest_rows", "library", "none_spare", "one_thread", "rows_per_long_call", "threads"]

# Threads of Python wait for each other between operations, so calls are few and long: not more
# than so many, of not fewer rows, unless they would have too many. A power of two of them, of which
# as many threads have equal shares.
_CALLS, _FEWEST_ROWS, _MOST_ROWS = 8, 1 << 15, 1 << 17
# Wider rows are as much work as more of so many columns.
_COLUMNS = 64

_CORES = os.cpu_count() or 1  # to ask takes as long as a small product

# Of each thread: how many threads its library gave up, and whether it belongs to a pool.
_here = local()


def one_thread(array):
    """A context in which the array's library runs on this thread alone.

    Its own threads would spin for a while after every operation, beside those that
    run blocks. `threads` tells how many there may be.
    """
    xp = array_namespace(array=array)
    if is_numpy_namespace(xp):
        return _one_blas_thread()
    if is_torch_namespace(xp) and not on_accelerator(array) and is_concrete(array):
        return _one_torch_thread()
    return nullcontext()


def threads():
    """As many as the user lets the library have; 0 outside of `one_thread` and in a pool."""
    return getattr(_here, "spare", 0)


def fewest_rows(rows, d):
    """How many rows of d columns are as much work as so many narrow ones: not more."""
    return max(1, min(rows, rows * _COLUMNS // d))


def rows_per_long_call(n, d):
    """Into how many of n rows of d columns a pass is cut, for threads called from Python."""
    calls = max(1, min(_CALLS, n // fewest_rows(_FEWEST_ROWS, d)))
    calls = 1 << (calls.bit_length() - 1)
    return min(_MOST_ROWS, -(-n // calls))


def library():
    """The name of the one that gave up its threads."""
    return _here.library


@contextmanager
def none_spare():
    """A context in which there are none: blocks within a block run one after the other."""
    spare, _here.spare = threads(), 0
    try:
        yield
    finally:
        _here.spare = spare


@contextmanager
def _one_blas_thread():
    blas = _blas()
    if blas is None or not blas.lib_controllers:
        yield
        return
    limit = max(library.num_threads for library in blas.lib_controllers)
    with blas.limit(limits=1), _spare("numpy", limit):
        yield


@contextmanager
def _one_torch_thread():
    import torch

    if not torch.backends.openmp.is_available():  # then no limit holds for one thread alone
        yield
        return
    limit = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _spare("torch", limit):
            yield
    finally:
        # The threads of the pool set their own limit, and also that of later threads.
        torch.set_num_threads(limit)


@contextmanager
def _spare(library, limit):
    if getattr(_here, "spare", 0):  # a program within a program
        yield
        return
    _here.library, _here.spare = library, min(limit, _CORES)
    try:
        yield
    finally:
        _here.spare = 0


@cache
def _blas():
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")
