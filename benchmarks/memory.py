"""Resident memory of this process, now and at its peak."""

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident() -> int:
    """Return the bytes resident now, once what is free has been given back to the system."""
    gc.collect()
    with suppress(AttributeError):  # without glibc, freed pages may still count
        ctypes.CDLL(None).malloc_trim(0)
    return _read("VmRSS")


def reset_peak() -> bool:
    """Start a new peak from here; False where the system does not permit it."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def peak() -> int:
    """Return the largest number of bytes resident since `reset_peak` (or since the start)."""
    return _read("VmHWM")


def _read(field: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return _highest()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def total() -> int:
    """Return the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _highest() -> int:
    """Return the peak since the start, which is all that systems without /proc tell."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
