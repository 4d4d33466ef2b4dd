"""Hamerly's pass as an array program of NumPy: most rows are kept by one comparison.

What is stored of a row is its upper bound and the gap between it and the lower one, both as they
would have been before any centroid moved. So a row is kept while the gap is at least the way
that its own centroid and the farthest moved other one have gone in all.
"""

from math import inf
from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.product_tiles import (
    label_rows,
    moved_by_label,
    sum_by_label,
    taken,
    tile_of,
    tiles,
    two_nearest,
)
from kmeans_fx._backend.scratch import scratch

__all__ = ["update_bounds"]

# Bounds that left more than half of the rows to a search are given up, until a turn that is a
# power of two and not one of the first. Then the upper bound of the first row is infinite.
_PATIENCE = 4
# Numbers of centroids from which on a search costs more than to know a row's own distance first.
_DEAR = 1536


class _Rows(NamedTuple):
    """The arrays of the rows, (n, d) and (n,); ``share`` is None where there are no weights."""

    x: Any
    share: Any
    labels: Any
    before: Any
    turns: Any
    upper: Any
    gap: Any

    def weights(self, here):
        return None if self.share is None else self.share[here]


class _Turn:
    """What a pass needs to know of the centroids, and the sums that it changes (k, d + 1)."""

    def __init__(self, origin, centroids, operand, bias, drift, slack, number):
        self.origin, self.centroids, self.operand = origin, centroids, operand
        self.largest = np.max(bias)
        self.number, self.slack = number, origin.dtype.type(slack)
        self.more, self.less = 1 + self.slack, 1 - self.slack
        # How far the centroid moved in all, how far any other, and half the way to the next.
        self.moved, self.reach, self.half = drift
        self.k, self.d = centroids.shape
        self.dear = self.k * self.d >= _DEAR
        self.change = np.zeros((self.k, self.d + 1))


def update_bounds(
    x,
    size,
    origin,
    centroids,
    operand,
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
    """As `kmeans_fx._backend.kernels.search.bounded_blocks`."""
    of_rows = x, share if share.shape[0] else None, labels, before, turns, upper, gap
    for b in range(tally.shape[0]):
        here = slice(b * size, (b + 1) * size)
        rows = _Rows(*(None if array is None else array[here] for array in of_rows))
        now = _Turn(origin, centroids, operand, bias, drift, slack, turn)
        tally[b, :2] = _search(rows, now)
        if anew:
            counts[b] = 0
            _sum_anew(rows, now)
        sums[b], change = now.change[:, :-1], now.change[:, -1]
        # The weight of all rows: what subtraction leaves of one is never quite nothing.
        weighed = rows.share is not None
        counts[b] = np.bincount(rows.labels, rows.share, now.k) if weighed else counts[b] + change


def _search(rows, now):
    """How many rows were searched, and how many moved."""
    n = rows.x.shape[0]
    if rows.gap.shape[0] > 0:
        if rows.labels[0] < 0 or _tries_again(rows, now):
            return n, _move(rows, now, None, _settle(rows, now, None))
        if rows.upper[0] < inf:
            unsure = _unsure(rows, now)
            searched = unsure.shape[0]
            if 2 * searched <= n:
                return searched, _move(rows, now, unsure, _settle(rows, now, unsure))
            rows.upper[0] = inf  # gives up
    label = scratch("label", rows.labels.shape, np.intp)
    label_rows(rows.x, now.origin, now.operand, label)
    return n, _move(rows, now, None, label)


def _tries_again(rows, now):
    """Whether bounds that were given up are made anew."""
    turn = now.number
    return not rows.upper[0] < inf and turn >= _PATIENCE and turn & (turn - 1) == 0


def _sum_anew(rows, now):
    now.change[:] = 0
    for here, tile in _tiles_of(rows, now, None):
        now.change += sum_by_label(tile, rows.labels[here], now.k, rows.weights(here))


def _tiles_of(rows, now, here):
    """Slices of the places ``here`` (None: all rows), with the centred rows of each."""
    m = (rows.x if here is None else here).shape[0]
    for some in tiles(m, now.d, now.k):
        part = rows.x[some] if here is None else taken("rows", rows.x, here[some])
        yield some, tile_of(part, now.origin.dtype, now.origin)


def _settle(rows, now, here):
    """The nearest centroids of the rows, which get bounds."""
    m = (rows.x if here is None else here).shape[0]
    label, facts = scratch("label", (m,), np.intp), scratch("facts", (3, m), now.origin.dtype)
    for some, tile in _tiles_of(rows, now, here):
        label[some], facts[0, some], facts[1, some] = two_nearest(tile, now.operand)
        np.einsum("ij,ij->i", tile[:, :-1], tile[:, :-1], out=facts[2, some])
    low, high, norms = facts
    # The expanded square is off by a few roundings of the largest of its terms.
    error = 2 * now.slack * (norms + now.largest)
    upper = np.sqrt(np.maximum(low + norms, 0) + error) * now.more
    lower = np.sqrt(np.maximum(high + norms - error, 0)) * now.less
    here = slice(None) if here is None else here
    rows.upper[here] = upper - (now.moved * now.less)[label]
    rows.gap[here] = lower - upper + ((now.moved + now.reach) * now.less)[label]
    return label


def _unsure(rows, now):
    """The places of the rows that may have another nearest centroid."""
    way = taken("way", (now.moved + now.reach) * now.more, rows.labels)
    kept = np.greater_equal(rows.gap, way, out=scratch("kept", way.shape, bool))
    (here,) = np.nonzero(np.logical_not(kept, out=kept))
    own = rows.labels[here]
    high = (rows.upper[here] + now.moved[own]) * now.more
    here = here[~(high <= now.half[own])]
    return _tighten(rows, now, here) if now.dear else here


def _tighten(rows, now, here):
    """Measures the rows' own distances; which of them are still unsure."""
    own, square = rows.labels[here], scratch("facts", here.shape, now.origin.dtype)
    for some, tile in _tiles_of(rows, now, here):
        apart = taken("apart", now.centroids, own[some])
        np.subtract(tile[:, :-1], apart, out=apart)
        np.einsum("ij,ij->i", apart, apart, out=square[some])
    high = np.sqrt(square) * now.more
    lower = rows.gap[here] + rows.upper[here]
    rows.upper[here] = upper = high - now.moved[own] * now.less
    rows.gap[here] = lower - upper - now.slack * np.abs(lower)
    bar = np.maximum(now.half[own], (lower - now.reach[own]) * now.less)
    return here[~(high <= bar)]


def _move(rows, now, here, label):
    """The rows get their labels; those that are new leave one sum for another."""
    old = rows.labels if here is None else rows.labels[here]
    (new,) = np.nonzero(label != old)
    if new.shape[0] == 0:
        return 0
    here = new if here is None else here[new]
    label, old = label[new], old[new]
    rows.labels[here], rows.before[here], rows.turns[here] = label, old, now.number
    if old[0] >= 0:  # The first pass sums all rows at its end.
        share = rows.weights(here)
        for some, tile in _tiles_of(rows, now, here):
            weight = None if share is None else share[some]
            now.change += moved_by_label(tile, label[some], old[some], now.k, weight)
    return new.shape[0]
