"""The run: peaks, then a process for each contender, then the table."""

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from .contenders import CONTENDERS
from .peaks import peaks
from .workloads import WORKLOADS

MINUTES = 7.5  # for everything but the table
HEAD = ("contender", "s/iteration", "of the floor", "inertia", "labels wrong", "")


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
    lines, absent = [], []
    there = [name for name, (_, module) in CONTENDERS.items() if find_spec(module)]
    for turn, name in enumerate(there):
        share = (end - time.monotonic()) / (len(there) - turn)
        lines += [{"contender": name, **line} for line in _measured(name, device, quick, share)]
    absent = [name for name in CONTENDERS if name not in there]
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
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, cwd=root, check=False
        )
        out, rest = done.stdout, "the process ended"
    except subprocess.TimeoutExpired as error:
        out, rest = (error.stdout or b"").decode(), "no time left"
    # A line that was being written is cut off.
    lines = [json.loads(line) for line in out.splitlines() if line.endswith("}")]
    missed = WORKLOADS[len(lines) :]
    return lines + [{"workload": workload.name, "reason": rest} for workload in missed]


def report(lines, able, quick=False):
    """Return a table for each workload, the floor in its title."""
    text = [f"measured: {able['bandwidth'] / 1e9:.0f} GB/s"]
    text += [f"{able[kind] / 1e12:.1f} Tflop/s in {kind}" for kind in ("float32", "bfloat16")]
    parts = [", ".join(text)]
    for workload in WORKLOADS:
        floor = (workload.small() if quick else workload).floor(able)
        rows = [_cells(line, floor) for line in lines if line["workload"] == workload.name]
        title = f"{workload.name}: an iteration takes at least {floor * 1e3:.3g} ms"
        parts.append("\n".join([f"\n{title}\n", *map(_row, [HEAD, ["---"] * len(HEAD), *rows])]))
    return "\n".join(parts)


def _cells(line, floor):
    if "reason" in line:
        return line["contender"], "-", "-", "-", "-", line["reason"]
    wrong = f"{line['wrong']:.2%}" if "wrong" in line else "-"
    speed = f"{floor / line['seconds']:.0%}" if line["seconds"] > 0 else "-"
    return (line["contender"], f"{line['seconds']:.3g}", speed, f"{line['inertia']:.8g}", wrong, "")


def _row(cells):
    return "| " + " | ".join(cells) + " |"
