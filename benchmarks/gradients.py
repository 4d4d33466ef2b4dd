"""Time and memory of a gradient of soft k-means: ``python -m benchmarks.gradients``.

Every figure comes from a process of its own. The memory is the peak of a second call beyond
what was resident before it (Linux only).
"""

import json
import subprocess
import sys
import time

from benchmarks import memory

N, D, K = 20_000, 8, 10
STEPS = (5, 20, 80)


def measure(backend: str, gradient: str, steps: int) -> dict:
    """Seconds and bytes of one gradient in the rows, by a compiled function on JAX."""
    call = _on_jax(gradient, steps) if backend == "jax" else _on_torch(gradient, steps)
    call()
    before = memory.resident()
    memory.reset_peak()
    call()
    most = memory.peak() - before
    return {"seconds": min(_timed(call) for _ in range(2)), "bytes": most}


def _timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rows():
    import numpy as np

    rng = np.random.default_rng(0)
    centers = rng.uniform(-4, 4, size=(K, D))
    return (centers[rng.integers(K, size=N)] + rng.normal(size=(N, D))).astype(np.float32)


def _loss(gradient: str, steps: int):
    from kmeans_fx import soft_kmeans

    options = {"temperature": 2.0, "tol": 0.0, "max_iter": steps, "gradient": gradient}
    return lambda x: (soft_kmeans(x, K, key=0, init=x[:K, :], **options).centroids ** 2).sum()


def _on_jax(gradient: str, steps: int):
    import jax

    rows, slope = jax.numpy.asarray(_rows()), jax.jit(jax.grad(_loss(gradient, steps)))
    return lambda: slope(rows).block_until_ready()


def _on_torch(gradient: str, steps: int):
    import torch

    rows, loss = torch.asarray(_rows()).requires_grad_(), _loss(gradient, steps)
    return lambda: torch.autograd.grad(loss(rows), rows)


def main() -> None:
    """Print a table of all."""
    print("| library | gradient | " + " | ".join(f"{s} steps" for s in STEPS) + " |")
    print("| --- | --- |" + " --- |" * len(STEPS))
    for backend in ("jax", "torch"):
        for gradient in ("implicit", "unrolled"):
            cells = [_in_a_process(backend, gradient, steps) for steps in STEPS]
            print(f"| {backend} | {gradient} | " + " | ".join(cells) + " |", flush=True)


def _in_a_process(*arguments) -> str:
    command = [sys.executable, "-m", "benchmarks.gradients", *map(str, arguments)]
    reply = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(reply)
    return f"{1000 * found['seconds']:.0f} ms, {found['bytes'] / 2**20:.0f} MiB"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    else:
        main()
