"""Numbers that threads of compiled code share: read, written and changed as one, in order.

``array`` is contiguous and of one dimension, of 64-bit integers. What a thread wrote before it
writes or changes such a number is seen by every thread that reads the new one.
"""

import os
from typing import Any

from numba import types
from numba.extending import intrinsic

from kmeans_fx._backend.kernels.compiled import compiled

__all__ = ["add_to", "pause", "read_shared", "replace"]

# Looks at a number before other threads are let on this core.
_LOOKS = 64
_ALIGNMENT = 8


def _nothing():
    """Where others cannot be let on, a thread that waits goes on looking."""
    return 0


_let_others_on: Any = (
    types.ExternalFunction("sched_yield", types.int32())
    if os.name == "posix"
    else compiled(_nothing)
)


def _place(context, builder, array, arguments):
    start = context.make_array(array)(context, builder, arguments[0]).data
    return builder.gep(start, [arguments[1]])


@intrinsic
def read_shared(typing, array, place):
    """The number at the place."""

    def build(context, builder, signature, arguments):
        at = _place(context, builder, array, arguments)
        return builder.load_atomic(at, "acquire", _ALIGNMENT)

    return types.int64(array, types.intp), build


@intrinsic
def add_to(typing, array, place, value):
    """Add to the number at the place."""

    def build(context, builder, signature, arguments):
        at = _place(context, builder, array, arguments)
        return builder.atomic_rmw("add", at, arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), build


@intrinsic
def replace(typing, array, place, old, new):
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
        _let_others_on()
    return looks + 1
