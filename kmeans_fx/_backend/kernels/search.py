"""The search for the nearest centroids of the rows whose bounds fail.

``share`` is empty where there are no weights.
``packed`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Packed`.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled, with_scratch
from kmeans_fx._backend.kernels.cpu import sum_rows, weight_of
from kmeans_fx._backend.kernels.doubt import measures_first, spares_enough, unsure
from kmeans_fx._backend.kernels.registers import width
from kmeans_fx._backend.kernels.tiles import (
    bounds_of_tile,
    largest_square,
    nearest_of_tile,
    room_for_sums,
    rows_to_fetch,
    two_nearest_of_tile,
)
from kmeans_fx._backend.kernels.transpose import fill_tile

__all__ = ["add_up", "bounded_blocks", "move"]

# Rows whose bounds are read before any of them is searched.
_ROWS = 256


class _Scratch(NamedTuple):
    """What the search of a block is done in.

    Attributes
    ----------
    tile : (d, s)
    low, high, label : (s,)
        Of the rows of the tile.
    scores
        See `tiles`.
    fails : (_ROWS,)
    rows : (_ROWS + 2 s,)
        Those whose bounds fail. Less than a tile is held for the next time.
    ways : (3, k)
        How far the centroid and the farthest moved other one have gone in all, rounded up
        and rounded down; and the centroid alone, rounded down.
    """

    tile: Any
    low: Any
    high: Any
    label: Any
    scores: Any
    fails: Any
    rows: Any
    ways: Any


@with_scratch
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
    tally : (b, 3), written over
        How many rows were held against all centroids, how many moved, and whether it was worth it
        to measure own distances.
    """
    sums[:] = 0
    tile, dtype = 3 * width(x), x.dtype
    scratch = _Scratch(
        np.zeros((x.shape[1], tile), dtype),
        np.zeros(tile, dtype),
        np.zeros(tile, dtype),
        np.zeros(tile, np.int32),
        np.zeros(room_for_sums(x, bias.shape[0], width(x)), dtype),
        np.zeros(_ROWS, np.uint8),
        np.zeros(_ROWS + 2 * tile, np.uintp),
        np.zeros((3, centroids.shape[0]), dtype),
    )
    for b in range(sums.shape[0]):
        here = slice(b * size, min(x.shape[0], (b + 1) * size))
        measure = measures_first(centroids, turn, tally[b, 2] > 0)
        tally[b, 0], tally[b, 1], near = _bounded_rows(
            scratch,
            measure,
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
        if measure:
            tally[b, 2] = spares_enough(near, tally[b, 0], centroids.shape[0])
        add_up(x[here], origin, labels[here], share[here], anew, sums[b], counts[b])


@compiled
def add_up(x, origin, labels, share, anew, sums, counts):
    """What is left to do for the sums and counts of rows of which some moved (`move`).

    All rows are summed where it is done ``anew``. With weights they are always counted: what
    subtraction leaves of a cluster is never quite nothing.
    """
    if anew:
        sums[:], counts[:] = 0, 0
        sum_rows(x, origin, labels, share, sums, counts)
    elif share.shape[0]:
        counts[:] = 0
        for i in range(labels.shape[0]):
            counts[labels[i]] += share[i]


@compiled
def _bounded_rows(
    scratch,
    measure,
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
    n, size, (rows, ways) = x.shape[0], 3 * width(x), scratch[6:]
    searched, moved, near, held = 0, 0, 0, 0
    largest, fetched = largest_square(bias), rows_to_fetch(x, size)
    more, less = 1 + x.dtype.type(slack), 1 - x.dtype.type(slack)
    for j in range(centroids.shape[0]):
        ways[0, j] = (drift[0, j] + drift[1, j]) * more
        ways[1, j] = (drift[0, j] + drift[1, j]) * less
        ways[2, j] = drift[0, j] * less
    for start in range(0, n, _ROWS):
        stop = min(n, start + _ROWS)
        wanted, by_bounds = unsure(
            rows[held:],
            scratch.fails,
            x,
            start,
            stop,
            origin,
            centroids,
            labels,
            upper,
            gap,
            ways[0],
            drift,
            slack,
            measure,
        )
        searched += wanted
        near += by_bounds
        held += wanted
        first = 0
        while held - first >= size or (stop == n and first < held):
            place, now = rows[first : first + size], min(size, held - first)
            for h in range(now, size):
                place[h] = place[0]  # the last tile is filled up
            first += size
            coming = rows[first : first + fetched]
            _settle(
                scratch, x, origin, now, place, coming, packed, bias, largest, slack, upper, gap
            )
            label = scratch.label
            moved += move(
                x, origin, now, place, label, labels, before, turns, turn, share, sums, counts
            )
        held -= first
        for h in range(held):
            rows[h] = rows[first + h]
    return searched, moved, near


@compiled
def _settle(scratch, x, origin, held, place, coming, packed, bias, largest, slack, upper, gap):
    """The nearest centroids of the rows in ``place``, and their bounds."""
    tile, low, high, label, scores = scratch[:5]
    fill_tile(x, origin, place, held, tile)
    flat, d, w = tile.reshape(tile.size), tile.shape[0], width(tile)
    if gap.shape[0] == 0:
        nearest_of_tile(flat, packed, bias, scores, d, w, label, x, coming)
        return
    two_nearest_of_tile(flat, packed, bias, scores, d, w, label, low, high, x, coming)
    bounds_of_tile(flat, d, w, largest, slack, low, high)
    for h in range(held):
        i, own = place[h], np.uintp(label[h])
        upper[i] = low[h] - scratch.ways[2, own]
        gap[i] = high[h] - low[h] + scratch.ways[1, own]


@compiled
def move(x, origin, held, place, label, labels, before, turns, turn, share, sums, counts):
    """The rows in ``place`` get their labels; those that are new leave one sum for another."""
    moved = 0
    for h in range(held):
        i, own = place[h], label[h]
        old = labels[i]
        if own == old:
            continue
        weight = weight_of(share, i)
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
