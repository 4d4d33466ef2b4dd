"""Lloyd's assignment with less work: rows that provably keep their cluster are skipped.

The same partition as the plain pass, to rounding. For eager backends: the rows whose
bounds fail are taken out and only they are held against all centroids.

References
----------
.. [1] G. Hamerly, "Making k-means even faster", SDM 2010 (algorithm 1).
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.drift import drift, relative_error
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import score_table, squared_norms
from kmeans_fx._backend.segment import segment_counts, segment_stats
from kmeans_fx._partition import Partition, map_rows, partition
from kmeans_fx.update import ClusterStats

__all__ = ["PATIENCE", "BoundedPartition", "Search"]

# Sums are updated by the rows that moved, and made anew so often.
_REFRESH = 16
# Plain passes before the first bounds: early on the centroids move too far to prune.
PATIENCE = 3
# Bounds pay while they leave fewer rows than this share to the full search.
_WORTH = 0.5


class _Memory(NamedTuple):
    """Of the last pass: labels, bounds, statistics, and the centroids they are for."""

    labels: Any
    upper: Any
    lower: Any
    stats: ClusterStats
    centroids: Any
    age: int


class BoundedPartition:
    """A partition that remembers bounds from pass to pass, while they pay.

    ``upper`` (n,) is at least a row's distance to its own centroid, and ``lower`` (n,)
    at most that to any other. A row with ``upper <= max(lower, half the distance from
    its centroid to the next one)`` cannot change cluster.
    """

    def __init__(self, *, always=False, patience=0):
        self.always = always
        self.memory: _Memory | None = None
        self.wait = patience
        self.pause = PATIENCE

    def __call__(self, x, centroids, weights, space, *, dropped=None, stats=True, distances=False):
        """As `partition`."""
        if self.wait > 0 or dropped is not None or distances:
            self.wait -= 1
            self.memory = None
            options = {"dropped": dropped, "stats": stats, "distances": distances}
            return partition(x, centroids, weights, space, **options)
        old = self.memory
        memory, searched = _bounded_pass(x, centroids, weights, space, old)
        self.memory = memory
        if not self.always and old is not None and searched > _WORTH:
            # Nothing much is pruned: plain passes for a while, each time a longer while.
            self.pause *= 2
            self.wait = self.pause
        return Partition(memory.labels, memory.stats, None)


def _bounded_pass(x, centroids, weights, space, old):
    """The next memory, and the share of rows that needed a full search."""
    search = Search(centroids, space)
    age = 0 if old is None else (old.age + 1) % _REFRESH
    bounds, searched = _plain_pass(x, search, old)
    stats = _statistics(x, bounds[0], weights, search, old if age else None)
    labels, upper, lower = bounds
    memory = _Memory(labels, upper, lower, stats, centroids, age)
    return memory, float(searched) / x.shape[0]


def _plain_pass(x, search, old):
    """Labels and bounds (n,), and the number of rows that were searched."""
    rows = (x,) if old is None else (x, old.labels, old.upper, old.lower)
    block = search.everything if old is None else search.where_bounds_fail(old)
    columns = search.centroids.shape[0] + 3 * x.shape[1]
    bounds, (searched,) = map_rows(block, rows, search.centroids, columns, search.space.chunk_size)
    return bounds, searched


class Search:
    """What one pass needs to know of the centroids, and its block functions.

    Each of them gives labels, upper and lower bounds.
    """

    def __init__(self, centroids, space):
        self.xp = array_namespace(centroids=centroids)
        self.error = relative_error(centroids)
        self.centroids, self.space = centroids, space
        self.table = score_table(centroids)
        self.largest = self.xp.max(self.table[1])

    def everything(self, part):
        """All rows, in full."""
        labels, upper, lower = self._two_nearest(self.space.rows(part))
        return (labels, upper, lower), (self._count(labels.shape[0], part),)

    def where_bounds_fail(self, old):
        """The rows that may have changed cluster since ``old``."""
        xp = self.xp
        moved, reach, half = drift(self.centroids, old.centroids, self.error)

        def block(part, labels, upper, lower):
            upper = (upper + moved[labels]) * (1 + self.error)
            lower = (lower - reach[labels]) * (1 - self.error)
            bar = xp.maximum(half[labels], lower)
            (index,) = xp.nonzero(upper > bar)
            rows = self.space.rows(part[index])
            own = xp.sqrt(squared_norms(rows - self.centroids[labels[index]])) * (1 + self.error)
            upper[index] = own
            (still,) = xp.nonzero(own > bar[index])
            index, rows = index[still], rows[still]
            if index.shape[0] == 0:
                return (labels, upper, lower), (self._count(0, part),)
            labels = labels + 0  # a copy: those of the last pass are still needed
            labels[index], upper[index], lower[index] = self._two_nearest(rows)
            return (labels, upper, lower), (self._count(index.shape[0], part),)

        return block

    def _count(self, value, part):
        return self.xp.asarray(value, dtype=self.centroids.dtype, device=device(part))

    def _two_nearest(self, rows):
        """Labels, the distance to the nearest centroid, and a bound on that to the next."""
        xp = self.xp
        operand, bias = self.table
        scores = xp.matmul(rows, operand) + bias
        labels = xp.argmin(scores, axis=1)
        place = xp.arange(rows.shape[0], device=device(rows))
        scores[place, labels] = xp.inf
        norms = squared_norms(rows)
        # The expanded square is off by a few roundings of the largest of its terms.
        error = 2 * self.error * (norms + self.largest)
        lower = xp.sqrt(xp.clip(xp.min(scores, axis=1) + norms - error, 0, None))
        upper = xp.sqrt(squared_norms(rows - self.centroids[labels])) * (1 + self.error)
        return labels, upper, lower


def _statistics(x, labels, weights, search, old):
    """Sums and counts by label: those of ``old`` with the rows that moved, or all anew."""
    xp, space, k = search.xp, search.space, search.centroids.shape[0]

    def added(part, own, share):
        return (), segment_stats(space.rows(part), own, k, share)

    def total(part, own, share):
        rows = (part, own, share)
        return map_rows(added, rows, x[:1, :], 3 * x.shape[1], space.chunk_size)[1]

    index = None if old is None else xp.nonzero(labels != old.labels)[0]
    if index is None or 2 * index.shape[0] > x.shape[0]:
        sums, counts = total(x, labels, weights)
        return ClusterStats(sums, counts, xp.zeros_like(counts[0]))
    if index.shape[0] == 0:
        return old.stats
    part, share = x[index], None if weights is None else weights[index]
    gain, _ = total(part, labels[index], share)
    loss, _ = total(part, old.labels[index], share)
    # Counts anew: what is left of a cluster by subtraction would never be quite empty.
    counts = segment_counts(labels, k, weights, like=gain)
    return ClusterStats(old.stats.sums + gain - loss, counts, old.stats.inertia)
