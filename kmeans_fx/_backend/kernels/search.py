"""The search for the nearest centroid: of every row, and of the rows whose bounds fail.

``share`` is empty where there are no weights.
``packed`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Packed`.
"""

from math import inf

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.cpu import sum_rows, weight_of
from kmeans_fx._backend.kernels.registers import width
from kmeans_fx._backend.kernels.tiles import nearest_of_tile, two_nearest_of_tile

__all__ = ["assign_rows", "bounded_rows"]


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
def bounded_rows(
    x, origin, centroids, packed, bias, share, labels, upper, lower, drift, slack, sums, counts
):
    """Hamerly's pass: ``labels`` and bounds of the last pass are brought up to date.

    Parameters
    ----------
    x : (n, d); origin : (d,); centroids : (k, d), relative to the origin
    labels, upper, lower : (n,), written over; a label of -1 has no bounds yet
    drift : (3, k)
        How far the centroid moved, how far any other, and half the way to the next.
    slack : float
        Relative error of a distance.
    sums : (k, d), added to: the rows that came to the cluster less those that left
    counts : (k,), added to: all rows of the cluster

    Returns
    -------
    int
        How many rows were held against all centroids.
    """
    n, d = x.shape
    more, less = 1 + x.dtype.type(slack), 1 - x.dtype.type(slack)
    held, searched, size = 0, 0, 3 * width(x)
    tile, place = np.zeros((d, size), x.dtype), np.zeros(size, np.int64)
    facts, label = np.zeros((3, size), x.dtype), np.zeros(size, np.int32)
    row = np.zeros(d, x.dtype)
    for i in range(n):
        own = labels[i]
        if own >= 0:
            high, low = (upper[i] + drift[0, own]) * more, (lower[i] - drift[1, own]) * less
            bar = max(drift[2, own], low)
            if high > bar:
                high = _distance(x[i], origin, centroids[own]) * more
            upper[i], lower[i] = high, low
            if high <= bar:
                counts[own] += weight_of(share, i)
                continue
        for f in range(d):
            row[f] = x[i, f] - origin[f]
        for f in range(d):
            tile[f, held] = row[f]
        place[held] = i
        held += 1
        if held == size:
            _settle(tile, held, place, packed, bias, slack, facts, label, upper, lower)
            _move(tile, held, place, label, labels, share, sums, counts)
            searched += held
            held = 0
    if held:
        _settle(tile, held, place, packed, bias, slack, facts, label, upper, lower)
        _move(tile, held, place, label, labels, share, sums, counts)
    return searched + held


@compiled
def _distance(row, origin, centroid):
    square = row.dtype.type(0)
    for f in range(row.shape[0]):
        square += (row[f] - origin[f] - centroid[f]) ** 2
    return np.sqrt(square)


@compiled
def _settle(tile, held, place, packed, bias, slack, facts, label, upper, lower):
    """The nearest centroids of the rows in the tile, and their bounds."""
    d, size = tile.shape
    low, high, norms = facts[0], facts[1], facts[2]
    two_nearest_of_tile(tile.reshape(tile.size), packed, bias, d, width(tile), label, low, high)
    norms[:] = 0
    for f in range(d):
        for i in range(size):
            norms[i] += tile[f, i] ** 2
    # The expanded square is off by a few roundings of the largest of its terms.
    largest, twice = tile.dtype.type(0), tile.dtype.type(2 * slack)
    for j in range(bias.shape[0]):
        largest = bias[j] if largest < bias[j] < inf else largest
    for i in range(held):
        error = twice * (norms[i] + largest)
        upper[place[i]] = np.sqrt(max(low[i] + norms[i], 0) + error)
        lower[place[i]] = np.sqrt(max(high[i] + norms[i] - error, 0))


@compiled
def _move(tile, held, place, label, labels, share, sums, counts):
    """The rows in the tile get their labels; those that are new leave one sum for another."""
    for h in range(held):
        i, own = place[h], label[h]
        old, weight = labels[i], weight_of(share, i)
        counts[own] += weight
        if own == old:
            continue
        labels[i] = own
        for f in range(sums.shape[1]):
            value = weight * tile[f, h]
            sums[own, f] += value
            if old >= 0:
                sums[old, f] -= value
