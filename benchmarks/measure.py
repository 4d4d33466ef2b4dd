"""Interleaved timing of contenders on one workload."""

import math
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import memory
from .contenders import Contender, missing
from .data import Workload
from .process import Worker, WorkerError
from .quality import inertia

MEMORY_SHARE = 0.5  # of the machine's; a contender that needs more is skipped by name
MORE, LONGEST = 0.05, 2.0  # of the planned iterations: added at a time, and the most in all


@dataclass(frozen=True)
class Plan:
    """What is timed: the calls of one repeat, and how their replies become seconds.

    Attributes
    ----------
    task : str
        The method of the contender that is called.
    calls : callable
        The number of the repeat -> the options of each call in it.
    seconds : callable
        The replies of one repeat -> its figure in seconds.
    same_start : bool
        Every contender must begin from the given centroids.
    inertia_within : float or None
        A final inertia that differs from the reference's by more than this share voids the ratio.
    goal : float or None
        A contender whose first result is above this by more than that share makes more iterations.
    ruler : callable
        ``(x, result) -> float``: what results are judged by in place of the inertia.
    mapped : bool
        The contenders get the rows as a memory-mapped file, whose pages are not weighed.
    judged : int
        Results are judged by every so many-th row.
    reference : str or None
        The contender that ratios are to, where it is not that of the settings.
    """

    task: str
    calls: Callable[[int], list[dict]]
    seconds: Callable[[list[dict]], float] = lambda replies: replies[-1]["seconds"]
    same_start: bool = False
    inertia_within: float | None = None
    goal: float | None = None
    ruler: Callable[[np.ndarray, np.ndarray], float] = inertia
    mapped: bool = False
    judged: int = 1
    reference: str | None = None


@dataclass(frozen=True)
class Settings:
    """One set of rules for all contenders."""

    threads: int
    repeats: int
    timeout: float
    dtype: str = "float32"
    reference: str = "scikit-learn"


@dataclass
class Entry:
    """One contender's figures on one workload."""

    contender: Contender
    worker: Worker
    calls: Callable[[int], list[dict]] = lambda repeat: []
    first: float = math.nan
    extra: dict[str, int | None] = field(default_factory=dict)
    n_iter: int | None = None
    times: list[float] = field(default_factory=list)
    saved: list[Path] = field(default_factory=list)
    inertias: list[float] = field(default_factory=list)


def compare(workload: Workload, planner: Callable, contenders: list, settings: Settings):
    """Time the contenders in turn on one workload, as ``planner(x, start)`` says.

    Returns
    -------
    rows : list of dict
        One for each contender that ran to the end.
    skipped : list of dict
        The name of each other one, and why.
    """
    x, start = workload.make(settings.dtype)
    plan = planner(x, start)
    skipped: list[dict] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.save(folder / "x.npy", x)
        np.save(folder / "start.npy", start)

        def attempt(contender, action, *arguments):
            try:
                return action(*arguments)
            except WorkerError as error:
                skipped.append({"contender": contender.name, "reason": str(error)})
                return None

        entries = []
        for contender in contenders:
            arguments = contender, plan, x, start, folder, settings, stack
            entries.append(attempt(contender, _begin, *arguments))
        entries = [entry for entry in entries if entry]
        for repeat in range(settings.repeats):
            done = [attempt(e.contender, _repeat, e, plan, repeat, folder) for e in entries]
            entries = [e for e, ok in zip(entries, done, strict=True) if ok]
        weigh = plan, folder, settings
        entries = [e for e in entries if attempt(e.contender, _finish, e, *weigh)]
        for entry in entries:
            judged = x[:: plan.judged]
            entry.inertias = [plan.ruler(judged, np.load(path)) for path in entry.saved]
    return [_row(e, entries, plan, x, workload, settings) for e in entries], skipped


def _begin(contender, plan, x, start, folder, settings, stack):
    """Start a worker, load the data, and make the first calls, which compile what there is to."""
    if reason := _unfit(contender, plan, x, start):
        raise WorkerError(reason)
    worker = _start(contender, plan, folder, settings, stack)
    entry = Entry(contender, worker, plan.calls)
    for options in plan.calls(0):
        entry.first = worker.run(plan.task, options)["seconds"]
    if plan.goal is not None:
        last = _last_to_reach(plan, worker, x, folder / "first.npy")
        entry.calls = lambda repeat: [*plan.calls(repeat)[:-1], last]
    return entry


