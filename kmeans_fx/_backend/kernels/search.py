"""The search for the nearest centroid: of every row, and of the rows whose bounds fail.

``share`` is empty where there are no weights.
``packed`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Packed`.
"""

from math import inf

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.cpu import sum_rows, weight_of
from kmeans_fx._backend.kernels.registers import broadcast, fma, load, subtract, total, width
from kmeans_fx._backend.kernels.tiles import nearest_of_tile, two_nearest_of_tile

__all__ = ["assign_rows", "bounded_blocks"]

# Rows whose bounds are read before any of them is searched.
_ROWS = 256


@compiled
def assign_rows(x, origin, packed, bias, share, labels, sums, counts):
    """Labels (m, n) of the rows; adds to their sums (m, k, d) and counts (m, k).

    Of every array that is read there may be one for all members.
    """
    n, d = x.shape[1:]
    w = width(x)
    tile, label = np.zeros((d, 3 * w), x.dtype), np.zeros(3 * w, np.int32)
    flat = tile.reshape(tile.size)
    for member in range(labels.shape[0]):
        rows, centre = x[member % x.shape[0]], origin[member % origin.shape[0]]
        own, offset = packed[member % packed.shape[0]], bias[member % bias.shape[0]]
        for start in range(0, n, 3 * w):
            stop = min(n, start + 3 * w)
            for i in range(start, stop):
                for f in range(d):
                    tile[f, i - start] = rows[i, f] - centre[f]
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
    lower,
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
    before any centroid moved, and the way that one has gone in all is added when they are read.

    Parameters
    ----------
    x : (n, d); origin : (d,); centroids : (k, d), relative to the origin
    labels, before, turns : (n,), written over
        The labels, -1 where there are no bounds yet; those before a row moved last, and the
        turn in which it did.
    upper, lower : (n,), written over
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
            lower[here],
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
    lower,
    drift,
    slack,
    turn,
    sums,
    counts,
):
    n, d = x.shape
    searched, moved, held, size = 0, 0, 0, 3 * width(x)
    tile, place = np.zeros((d, size), x.dtype), np.zeros(size, np.int64)
    facts, label = np.zeros((3, size), x.dtype), np.zeros(size, np.int32)
    rows = np.zeros(_ROWS, np.int64)
    for start in range(0, n, _ROWS):
        stop = min(n, start + _ROWS)
        wanted = _unsure(
            x, start, stop, origin, centroids, labels, upper, lower, drift, slack, rows
        )
        searched += wanted
        for h in range(wanted):
            i = rows[h]
            for f in range(d):
                tile[f, held] = x[i, f] - origin[f]
            place[held] = i
            held += 1
            if held == size:
                _settle(tile, held, place, packed, bias, slack, drift, facts, label, upper, lower)
                moved += _move(
                    tile, held, place, label, labels, before, turns, turn, share, sums, counts
                )
                held = 0
    if held:
        _settle(tile, held, place, packed, bias, slack, drift, facts, label, upper, lower)
        moved += _move(tile, held, place, label, labels, before, turns, turn, share, sums, counts)
    return searched, moved


@compiled
def _unsure(x, start, stop, origin, centroids, labels, upper, lower, drift, slack, rows):
    """How many rows may have another nearest centroid; their places are written to ``rows``."""
    more, less = 1 + x.dtype.type(slack), 1 - x.dtype.type(slack)
    wanted, kept = 0, 0
    if labels[start] < 0:
        for i in range(start, stop):
            rows[i - start] = i
        return stop - start
    # No branches: which rows are wanted is hard to foretell.
    for i in range(start, stop):
        rows[wanted] = i
        own = labels[i]
        bar = max(drift[2, own], (lower[i] - drift[1, own]) * less)
        wanted += (upper[i] + drift[0, own]) * more > bar
    for h in range(wanted):
        i = rows[h]
        own = labels[i]
        bar = max(drift[2, own], (lower[i] - drift[1, own]) * less)
        high = _distance(x[i], origin, centroids[own]) * more
        upper[i] = high - drift[0, own] * less
        rows[kept] = i
        kept += high > bar
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
def _settle(tile, held, place, packed, bias, slack, drift, facts, label, upper, lower):
    """The nearest centroids of the rows in the tile, and their bounds."""
    d, size = tile.shape
    low, high, norms = facts[0], facts[1], facts[2]
    two_nearest_of_tile(tile.reshape(tile.size), packed, bias, d, width(tile), label, low, high)
    norms[:] = 0
    for f in range(d):
        for i in range(size):
            norms[i] += tile[f, i] ** 2
    less = 1 - tile.dtype.type(slack)
    # The expanded square is off by a few roundings of the largest of its terms.
    largest, twice = tile.dtype.type(0), tile.dtype.type(2 * slack)
    for j in range(bias.shape[0]):
        largest = bias[j] if largest < bias[j] < inf else largest
    for i in range(held):
        error = twice * (norms[i] + largest)
        own = label[i]
        upper[place[i]] = np.sqrt(max(low[i] + norms[i], 0) + error) - drift[0, own] * less
        lower[place[i]] = np.sqrt(max(high[i] + norms[i] - error, 0)) + drift[1, own] * less


@compiled
def _move(tile, held, place, label, labels, before, turns, turn, share, sums, counts):
    """The rows in the tile get their labels; those that are new leave one sum for another."""
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
            value = weight * tile[f, h]
            sums[own, f] += value
            sums[old, f] -= value
    return moved
