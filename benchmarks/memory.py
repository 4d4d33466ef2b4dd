"""Resident memory of this process, now and at its peak."""

import ctypes
import gc
import os
import resource
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

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


def anonymous() -> int:
    """Return the bytes resident now that are no pages of files, once what is free is given back."""
    resident()
    return _read("RssAnon")


class AnonymousPeak:
    """A context that looks at `anonymous` memory every few milliseconds: the system keeps no peak.

    Attributes
    ----------
    peak : int
    """

    def __enter__(self) -> Self:
        self.peak, self._done = _read("RssAnon"), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.peak = max(self.peak, _read("RssAnon"))


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