def _last_to_reach(plan, worker, x, path) -> dict:
    """Return the last call of a plan, with as many iterations as this contender needs."""
    last = plan.calls(0)[-1]
    planned = last["max_iter"]
    enough = plan.goal * (1.0 + _tolerance(plan, x))
    while last["max_iter"] < LONGEST * planned:
        worker.ask("save", path=str(path))
        if plan.ruler(x, np.load(path)) <= enough:
            break
        last = last | {"max_iter": last["max_iter"] + math.ceil(MORE * planned)}
        worker.run(plan.task, last)
    return last


def _start(contender, plan, folder, settings, stack) -> Worker:
    worker = Worker(settings.threads, settings.timeout)
    stack.callback(worker.stop)
    paths = {"x": str(folder / "x.npy"), "start": str(folder / "start.npy")}
    worker.ask("setup", contender=contender.name, mapped=plan.mapped, **paths)
    return worker


def _unfit(contender, plan, x, start) -> str | None:
    """Say why a contender cannot take part, before anything is started."""
    if absent := missing(contender):
        return f"not installed: {', '.join(absent)}"
    if not contender.offers(plan.task):
        return f"has no form of {plan.task!r}"
    if plan.same_start and contender.own_start:
        return "cannot start from given centroids"
    if x.ndim > 2 and not contender.batched:
        return "takes one problem at a time"
    if x.dtype == np.float64 and "float64" not in contender.dtypes:
        return "computes in float32 at most"
    size = math.prod(x.shape[:-1]), x.shape[-1], start.shape[-2]
    needed = contender.needs(*size)
    if needed > MEMORY_SHARE * memory.total():
        return f"needs about {needed / 2**30:.0f} GiB beyond the data"
    return None


def _repeat(entry, plan, repeat, folder) -> bool:
    replies = [entry.worker.run(plan.task, options) for options in entry.calls(repeat)]
    entry.times.append(plan.seconds(replies))
    entry.n_iter = replies[-1]["n_iter"]
    # The last call of a repeat is the one whose result is judged, after all timing is over.
    path = folder / f"{entry.contender.name}-{repeat}.npy"
    entry.worker.ask("save", path=str(path))
    entry.saved.append(path)
    return True


def _finish(entry, plan, folder, settings) -> bool:
    """Reject figures that are no time, then weigh one run in a process of its own."""
    entry.worker.stop()
    if not statistics.median(entry.times) > 0.0:
        raise WorkerError("runs too short: the difference of two is lost in the noise")
    with ExitStack() as stack:
        worker = _start(entry.contender, plan, folder, settings, stack)
        entry.extra = worker.ask("weigh", task=plan.task, options=entry.calls(0)[-1])
    return True


def _row(entry, entries, plan, x, workload, settings) -> dict:
    name = plan.reference or settings.reference
    reference = next((e for e in entries if e.contender.name == name), None)
    quality = statistics.fmean(entry.inertias)
    row = {
        "shape": list(x.shape),
        "k": workload.k,
        "contender": entry.contender.name,
        "median": statistics.median(entry.times),
        "min": min(entry.times),
        "max": max(entry.times),
        "first": entry.first,
        "extra_bytes": entry.extra.get("second"),
        "extra_bytes_of_first_call": entry.extra.get("first"),
        "n_iter": entry.n_iter,
        "inertia": quality,
        "own_start": entry.contender.own_start and plan.task in ("lloyd", "iterate"),
    }
    if reference is None:
        return row
    row["speedup"] = statistics.median(reference.times) / row["median"]
    row["inertia_ratio"] = quality / statistics.fmean(reference.inertias)
    limit = math.inf if row["own_start"] else _tolerance(plan, x)
    row["void"] = not abs(row["inertia_ratio"] - 1.0) <= limit  # a NaN is void as well
    return row


def _tolerance(plan, x) -> float:
    """Return the share by which inertias may differ, of centroids no more exact than the dtype."""
    if plan.inertia_within is None:
        return math.inf
    return max(plan.inertia_within, float(np.finfo(x.dtype).eps))
