"""Facts of the machine and of the software, without names of hosts or paths."""

import os
import platform
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


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, "unknown")
