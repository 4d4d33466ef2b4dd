"""Blocks of rows on several threads, of which the caller's is one.

A pool is kept for each library, and helps whoever asks: nobody counts on it.
"""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from threading import Lock

from kmeans_fx._backend.threads import library, none_spare

__all__ = ["run_tasks", "run_with_help"]


def run_tasks(function, tasks, workers, take):
    """``take(function(task))`` for every task, in their order, on so many threads.

    This thread is one of them, and each takes the next task by itself: a future for
    every task would cost more than many a task.
    """
    shared, turns, lock = _InOrder(take), iter(range(len(tasks))), Lock()

    def work():
        for turn in turns:
            result = function(tasks[turn])
            with lock:
                shared.add(turn, result)

    def lead():
        try:
            work()
        finally:
            # After an error the others find nothing more to do.
            for _ in turns:
                pass

    run_with_help(lead, work, workers)


def run_with_help(lead, assist, workers):
    """``lead()`` on this thread, while others run ``assist()``, if they come in time.

    They may be at work for other fits, so whoever leads must count on none. When it has
    ended, they have to end.
    """
    if workers == 1:
        with none_spare():
            return lead()
    core = _core()

    def helper():
        _leave(core)
        assist()

    others = [_pool(workers - 1, library()).submit(helper) for _ in range(workers - 1)]
    try:
        with none_spare():
            result = lead()
    finally:
        came = [other for other in others if not other.cancel()]
        wait(came)
    for other in came:
        other.result()
    return result


class _InOrder:
    """Results that wait for those of earlier tasks."""

    def __init__(self, take):
        self.take, self.waiting, self.turn = take, {}, 0

    def add(self, turn, result):
        self.waiting[turn] = result
        while self.turn in self.waiting:
            self.take(self.waiting.pop(self.turn))
            self.turn += 1


def _leave(core):
    """Takes this thread off the core of the one that it helps.

    After some idleness a system wakes a thread where the one that wakes it runs, and looks for
    another core milliseconds later.
    """
    if core is None or core != _core():
        return
    mine = os.sched_getaffinity(0)
    if len(mine) > 1:
        with suppress(OSError):  # not allowed to
            os.sched_setaffinity(0, mine - {core})
            os.sched_setaffinity(0, mine)


def _core():
    """The number of the core that this thread runs on, or None where that cannot be known."""
    ask = _getcpu()
    return None if ask is None else ask()


@cache
def _getcpu():
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


@cache
def _pool(workers, library):
    """Kept: a new thread has cold caches and allocates its memory anew."""
    return ThreadPoolExecutor(workers, initializer=_begin, initargs=(library,))


# A child has the pools and not their threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _begin(library):
    if library == "torch":
        import torch

        torch.set_num_threads(1)
