"""Facts of the machine and of the software, without names of hosts or paths."""

import math
import os
import platform
import time
from pathlib import Path

from . import memory
from .contenders import ALL, version


def facts() -> dict:
    """Describe where a run takes place; the load is that of the moment of the call."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory.total() / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Return the version of every distribution that a contender asks for and that is here."""
    wanted = {"kmeans_fx", "numpy", "numba", *(name for c in ALL.values() for name in c.requires)}
    return {name: found for name in sorted(wanted) if (found := version(name))}


class Clock:
    """Tell how long something took, and how busy others kept the machine meanwhile."""

    def __init__(self):
        self._begin = _used()

    def read(self) -> tuple[float, float]:
        """Return seconds, and the share of the cores that other processes took (NaN: unknown).

        Children count as ours once they have ended.
        """
        wall, everyone, own = (now - then for now, then in zip(_used(), self._begin, strict=True))
        return wall, max(0.0, everyone - own) / (wall * os.cpu_count())


def _used() -> tuple[float, float, float]:
    """Return the time, and the seconds of processor used by all processes and by ours."""
    own = os.times()
    return time.monotonic(), _used_by_all(), sum(own[:4])


def _used_by_all() -> float:
    try:
        total = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return math.nan
    user, nice, system, _, _, irq, softirq = map(int, total[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, "unknown")
