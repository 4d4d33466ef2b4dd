"""The process of one contender: a line of JSON for every workload, as soon as it is measured.

``python -m benchmarks.gpu.worker NAME DEVICE QUICK``
"""

import json
import sys
import time
import warnings

from .contenders import CONTENDERS
from .peaks import wait
from .workloads import WORKLOADS

SHORT, LONG = 2, 7
SAMPLE = 20_000  # rows by which a result is judged


def measure(run, x, start, device):
    """Seconds per iteration, and how far the result is from float64.

    The time is the slope between a short and a longer run, so that what a call costs once does
    not count. The first short run compiles.
    """
    run(x, start, SHORT)
    times = []
    for steps in (SHORT, LONG):
        wait(device)
        begin = time.perf_counter()
        result = run(x, start, steps)
        wait(device)
        times.append(time.perf_counter() - begin)
    seconds = (times[1] - times[0]) / (LONG - SHORT)
    return {"seconds": seconds, **judge(x, *result)}


def judge(x, centroids, labels):
    """Judge rows of the first problem in float64: mean inertia, share of labels not nearest."""
    import torch

    if x.ndim == 3:
        x, centroids, labels = x[0], centroids[0], None if labels is None else labels[0]
    step = max(1, x.shape[0] // SAMPLE)
    rows, centroids = x[::step].double(), centroids.double()
    nearest = torch.cat([_squares(part, centroids).min(1).values for part in rows.split(1024)])
    told = {"inertia": float(nearest.mean())}
    if labels is not None:
        own = ((rows - centroids[labels[::step].long()]) ** 2).sum(1)
        told["wrong"] = float((own > nearest * (1 + 1e-6) + 1e-12).double().mean())
    return told


def _squares(rows, centroids):
    scores = (centroids**2).sum(1) - 2 * rows @ centroids.T
    return scores + (rows**2).sum(1, keepdim=True)


def main(name, device, quick):
    """Measure one contender on all workloads."""
    warnings.simplefilter("ignore")
    run, _ = CONTENDERS[name]
    for workload in WORKLOADS:
        line = {"workload": workload.name}
        try:
            size = workload.small() if quick else workload
            line |= measure(run, *size.make(device), device)
        except Exception as error:  # noqa: BLE001, the table says who could not, and why
            line["reason"] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "quick")
