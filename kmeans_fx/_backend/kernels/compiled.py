"""How kernels are compiled: without Python's lock, and kept on disk for the next process."""

import numba

__all__ = ["compiled", "with_scratch"]

# No assumption about NaN or infinity: both come, and end in the status. Python's min and
# max promise more about NaN than a comparison does, and cost a half more.
_options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "reassoc"}}


def compiled(function):
    """The function, compiled at its first call. It makes no arrays but views.

    So nobody has to count who holds an array, which would cost an atomic addition for each that
    is given from one function to another: more than the work of a small one.
    """
    return _kept(function, _nrt=False, **_options)


def with_scratch(function):
    """As `compiled`, for a function that makes arrays."""
    return _kept(function, _nrt=True, **_options)


def _kept(function, **options):
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to write to: compile in every process
        return numba.njit(**options)(function)
