"""Threads for eager arrays on a CPU: how many there are, and one for each block of rows.

A library that splits every small operation over all threads waits for them at each;
threads that each run whole blocks by themselves wait once.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import current_thread

from kmeans_fx._backend.namespace import array_namespace, is_numpy_namespace, is_torch_namespace
from kmeans_fx._backend.transform import is_concrete

__all__ = ["map_tasks", "threads"]

_NAME = "kmeans_fx-blocks"


def threads(array):
    """As many threads as the user lets the library have; 0 where blocks cannot use them."""
    xp = array_namespace(array=array)
    if current_thread().name.startswith(_NAME):
        return 0  # blocks within a block: a thread must not wait for its own pool
    if is_numpy_namespace(xp):
        return _blas_threads()
    if is_torch_namespace(xp) and array.device.type == "cpu" and is_concrete(array):
        import torch

        # A limit for one thread alone is a feature of OpenMP.
        return torch.get_num_threads() if torch.backends.openmp.is_available() else 0
    return 0


def map_tasks(function, tasks, array, workers):
    """``[function(task) for task in tasks]`` on so many threads, each of one thread of its own."""
    if is_numpy_namespace(array_namespace(array=array)):
        with _blas().limit(limits=1):
            return list(_pool(workers, None).map(function, tasks))
    import torch

    limit = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # or idle threads of this one's spin beside the others
        return list(_pool(workers, _one_torch_thread).map(function, tasks))
    finally:
        torch.set_num_threads(limit)


@cache
def _pool(workers, begin):
    """Kept: a new thread has cold caches and allocates its memory anew."""
    return ThreadPoolExecutor(workers, _NAME, initializer=begin)


# A child has the pools and not their threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _one_torch_thread():
    import torch

    torch.set_num_threads(1)


@cache
def _blas():
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


def _blas_threads():
    """The threads of BLAS; 1 where BLAS cannot be held to one thread."""
    blas = _blas()
    if blas is None or not blas.lib_controllers:
        return 1
    limits = [library.num_threads for library in blas.lib_controllers]
    return max(1, min(max(limits), os.cpu_count() or 1))
