"""Iterations of Lloyd's algorithm on 1, 2 and 4 processes of PyTorch, against the cost model.

``python -m benchmarks.scaling`` prints the table of docs/scaling.md. Each process has one
thread; more processes than cores share the cores.
"""

import os
import subprocess
import sys
import tempfile
import time

N, D, K, ITERATIONS = 1_000_000, 16, 100, 10


def child(rank, size, path):
    """Time iterations and all-reduces; rank 0 prints milliseconds."""
    import torch
    import torch.distributed as dist

    from kmeans_fx import lloyd
    from kmeans_fx.distributed.torch import AllReduce

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=size)
    x = torch.randn((N // size, D), generator=torch.Generator().manual_seed(rank))
    start = x[:K].clone()

    def fit(iterations):
        dist.barrier()
        began = time.perf_counter()
        lloyd(x, start, max_iter=iterations, tol=0, empty="keep", reduce=AllReduce())
        return time.perf_counter() - began

    fit(1)
    many, one = (min(fit(count) for _ in range(5)) for count in (1 + ITERATIONS, 1))
    iteration = (many - one) / ITERATIONS
    buffer = torch.zeros(K * (D + 1) + 1)
    dist.barrier()
    began = time.perf_counter()
    for _ in range(200):
        dist.all_reduce(buffer)
    reduction = (time.perf_counter() - began) / 200
    if rank == 0:
        print(1e3 * iteration, 1e3 * reduction)
    dist.destroy_process_group()


def measure(size):
    """Milliseconds of an iteration and of an all-reduce on so many processes."""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.scaling"]
        children = [
            subprocess.Popen(
                [*command, str(rank), str(size), f"{folder}/store"],
                stdout=subprocess.PIPE,
                env=one_thread,
            )
            for rank in range(size)
        ]
        outputs = [process.communicate()[0] for process in children]
    return [float(number) for number in outputs[0].split()]


def main():
    """The table: what the model says from one process and an all-reduce, and what is."""
    cores = os.cpu_count()
    print(f"{N} x {D}, k = {K}, {cores} cores: milliseconds of an iteration")
    print("processes  all-reduce  model  measured")
    alone, _ = measure(1)
    for size in (1, 2, 4):
        measured, reduction = (alone, 0.0) if size == 1 else measure(size)
        model = alone / min(size, cores) + reduction
        print(f"{size:9d}  {reduction:10.3f}  {model:5.1f}  {measured:8.1f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        main()
