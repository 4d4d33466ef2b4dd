"""Which rows may have another nearest centroid than before, by their bounds."""

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.lanes import LANES, fetch_columns, load, splat
from kmeans_fx._backend.kernels.registers import fma, subtract, total

__all__ = ["measures_first", "spares_enough", "unsure"]

# Numbers of centroids from which on a search may cost more than to know a row's own distance first.
# That costs as much as so many centroids do: where it spares too few rows, it is tried in every
# eighth turn.
_DEAR, _CENTROIDS, _OFTEN = 8192, 32, 8
# Rows that are on their way to the cache.
_AHEAD = 4


@compiled
def measures_first(centroids, turn, spared):
    """Whether own distances are measured; ``spared`` tells if the last time it was worth it."""
    dear = centroids.size >= _DEAR
    return dear and (spared or turn % _OFTEN == 0)


@compiled
def spares_enough(measured, searched, k):
    """Whether it was worth it to measure own distances, of which so many were searched still."""
    return (measured - searched) * k >= measured * _CENTROIDS


@compiled
def unsure(
    rows, fails, x, start, stop, origin, centroids, labels, upper, gap, way, drift, slack, measure
):
    """How many rows may have another nearest centroid; their places are written to ``rows``.

    And how many there would be by bounds alone, without a row's own distance, which is looked at
    where it is to be (``measure``).

    Parameters
    ----------
    rows, fails : (stop - start,) or more, written over
    way : (k,)
        How far the centroid and the farthest moved other one have gone, rounded up.

    The others are those of `kmeans_fx._backend.kernels.search.bounded_blocks`.
    """
    more, less = 1 + x.dtype.type(slack), 1 - x.dtype.type(slack)
    wanted, near, kept = 0, 0, 0
    if labels[start] < 0 or gap.shape[0] == 0:
        for i in range(start, stop):
            rows[i - start] = i
        return stop - start, stop - start
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
    if not measure:
        return near, near
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
    return kept, near


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
