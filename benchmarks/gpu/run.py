"""The run: peaks, then a process for each contender, then the table."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from .contenders import CONTENDERS
from .peaks import peaks
from .seedings import SEEDINGS
from .tables import report
from .tasks import workloads_of

MINUTES = 7.5  # for everything but the table


def main(quick=False):
    """Measure all that is installed, print the table, and return its lines."""
    device = _device(quick)
    if device is None:
        print(
            "gpu: no GPU that PyTorch can use, so nothing is timed; "
            "--quick tries the harness on the CPU with tiny workloads"
        )
        return []
    end = time.monotonic() + 60 * MINUTES
    able = peaks(device, quick)
    lines = []
    known = CONTENDERS | SEEDINGS
    there = [name for name, (_, module) in known.items() if find_spec(module)]
    for turn, name in enumerate(there):
        share = (end - time.monotonic()) / (len(there) - turn)
        lines += [{"contender": name, **line} for line in _measured(name, device, quick, share)]
    absent = [name for name in known if name not in there]
    if absent:
        print("not installed: " + ", ".join(absent))
    print(report(lines, able, quick))
    return lines


def _device(quick):
    import torch

    if quick:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else None


def _measured(name, device, quick, limit):
    """Return the lines of a contender's process within so many seconds."""
    print(f"{name}: at most {limit:.0f} s", flush=True)
    command = [sys.executable, "-m", "benchmarks.gpu.worker", name, device, quick * "quick"]
    # JAX would take most of the memory, in which PyTorch makes the rows.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    where = {"cwd": Path(__file__).parents[2], "env": environment}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, **where
        )
        out, rest = done.stdout, "the process ended"
    except subprocess.TimeoutExpired as error:
        out, rest = (error.stdout or b"").decode(), "no time left"
    # A line that was being written is cut off.
    lines = [json.loads(line) for line in out.splitlines() if line.endswith("}")]
    missed = workloads_of(name)[len(lines) :]
    return lines + [{"workload": workload.name, "reason": rest} for workload in missed]
