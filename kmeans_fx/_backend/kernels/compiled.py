"""How kernels are compiled: without Python's lock, and kept on disk for the next process."""

import numba

__all__ = ["compiled"]

# No assumption about NaN or infinity: both come, and end in the status. Python's min and
# max promise more about NaN than a comparison does, and cost a half more.
_options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "reassoc"}}


def compiled(function):
    """The function, compiled at its first call."""
    try:
        return numba.njit(cache=True, **_options)(function)
    except RuntimeError:  # no folder to write to: compile in every process
        return numba.njit(**_options)(function)
