"""How kernels are compiled: without Python's lock, and kept on disk for the next process."""

from functools import cache
from hashlib import sha256
from pathlib import Path

import numba

__all__ = ["compiled", "with_scratch"]

FOLDER = Path(__file__).parent

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


@cache
def sources():
    """A digest of all that kernels are compiled from."""
    files = sorted(FOLDER.glob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _kept(function, **options):
    # Numba looks for changes in the file of a function, not in those of the functions that become
    # part of it: so what it keeps has a name that tells all of them.
    function.__qualname__ += f".{sources()}"
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to write to: compile in every process
        return numba.njit(**options)(function)
