"""What is measured of a contender: an iteration, a seeding, or a fit to an inertia."""

import time

from .contenders import CONTENDERS
from .peaks import wait
from .seedings import SEEDINGS
from .workloads import SEED, WORKLOADS

SHORT, LONG = 2, 7
STEPS = 5, 10, 20, 40, 80  # of fits, of which the first that is good enough counts
SAMPLE = 20_000  # rows by which a result is judged


def iteration(run, x, start, device):
    """Seconds per iteration, and how far the result is from float64.

    The time is the slope between a short and a longer run, so that what a call costs once does
    not count.
    """
    short, _ = _timed(device, run, x, start, SHORT)
    long, result = _timed(device, run, x, start, LONG)
    return {"seconds": (long - short) / (LONG - SHORT), **judge(x, *result)}


def seeding(run, x, start, device):
    """Seconds of a call, the least of three; mean inertia over all of them."""
    k, times, inertias = start.shape[0], [], []
    for turn in range(3):
        seconds, centroids = _timed(device, run, x, k, SEED + turn)
        times.append(seconds)
        inertias.append(judge(x, centroids, None)["inertia"])
    return {"seconds": min(times), "inertia": sum(inertias) / len(inertias)}


def fit(run, x, start, device):
    """Steps, seconds and inertia of ever longer fits, everything that a call costs included."""
    path = []
    for steps in STEPS:
        seconds, result = _timed(device, run, x, start, steps)
        path.append((steps, seconds, judge(x, *result)["inertia"]))
    return {"path": path}


# The measure of every task, and the functions of those that take part, with their modules.
TASKS = {
    "iteration": (iteration, CONTENDERS),
    "seeding": (seeding, SEEDINGS),
    "fit": (fit, CONTENDERS),
}


def workloads_of(name):
    """What a contender takes part in."""
    return [workload for workload in WORKLOADS if name in TASKS[workload.task][1]]


def _timed(device, run, *arguments):
    """Seconds and result of a second call: the first one may compile."""
    run(*arguments)
    wait(device)
    begin = time.perf_counter()
    result = run(*arguments)
    wait(device)
    return time.perf_counter() - begin, result


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
