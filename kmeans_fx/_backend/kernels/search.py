"""The search for the nearest centroid: of every row, and of the rows whose bounds fail.

``share`` is empty where there are no weights.
``packed`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Packed`.
"""

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.cpu import sum_rows, weight_of
from kmeans_fx._backend.kernels.registers import broadcast, fma, load, subtract, total, width
from kmeans_fx._backend.kernels.tiles import (
    bounds_of_tile,
    largest_square,
    nearest_of_tile,
    two_nearest_of_tile,
)
from kmeans_fx._backend.kernels.transpose import fill_tile

__all__ = ["assign_rows", "bounded_blocks"]

# Rows whose bounds are read before any of them is searched.
_ROWS = 256
# Numbers of centroids from which on a search costs more than to know a row's own distance first.
_DEAR = 8192


@compiled
def assign_rows(x, origin, packed, bias, share, labels, sums, counts):
    """Labels (m, n) of the rows; adds to their sums (m, k, d) and counts (m, k).

    Of every array that is read there may be one for all members.
    """
    n, d = x.shape[1:]
    w = width(x)
    tile, label = np.zeros((d, 3 * w), x.dtype), np.zeros(3 * w, np.int32)
    flat, place = tile.reshape(tile.size), np.zeros(3 * w, np.int64)
    for member in range(labels.shape[0]):
        rows, centre = x[member % x.shape[0]], origin[member % origin.shape[0]]
        own, offset = packed[member % packed.shape[0]], bias[member % bias.shape[0]]
        for start in range(0, n, 3 * w):
            stop = min(n, start + 3 * w)
            for i in range(start, stop):
                place[i - start] = i
            fill_tile(rows, centre, place, stop - start, tile)
            nearest_of_tile(flat, own, offset, d, w, label)
            for i in range(start, stop):
                labels[member, i] = label[i - start]
        sum_rows(
            rows,
            centre,
            labels[member],
            share[member % share.shape[0]],
            sums[member],
            counts[member],
        )


@compiled
def bounded_blocks(
    x,
    size,
    origin,
    centroids,
    packed,
    bias,
    share,
    labels,
    before,
    turns,
    upper,
    gap,
    drift,
    slack,
    turn,
    anew,
    sums,
    counts,
    tally,
):
    """Hamerly's pass over blocks of ``size`` rows: labels and bounds are brought up to date.

    Nothing is written for a row that its bounds keep. They are kept as they would have been
    before any centroid moved. So a row is kept while the gap between them is at least the way
    that its own centroid and the farthest moved other one have gone in all.

    Parameters
    ----------
    x : (n, d); origin : (d,); centroids : (k, d), relative to the origin
    labels, before, turns : (n,), written over
        The labels, -1 where there are no bounds yet; those before a row moved last, and the
        turn in which it did.
    upper, gap : (n,), written over
        The upper bound, and how far the lower one is above it. Empty: all rows are searched.
    drift : (3, k)
        How far the centroid has moved in all, how far any other, and half the way to the next.
    slack : float
        Relative error of a distance.
    anew : bool
        Whether all rows are summed, or only what those that moved add and take away.
    sums : (b, k, d), written over; counts : (b, k), those of the last pass, brought up to date
        Of each block: the sums, and the weights of all rows.
    tally : (b, 2), written over
        How many rows were held against all centroids, and how many moved.
    """
    sums[:] = 0
    for b in range(sums.shape[0]):
        here = slice(b * size, min(x.shape[0], (b + 1) * size))
        tally[b, 0], tally[b, 1] = _bounded_rows(
            x[here],
            origin,
            centroids,
            packed,
            bias,
            share[here],
            labels[here],
            before[here],
            turns[here],
            upper[here],
            gap[here],
            drift,
            slack,
            turn,
            sums[b],
            counts[b],
        )
        if anew:
            sums[b], counts[b] = 0, 0
            sum_rows(x[here], origin, labels[here], share[here], sums[b], counts[b])
        elif share.shape[0]:
            _weigh(labels[here], share[here], counts[b])


@compiled
def _weigh(labels, share, counts):
    """The weight of every cluster: what subtraction leaves of one is never quite nothing."""
    counts[:] = 0
    for i in range(labels.shape[0]):
        counts[labels[i]] += share[i]


