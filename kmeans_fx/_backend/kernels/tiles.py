"""Scores of a tile of rows, whose sums stay in registers: the search of all centroids.

A tile holds three vectors of rows, one row a lane, against four centroids at a time: twelve
sums in registers, enough to hide the latency of an addition.
Scores are those of `kmeans_fx._backend.nearest`: |c_j|^2 - 2 x . c_j of centred rows.

Of a tile that is larger than the first cache, pieces of columns are held against all
centroids one after the other; meanwhile the scores wait in memory.

``packed`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Packed`, ``d`` the
columns, ``w`` the rows of a vector, and ``sums`` an array for the scores that wait, as long as
`room_for_sums` says. ``coming`` are places of rows of x (n, d), those of the next tile: they are
fetched meanwhile, some before every four centroids.
"""

from math import inf

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.lanes import fetch_columns
from kmeans_fx._backend.kernels.registers import (
    add,
    broadcast,
    fma,
    larger,
    load,
    root,
    select,
    smaller,
    spread,
    store,
    subtract,
)

__all__ = [
    "bounds_of_tile",
    "largest_square",
    "nearest_of_tile",
    "room_for_sums",
    "rows_to_fetch",
    "two_nearest_of_tile",
]

# Bytes of a row that a processor foresees by itself.
_SHORT = 128
# Bytes of a piece of a tile: what stays in the first cache while centroids come and go.
_PIECE = 24 << 10


