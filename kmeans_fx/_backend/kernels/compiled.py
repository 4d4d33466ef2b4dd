"""How kernels are compiled: without Python's lock, and kept on disk for the next process."""

import numba

__all__ = ["compiled", "with_scratch"]

# No assumption about NaN or infinity: both come, and end in the status. Python's min and
# max promise more about NaN than a comparison does, and cost a half more.
_options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "reassoc"}}


def compiled(function):
    """The function, compiled at its first call, and part of whichever compiled one calls it.

    It makes no arrays but views. So nobody has to count who holds an array, which would cost an
    atomic addition for each that a function hands on, more than a small one works.
    """
    return _kept(function, _nrt=False, forceinline=True, **_options)


def with_scratch(function):
    """As `compiled`, for a function that makes arrays."""
    return _kept(function, _nrt=True, forceinline=False, **_options)


def _kept(function, **options):
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to write to: compile in every process
        return numba.njit(**options)(function)
