"""Rows per second and memory out of core: 50,000,000 x 16 float32 in blocks on disk, k = 100.

``python -m benchmarks.out_of_core FOLDER`` writes 3.2 GB there, times 10 iterations of
`kmeans_blocks` and of `lloyd` on all rows in memory, each in a process of its own, and
deletes the files.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from .memory import peak

BLOCKS, ROWS, D, K, ITERATIONS = 100, 500_000, 16, 100, 10


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    centres = rng.uniform(-10, 10, size=(K, D)).astype(np.float32)
    for number in range(BLOCKS):
        noise = 3 * rng.standard_normal((ROWS, D), dtype=np.float32)
        np.save(folder / f"{number:03d}.npy", centres[rng.integers(K, size=ROWS)] + noise)


def run(folder, way):
    """Time a fit from the same rows; print a line of JSON."""
    from kmeans_fx import kmeans_blocks, lloyd

    paths = sorted(folder.glob("*.npy"))
    start = np.load(paths[0])[:K].copy()
    if way == "in memory":
        x = np.empty((BLOCKS * ROWS, D), np.float32)
        for number, path in enumerate(paths):
            x[number * ROWS : (number + 1) * ROWS] = np.load(path)
    begin = time.perf_counter()
    if way == "in memory":
        result = lloyd(x, start, max_iter=ITERATIONS, tol=0)
    else:
        options = {"key": 0, "init": start, "max_iter": ITERATIONS, "tol": 0}
        result = kmeans_blocks(lambda: map(np.load, paths), K, **options)
    seconds = time.perf_counter() - begin
    rate = BLOCKS * ROWS * ITERATIONS / seconds
    found = {"seconds": round(seconds, 1), "rows_per_second": round(rate)}
    print(json.dumps({"way": way, **found, "MiB": peak() >> 20, "inertia": float(result.inertia)}))


def main(folder, way=None):
    folder = Path(folder)
    if way is not None:
        run(folder, way)
        return
    write(folder)
    try:
        for each in ("out of core", "in memory"):
            command = [sys.executable, "-m", "benchmarks.out_of_core", str(folder), each]
            subprocess.run(command, check=True)
    finally:
        for path in folder.glob("*.npy"):
            path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