@compiled
def _pieces(d, w, itemsize):
    """Into how many pieces the d columns of a tile are cut."""
    return -(-d * 3 * w * itemsize // _PIECE)


@compiled
def room_for_sums(x, k, w):
    """How many numbers ``sums`` has, for rows x (n, d) and k centroids."""
    return 3 * w * k if _pieces(x.shape[1], w, x.itemsize) > 1 else 0


@compiled
def _three(array, p, w):
    return load(array, p), load(array, p + w), load(array, p + 2 * w)


@compiled
def _begun(bias, sums, j, first, w):
    """The scores for centroid j by the columns before the first."""
    if first > 0:
        return _three(sums, 3 * w * j, w)
    b = spread(bias, j)
    return b, b, b


@compiled
def _four_scores(tile, packed, bias, sums, j, first, stop, d, w):
    """Scores of the three vectors of rows for the centroids from j on, four times three.

    Of the columns before ``stop``, of which ``sums`` have those before the first.
    """
    a0, a1, a2 = _begun(bias, sums, j, first, w)
    b0, b1, b2 = _begun(bias, sums, j + 1, first, w)
    c0, c1, c2 = _begun(bias, sums, j + 2, first, w)
    d0, d1, d2 = _begun(bias, sums, j + 3, first, w)
    p, q = 3 * w * first, (j // 8) * 8 * d + j % 8 + 8 * first
    for _ in range(first, stop):
        x0, x1, x2 = _three(tile, p, w)
        c = spread(packed, q)
        a0, a1, a2 = fma(c, x0, a0), fma(c, x1, a1), fma(c, x2, a2)
        c = spread(packed, q + 1)
        b0, b1, b2 = fma(c, x0, b0), fma(c, x1, b1), fma(c, x2, b2)
        c = spread(packed, q + 2)
        c0, c1, c2 = fma(c, x0, c0), fma(c, x1, c1), fma(c, x2, c2)
        c = spread(packed, q + 3)
        d0, d1, d2 = fma(c, x0, d0), fma(c, x1, d1), fma(c, x2, d2)
        p += 3 * w
        q += 8
    return (a0, a1, a2), (b0, b1, b2), (c0, c1, c2), (d0, d1, d2)


@compiled
def _all_but_last(tile, packed, bias, sums, d, w, x, coming):
    """Brings ``sums`` to where the last piece begins, and says which column that is."""
    k, size, first = bias.shape[0], -(-d // _pieces(d, w, tile.itemsize)), 0
    while first + size < d:
        stop = first + size
        for j in range(0, k, 4):
            _fetch(x, coming, j, k, first, stop)
            four = _four_scores(tile, packed, bias, sums, j, first, stop, d, w)
            _keep(four[0], w, sums, 3 * w * j)
            _keep(four[1], w, sums, 3 * w * (j + 1))
            _keep(four[2], w, sums, 3 * w * (j + 2))
            _keep(four[3], w, sums, 3 * w * (j + 3))
        first = stop
    return first


@compiled
def _nearer(best, score, j, tile):
    (l0, l1, l2), (p0, p1, p2) = best
    s0, s1, s2 = score
    j = broadcast(np.int32(j), tile)
    p0, p1, p2 = select(s0, l0, j, p0), select(s1, l1, j, p1), select(s2, l2, j, p2)
    return (smaller(s0, l0), smaller(s1, l1), smaller(s2, l2)), (p0, p1, p2)


@compiled
def rows_to_fetch(x, size):
    """How many of the ``size`` rows of the next tile. With short ones a processor is in time."""
    return size if x.shape[1] * x.itemsize > _SHORT else 0


@compiled
def _fetch(x, coming, j, k, first, stop):
    """The share of the rows to come that belongs to the four of k centroids from j on."""
    share = -(-4 * coming.shape[0] // k)
    for h in range(j // 4 * share, min(j // 4 * share + share, coming.shape[0])):
        fetch_columns(x, coming[h], first, stop)


@compiled
def nearest_of_tile(tile, packed, bias, sums, d, w, label, x, coming):
    """Per row of the tile the first centroid of the smallest score."""
    low, place = broadcast(tile.dtype.type(inf), tile), broadcast(np.int32(0), tile)
    best = (low, low, low), (place, place, place)
    first = _all_but_last(tile, packed, bias, sums, d, w, x, coming)
    for j in range(0, bias.shape[0], 4):
        _fetch(x, coming, j, bias.shape[0], first, d)
        one, two, three, four = _four_scores(tile, packed, bias, sums, j, first, d, d, w)
        best = _nearer(best, one, j, tile)
        best = _nearer(best, two, j + 1, tile)
        best = _nearer(best, three, j + 2, tile)
        best = _nearer(best, four, j + 3, tile)
    _keep(best[1], w, label, 0)


@compiled
def _two_nearer(low, high, place, score, j):
    """The pair of smallest scores, and the place of the first of them."""
    high = smaller(larger(low, score), high)
    return smaller(score, low), high, select(score, low, j, place)


@compiled
def _two_nearest(best, score, j, tile):
    (l0, l1, l2), (h0, h1, h2), (p0, p1, p2) = best
    j = broadcast(np.int32(j), tile)
    l0, h0, p0 = _two_nearer(l0, h0, p0, score[0], j)
    l1, h1, p1 = _two_nearer(l1, h1, p1, score[1], j)
    l2, h2, p2 = _two_nearer(l2, h2, p2, score[2], j)
    return (l0, l1, l2), (h0, h1, h2), (p0, p1, p2)


@compiled
def two_nearest_of_tile(tile, packed, bias, sums, d, w, label, low, high, x, coming):
    """As `nearest_of_tile`, and the smallest score and that of the next centroid."""
    no, place = broadcast(tile.dtype.type(inf), tile), broadcast(np.int32(0), tile)
    best = (no, no, no), (no, no, no), (place, place, place)
    first = _all_but_last(tile, packed, bias, sums, d, w, x, coming)
    for j in range(0, bias.shape[0], 4):
        _fetch(x, coming, j, bias.shape[0], first, d)
        one, two, three, four = _four_scores(tile, packed, bias, sums, j, first, d, d, w)
        best = _two_nearest(best, one, j, tile)
        best = _two_nearest(best, two, j + 1, tile)
        best = _two_nearest(best, three, j + 2, tile)
        best = _two_nearest(best, four, j + 3, tile)
    _keep(best[0], w, low, 0)
    _keep(best[1], w, high, 0)
    _keep(best[2], w, label, 0)


@compiled
def largest_square(bias):
    """Of all centroids."""
    largest = bias.dtype.type(0)
    for j in range(bias.shape[0]):
        largest = bias[j] if largest < bias[j] < inf else largest
    return largest


@compiled
def bounds_of_tile(tile, d, w, largest, slack, low, high):
    """The two scores of a row become bounds of distances: no less than one, no more than the other.

    An expanded square is off by a few roundings of the largest of its terms, of which
    ``largest`` is that of the centroids.
    """
    zero, twice = broadcast(tile.dtype.type(0), tile), broadcast(tile.dtype.type(2 * slack), tile)
    floor = broadcast(tile.dtype.type(2 * slack * largest), tile)
    norms = zero, zero, zero
    for f in range(d):
        norms = _with_squares(tile, 3 * f * w, w, norms)
    _bound(low, high, 0, norms[0], twice, floor)
    _bound(low, high, w, norms[1], twice, floor)
    _bound(low, high, 2 * w, norms[2], twice, floor)


@compiled
def _with_squares(tile, p, w, norms):
    """The three sums with the squares of the numbers from p on: side by side, not in turn."""
    x0, x1, x2 = _three(tile, p, w)
    return fma(x0, x0, norms[0]), fma(x1, x1, norms[1]), fma(x2, x2, norms[2])


@compiled
def _bound(low, high, h, norms, twice, floor):
    zero, error = broadcast(low.dtype.type(0), low), fma(twice, norms, floor)
    store(low, h, root(add(larger(add(load(low, h), norms), zero), error)))
    store(high, h, root(larger(subtract(add(load(high, h), norms), error), zero)))


@compiled
def _keep(three, w, array, p):
    store(array, p, three[0])
    store(array, p + w, three[1])
    store(array, p + 2 * w, three[2])
