"""A board on which one thread offers blocks of work, and threads of compiled code take them.

Whoever offers works, too, and waits for blocks that were taken, not for threads. So others may
come late, or never. Between offers they wait awake, for a while: threads that sleep after every
pass may be woken on one core. Python's lock is not needed.
"""

import os
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from kmeans_fx._backend.kernels.compiled import compiled

__all__ = [
    "NOTES",
    "await_all",
    "dismiss",
    "is_over",
    "new_board",
    "offer",
    "pause",
    "report",
    "take",
]

# What is counted since the beginning, each in a line of the cache of its own: blocks that were
# taken, offered and done, and how often it was over. From the last on there is room for notes.
_TAKEN, _OFFERED, _DONE, _OVER, NOTES = range(0, 40, 8)
# Looks at a number before other threads are let on this core; before a thread sleeps, a
# millisecond or so; and for how many microseconds.
_LOOKS, _MANY_LOOKS, _NAP = 64, 1 << 17, 50
_ALIGNMENT = 8


def _go_on(*_):
    """Elsewhere than on POSIX a thread that waits goes on looking."""


def _of_system(name, *arguments) -> Any:
    if os.name != "posix":
        return compiled(_go_on)
    return types.ExternalFunction(name, types.int32(*arguments))


_let_others_on, _sleep = _of_system("sched_yield"), _of_system("usleep", types.uint32)


def _place(context, builder, array, arguments):
    start = context.make_array(array)(context, builder, arguments[0]).data
    return builder.gep(start, [arguments[1]])


@intrinsic
def _read(typing, array, place):
    """The number at the place."""

    def build(context, builder, signature, arguments):
        at = _place(context, builder, array, arguments)
        return builder.load_atomic(at, "acquire", _ALIGNMENT)

    return types.int64(array, types.intp), build


@intrinsic
def _add_to(typing, array, place, value):
    """Add to the number at the place."""

    def build(context, builder, signature, arguments):
        at = _place(context, builder, array, arguments)
        return builder.atomic_rmw("add", at, arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), build


@intrinsic
def _replace(typing, array, place, old, new):
    """Whether the number at the place was the old one, and now is the new."""

    def build(context, builder, signature, arguments):
        at = _place(context, builder, array, arguments)
        found = builder.cmpxchg(at, arguments[2], arguments[3], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(array, types.intp, types.int64, types.int64), build


@compiled
def pause(looks):
    """One look more, and now and then a rest for the sake of who is waited for."""
    if looks % _LOOKS == _LOOKS - 1:
        if looks < _MANY_LOOKS:
            _let_others_on()
        else:
            _sleep(_NAP)
    return looks + 1


def new_board():
    """(48,), with room for eight notes."""
    return np.zeros(NOTES + 8, np.int64)


@compiled
def offer(board, blocks):
    """Offer so many blocks: what was written before is seen by whoever takes one."""
    _add_to(board, _OFFERED, blocks)


@compiled
def take(board, blocks):
    """Which of so many blocks, of those that are offered again and again; -1 if all are taken."""
    taken = _read(board, _TAKEN)
    while taken < _read(board, _OFFERED):
        if _replace(board, _TAKEN, taken, taken + 1):
            return taken % blocks
        taken = _read(board, _TAKEN)
    return -1


@compiled
def report(board):
    """Say that a block is done."""
    _add_to(board, _DONE, 1)


@compiled
def await_all(board):
    """Wait until all blocks are done."""
    looks = 0
    while _read(board, _DONE) < board[_OFFERED]:
        looks = pause(looks)


@compiled
def is_over(board, before):
    """Whether it is over, and not for the first so many times."""
    return _read(board, _OVER) > before


def dismiss(board):
    """Those who wait for an offer, whatever has become of who made the last."""
    board[_OVER] += 1
