"""Loops of k-means++ over rows for one thread of a CPU, compiled by Numba.

Eight candidates are held against four rows at a time, in vectors of eight numbers, as the rows
lie in memory: nothing is transposed. Squared distances are sums of squared differences, so rows
need not be centred and nothing cancels.

``candidates`` (t / 8, d, 8) are in groups of eight, filled up with infinity, and flat.
"""

from math import inf

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled, with_scratch
from kmeans_fx._backend.kernels.cpu import square_between, weight_of
from kmeans_fx._backend.kernels.lanes import (
    LANES,
    below,
    excess,
    fetch_columns,
    load,
    splat,
    weighted,
    with_square,
)
from kmeans_fx._backend.kernels.registers import add, store
from kmeans_fx._backend.kernels.tiles import rows_to_fetch

__all__ = ["LANES", "gains", "nearest_squares", "shrink_reach"]

# Rows of which the wanted ones are listed before they are worked on, and how many of those are on
# their way to the cache.
_ROWS, _AHEAD = 512, 16


@with_scratch
def gains(x, candidates, share, reach, owner, near, closer, gain):
    """Adds to ``gain`` (t,) by how much every candidate would lower the total reach.

    Parameters
    ----------
    x : (n, d)
    reach, owner : (n,)
        Squared distance to the nearest chosen row, and the number of that row.
    near : (m,)
        A quarter of the squared distance from a chosen row to the next candidate: a row
        whose reach is at most that of its owner keeps it with all candidates.
    closer : (n,) of bytes, written over
        The bit j % 8 is set where candidate j is nearer than the chosen rows.
    """
    n = x.shape[0]
    place, sums = np.zeros(_ROWS + 4, np.uintp), np.empty(LANES, x.dtype)
    for start in range(0, n, _ROWS):
        held = 0
        for i in range(start, min(n, start + _ROWS)):
            # No branch: which rows are wanted is hard to foretell.
            closer[i] = 0
            place[held] = i
            held += 1 if reach[i] > near[owner[i]] else 0
        if held:
            place[held : held + 4] = place[held - 1]
            for group in range(gain.shape[0] // LANES):
                _add_gains(x, candidates, group, place, held, share, reach, closer, sums, gain)


@compiled
def _add_gains(x, candidates, group, place, held, share, reach, closer, sums, gain):
    """The gains of eight candidates from the rows in ``place``, which repeats its last one."""
    total, fetched = splat(x.dtype.type(0)), rows_to_fetch(x, 4)
    for h in range(0, held, 4):
        for row in place[h + _AHEAD : min(held, h + _AHEAD + fetched)]:
            fetch_columns(x, row, 0, x.shape[1])
        rows = place[h], place[h + 1], place[h + 2], place[h + 3]
        far = _four_squares(x, rows, candidates, group)
        total = _with_gain(total, rows[0], far[0], share, reach, closer)
        # The last rows may be repetitions.
        if h + 1 < held:
            total = _with_gain(total, rows[1], far[1], share, reach, closer)
        if h + 2 < held:
            total = _with_gain(total, rows[2], far[2], share, reach, closer)
        if h + 3 < held:
            total = _with_gain(total, rows[3], far[3], share, reach, closer)
    store(sums, 0, total)
    for j in range(LANES):
        gain[group * LANES + j] += sums[j]


@compiled
def _with_gain(total, i, squares, share, reach, closer):
    closer[i] |= below(squares, reach[i])
    return weighted(total, weight_of(share, i), excess(reach[i], squares))


@compiled
def _four_squares(x, rows, candidates, group):
    """Squared distances of four rows to eight candidates, which are loaded once for all."""
    none, d = splat(x.dtype.type(0)), np.uintp(x.shape[1])
    even = odd = none, none, none, none
    # Two sums for each row: four additions are begun before the first is done.
    for pair in range(d // np.uintp(2)):
        f = np.uintp(2) * pair
        even = _with_column(even, x, rows, f, candidates, group)
        odd = _with_column(odd, x, rows, f + np.uintp(1), candidates, group)
    if d % np.uintp(2):
        even = _with_column(even, x, rows, d - np.uintp(1), candidates, group)
    (a, b, c, e), (more_a, more_b, more_c, more_e) = even, odd
    return add(a, more_a), add(b, more_b), add(c, more_c), add(e, more_e)


@compiled
def _with_column(far, x, rows, f, candidates, group):
    """The four squared distances with those along column f."""
    a, b, c, e = rows
    others = load(candidates, (group * x.shape[1] + f) * LANES)
    return (
        with_square(far[0], x[a, f], others),
        with_square(far[1], x[b, f], others),
        with_square(far[2], x[c, f], others),
        with_square(far[3], x[e, f], others),
    )


@with_scratch
def nearest_squares(rows, candidates, groups, squares):
    """Squared distances (m,) of the rows (m, d) to the nearest candidate."""
    far = np.empty(LANES, rows.dtype)
    for i in range(np.uintp(rows.shape[0])):
        squares[i] = inf
        for group in range(groups):
            store(far, 0, _four_squares(rows, (i, i, i, i), candidates, group)[0])
            squares[i] = min(squares[i], far.min())


@with_scratch
def shrink_reach(x, row, turn, bit, closer, reach, owner):
    """Rows nearer to the new ``row`` (d,) than to all before: their reach, and the owner ``turn``.

    Only rows whose ``closer`` (n,) has the ``bit`` are looked at.
    """
    n = x.shape[0]
    place, held = np.zeros(_ROWS, np.int64), 0
    for i in range(n):
        # No branch, and many rows to fetch at a time.
        place[held] = i
        held += 1 if closer[i] & bit else 0
        if held == _ROWS or i == n - 1:
            _shrink(x, row, turn, place[:held], reach, owner)
            held = 0


@compiled
def _shrink(x, row, turn, place, reach, owner):
    """`shrink_reach` of the rows in ``place``."""
    for i in place:
        square = square_between(x[i], row)
        if square < reach[i]:
            reach[i], owner[i] = square, turn
