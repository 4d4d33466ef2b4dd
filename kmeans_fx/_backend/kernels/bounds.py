"""Hamerly's bounds from pass to pass, in memory that is taken once: NumPy arrays.

References
----------
.. [1] G. Hamerly, "Making k-means even faster", SDM 2010 (algorithm 1).
"""

from functools import partial
from math import inf

import numpy as np

from kmeans_fx._backend.pool import run_tasks, run_with_help
from kmeans_fx._backend.threads import threads

__all__ = ["REFRESH", "Bounds", "means_ahead", "steps_at_once"]

# Sums are updated by the rows that moved, and made anew so often.
REFRESH = 32
# Calls of a kernel for each thread: every one costs, and few leave threads waiting for the last.
_TASKS = 2
# Numbers that are copied at a time: what stays in a cache.
_COPIED = 1 << 19
# In readings of a row's bounds: work that is done before another thread is awake.
_LITTLE = 300_000
# Products of numbers in a call of compiled code: Python sees an interrupt after some tenth of a
# second. A single pass that has more is cut by Python.
_LONG = 1 << 33


def steps_at_once(products):
    """How many passes of so many products of numbers a call of compiled code may make."""
    return max(1, _LONG // products)


class Bounds:
    """Labels, bounds and sums of the rows x (n, d), which ``mapping`` maps to those of the metric.

    Blocks of ``size`` rows are summed apart, so that the number of threads changes nothing.
    ``kernels`` is the module whose ``update_bounds`` knows what the bounds mean. Where nothing
    is ``bounded``, there are none, and every pass searches for all rows.
    """

    def __init__(self, kernels, x, mapping, weights, origin, k, size, slack, bounded):
        n, d, dtype = x.shape[0], origin.shape[0], origin.dtype
        self.kernels = kernels
        self.centroids = None
        self.x, self.mapping, self.size, self.slack = x, mapping, size, slack
        self.origin = np.ascontiguousarray(origin)
        self.share = np.empty(0, dtype) if weights is None else np.array(weights, dtype)
        self.labels, self.before = np.full(n, -1, np.intp), np.empty(n, np.int32)
        self.turns, self.turn = np.empty(n, np.int32), -1
        kept = n if bounded else 0
        self.upper, self.gap = np.empty(kept, dtype), np.empty(kept, dtype)
        blocks = -(-n // size)
        self.parts, self.weights = np.empty((blocks, k, d)), np.empty((blocks, k))
        self.tally = np.full((blocks, 3), size)  # before the first pass all rows are in question
        self.sums, self.path = np.zeros((k, d)), np.zeros((2, k))

    def update(self, centroids):
        """A pass for centroids (k, d): its sums (k, d), counts (k,), and how many rows moved."""
        self.turn += 1
        anew = self.turn % REFRESH == 0
        packed = self.kernels.pack(centroids)
        drift = self._drift(centroids, packed)
        self.centroids = centroids
        arguments = np.ascontiguousarray(centroids), *packed[:2], drift, anew
        blocks, workers = self.tally.shape[0], self._workers()
        span = max(1, blocks // (_TASKS * workers))
        if self.mapping is not None:  # rows that are mapped are copies
            span = min(span, max(1, _COPIED // (self.size * self.origin.size)))
        starts = range(0, blocks, span)
        workers = min(workers, len(starts))

        def task(first):
            with np.errstate(all="ignore"):  # a thread does not inherit it
                self._blocks(slice(first, min(first + span, blocks)), *arguments)

        if workers == 1:
            for first in starts:
                task(first)
        else:
            run_tasks(task, starts, workers, lambda _: None)
        change = self.parts.sum(axis=0)
        self.sums = change if anew else self.sums + change
        return *self.totals(), self.tally[:, 1].sum()

    def _drift(self, centroids, packed):
        """How far centroids have moved in all, and half the way to the next: (3, k)."""
        if self.gap.shape[0] == 0:  # nobody asks
            return np.zeros((3, len(centroids)), self.origin.dtype)
        drift = self.kernels.drift(centroids, self.centroids, packed, self.slack)
        self.path += drift[:2]
        # Rounded up, so that no way is shorter than it was.
        path = np.nextafter(self.path.astype(self.origin.dtype), np.inf)
        return np.concatenate([path, drift[2:]])

    def totals(self):
        """Sums and counts of the last pass."""
        dtype = self.origin.dtype
        return self.sums.astype(dtype), self.weights.sum(axis=0).astype(dtype)

    def ahead(self, centroids, still, steps):
        """Iterations from the centroids, as long as nothing but means has to be computed.

        They end before one with an empty cluster, or in which no row moves, or centroids by no
        more than ``still`` (squared, in all), after its pass was made; or after so many ``steps``.

        Returns
        -------
        centroids : (k, d)
        counts : (k,), of the last iteration; None if there was none
        made : int
            How many there were.
        moved : int or None
            How many rows did in the pass for the centroids; None if that is still to be made.
        """
        pays = self.labels.shape[0] * centroids.size <= _LONG and self.x.flags.c_contiguous
        if not (pays and self.mapping is None and hasattr(self.kernels, "lead")):
            return means_ahead(self, centroids, still, steps)
        alone = self.gap.shape[0] == 0 and self.tally.shape[0] == 1
        return (self._ahead_alone if alone else self._ahead_in_one)(centroids, still, steps)

    def _ahead_alone(self, centroids, still, steps):
        """`ahead` on this thread, with rows that are transposed once."""
        centroids, counts = np.array(centroids), np.zeros(len(centroids))
        steps = min(steps, steps_at_once(self.labels.size * centroids.size))
        made, moved = self.kernels.lead_alone(self, still, steps, centroids, counts)
        self.centroids = centroids
        self.turn += made + (moved >= 0)
        return self._led(centroids, counts, made, moved)

    def _ahead_in_one(self, centroids, still, steps):
        """`ahead` in few calls of compiled code."""
        kernels, shared = self.kernels, self.kernels.shared_of(self, centroids)
        workers = min(self._workers(), self.tally.shape[0])
        made, moved, calls = 0, -1, 0

        def lead():
            turn, most = self.turn + 1, steps - made
            try:
                return kernels.lead(shared, self.size, self.slack, turn, most, still, _LONG)
            finally:
                kernels.dismiss(shared.board)

        while made < steps and moved < 0:
            assist = partial(kernels.assist, shared, self.size, self.slack, calls)
            more, moved = run_with_help(lead, assist, workers)
            made, calls = made + more, calls + 1
            self.turn += more + (moved >= 0)
        self.centroids = shared.centroids if moved >= 0 else shared.previous
        return self._led(shared.centroids, shared.counts[0], made, moved)

    def _led(self, centroids, counts, made, moved):
        """What `ahead` returns, of what compiled code does."""
        counts = counts.astype(self.origin.dtype) if made else None
        return centroids, counts, made, moved if moved >= 0 else None

    def _workers(self):
        """How many threads a pass is worth, if as many rows fail their bounds as in the last."""
        search = 10 + self.sums.size // 80
        little = self.labels.shape[0] + search * self.tally[:, 0].sum() < _LITTLE
        return 1 if little else max(1, threads())

    def labels_before(self):
        """Those of the pass before the last one, (n,)."""
        return np.where(self.turns == self.turn, self.before, self.labels)

    def _blocks(self, blocks, centroids, packed, bias, drift, anew):
        rows = slice(blocks.start * self.size, blocks.stop * self.size)
        part = self.x[rows] if self.mapping is None else self.mapping(self.x[rows])
        self.kernels.update_bounds(
            part,
            self.size,
            self.origin,
            centroids,
            packed,
            bias,
            self.share[rows],
            self.labels[rows],
            self.before[rows],
            self.turns[rows],
            self.upper[rows],
            self.gap[rows],
            drift,
            self.slack,
            self.turn,
            anew,
            self.parts[blocks],
            self.weights[blocks],
            self.tally[blocks],
        )


def means_ahead(passes, centroids, still, steps):
    """`Bounds.ahead`, with passes that are looked at one by one."""
    counts = None
    for made in range(steps):
        sums, weights, moved = passes.update(centroids)
        if moved == 0 or np.any(weights == 0):
            return centroids, counts, made, moved
        means = sums / weights[:, None]
        if not still < np.sum((means - centroids) ** 2) < inf:
            return centroids, counts, made, moved
        centroids, counts = means, weights
    return centroids, counts, steps, None