@compiled
def _bounded_rows(
    x,
    origin,
    centroids,
    packed,
    bias,
    share,
    labels,
    before,
    turns,
    upper,
    gap,
    drift,
    slack,
    turn,
    sums,
    counts,
):
    n, d = x.shape
    searched, moved, held, size = 0, 0, 0, 3 * width(x)
    tile, place = np.zeros((d, size), x.dtype), np.zeros(size, np.int64)
    facts, label = np.zeros((2, size), x.dtype), np.zeros(size, np.int32)
    largest, way = largest_square(bias), np.empty(centroids.shape[0], x.dtype)
    for j in range(centroids.shape[0]):
        way[j] = (drift[0, j] + drift[1, j]) * (1 + x.dtype.type(slack))
    rows = np.zeros(_ROWS, np.int64)
    for start in range(0, n, _ROWS):
        stop = min(n, start + _ROWS)
        wanted = _unsure(
            x, start, stop, origin, centroids, labels, upper, gap, drift, way, slack, rows
        )
        searched += wanted
        # One turn more after the last row, for what is held.
        for h in range(wanted + (stop == n)):
            if h < wanted:
                place[held] = rows[h]
                held += 1
            if held == size or (h == wanted and held > 0):
                _settle(
                    x,
                    origin,
                    tile,
                    held,
                    place,
                    packed,
                    bias,
                    largest,
                    slack,
                    drift,
                    facts,
                    label,
                    upper,
                    gap,
                )
                moved += _move(
                    x, origin, held, place, label, labels, before, turns, turn, share, sums, counts
                )
                held = 0
    return searched, moved


@compiled
def _unsure(x, start, stop, origin, centroids, labels, upper, gap, drift, way, slack, rows):
    """How many rows may have another nearest centroid; their places are written to ``rows``."""
    more, less = 1 + x.dtype.type(slack), 1 - x.dtype.type(slack)
    wanted, near, kept, (k, d) = 0, 0, 0, centroids.shape
    if labels[start] < 0 or gap.shape[0] == 0:
        for i in range(start, stop):
            rows[i - start] = i
        return stop - start
    # No branches: which rows are wanted is hard to foretell.
    fails = np.empty(_ROWS, np.uint8)
    for h in range(stop - start):
        fails[h] = not gap[start + h] >= way[np.uintp(labels[start + h])]
    for h in range(stop - start):
        rows[wanted] = start + h
        wanted += fails[h]
    for h in range(wanted):
        i = rows[h]
        own = labels[i]
        rows[near] = i
        near += not (upper[i] + drift[0, own]) * more <= drift[2, own]
    if k * d < _DEAR:
        return near
    for h in range(near):
        i = rows[h]
        own = labels[i]
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
    w = width(row)
    whole = row.shape[0] // w * w
    squares = broadcast(row.dtype.type(0), row)
    for f in range(0, whole, w):
        gap = subtract(subtract(load(row, f), load(origin, f)), load(centroid, f))
        squares = fma(gap, gap, squares)
    square = total(squares)
    for f in range(whole, row.shape[0]):
        square += (row[f] - origin[f] - centroid[f]) ** 2
    return np.sqrt(square)


@compiled
def _settle(
    x, origin, tile, held, place, packed, bias, largest, slack, drift, facts, label, upper, gap
):
    """The nearest centroids of the rows in ``place``, and their bounds."""
    fill_tile(x, origin, place, held, tile)
    low, high, flat = facts[0], facts[1], tile.reshape(tile.size)
    if gap.shape[0] == 0:
        nearest_of_tile(flat, packed, bias, tile.shape[0], width(tile), label)
        return
    two_nearest_of_tile(flat, packed, bias, tile.shape[0], width(tile), label, low, high)
    bounds_of_tile(flat, tile.shape[0], width(tile), largest, slack, low, high)
    less = 1 - tile.dtype.type(slack)
    for h in range(held):
        i, own = place[h], label[h]
        upper[i] = low[h] - drift[0, own] * less
        gap[i] = high[h] - low[h] + (drift[0, own] + drift[1, own]) * less


@compiled
def _move(x, origin, held, place, label, labels, before, turns, turn, share, sums, counts):
    """The rows in ``place`` get their labels; those that are new leave one sum for another."""
    moved = 0
    for h in range(held):
        i, own = place[h], label[h]
        old, weight = labels[i], weight_of(share, i)
        if own == old:
            continue
        labels[i], before[i], turns[i] = own, old, turn
        moved += 1
        if old < 0:
            continue  # The first pass sums all rows at its end.
        counts[own] += weight
        counts[old] -= weight
        for f in range(sums.shape[1]):
            value = weight * (x[i, f] - origin[f])
            sums[own, f] += value
            sums[old, f] -= value
    return moved
