"""Which rows may have another nearest centroid than before, by their bounds."""

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.lanes import LANES, fetch_columns, load, splat
from kmeans_fx._backend.kernels.registers import fma, subtract, total

__all__ = ["unsure"]

# Numbers of centroids from which on a search costs more than to know a row's own distance first.
_DEAR = 8192
# Rows that are on their way to the cache.
_AHEAD = 4


@compiled
def unsure(rows, fails, x, start, stop, origin, centroids, labels, upper, gap, way, drift, slack):
    """How many rows may have another nearest centroid; their places are written to ``rows``.

    Parameters
    ----------
    rows, fails : (stop - start,) or more, written over
    way : (k,)
        How far the centroid and the farthest moved other one have gone, rounded up.

    The others are those of `kmeans_fx._backend.kernels.search.bounded_blocks`.
    """
    more, less = 1 + x.dtype.type(slack), 1 - x.dtype.type(slack)
    wanted, near, kept, (k, d) = 0, 0, 0, centroids.shape
    if labels[start] < 0 or gap.shape[0] == 0:
        for i in range(start, stop):
            rows[i - start] = i
        return stop - start
    # No branches: which rows are wanted is hard to foretell.
    for h in range(stop - start):
        fails[h] = not gap[start + h] >= way[np.uintp(labels[start + h])]
    for h in range(stop - start):
        rows[wanted] = start + h
        wanted += fails[h]
    for h in range(wanted):
        i = rows[h]
        own = np.uintp(labels[i])
        rows[near] = i
        near += not (upper[i] + drift[0, own]) * more <= drift[2, own]
    if k * d < _DEAR:
        return near
    for h in range(near):
        i = rows[h]
        own = labels[i]
        fetch_columns(x, rows[min(h + _AHEAD, near - 1)], 0, x.shape[1])
        lower = gap[i] + upper[i]
        high = _distance(x[i], origin, centroids[own]) * more
        upper[i] = high - drift[0, own] * less
        gap[i] = lower - upper[i] - x.dtype.type(slack) * abs(lower)
        rows[kept] = i
        kept += not high <= max(drift[2, own], (lower - drift[1, own]) * less)
    return kept


@compiled
def _distance(row, origin, centroid):
    """Of a row, less the origin, to a centroid. LLVM's own loop is for longer rows."""
    whole = row.shape[0] // LANES * LANES
    squares = splat(row.dtype.type(0))
    for f in range(0, whole, LANES):
        gap = subtract(subtract(load(row, f), load(origin, f)), load(centroid, f))
        squares = fma(gap, gap, squares)
    square = total(squares)
    for f in range(whole, row.shape[0]):
        square += (row[f] - origin[f] - centroid[f]) ** 2
    return np.sqrt(square)
