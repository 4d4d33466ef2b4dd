"""Loops over rows for one thread of a CPU, compiled by Numba: distances, bounds, sums in one pass.

Every kernel gathers rows into a tile, one row a column, so that all its arithmetic runs
along the columns and is vectorised whatever the number of features. Scores are those of
`kmeans_fx._backend.nearest`: |c_j|^2 - 2 x . c_j of centred rows; ties go to the first.

``share`` is empty where there are no weights.
``operand`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Table`.
"""

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled

__all__ = ["own_squares", "potentials", "shrink_reach", "sum_rows", "weight_of"]

# Rows of a tile: its rows of scores stay in the first cache, its loops are long.
_ROWS = 128
# Columns of a power of two of bytes would all fall into a few sets of the cache.
_STRIDE = _ROWS + 16


@compiled
def _tile(rows, columns):
    """Zeros for a tile; the features are filled up to a multiple of four."""
    return np.zeros((-(-columns // 4) * 4, _STRIDE), rows.dtype)


@compiled
def _four_scores(tile, operand, bias, j, scores):
    """Scores (4, columns) for the centroids from j on: a feature is loaded once for four.

    The number of columns is no constant: LLVM would unroll the loops, and be slower.
    """
    first, second, third, fourth = scores[0], scores[1], scores[2], scores[3]
    for i in range(scores.shape[1]):
        first[i], second[i] = bias[j], bias[j + 1]
        third[i], fourth[i] = bias[j + 2], bias[j + 3]
    for f in range(0, operand.shape[1], 4):
        a0, a1, a2, a3 = _four(operand[j], f)
        b0, b1, b2, b3 = _four(operand[j + 1], f)
        c0, c1, c2, c3 = _four(operand[j + 2], f)
        d0, d1, d2, d3 = _four(operand[j + 3], f)
        for i in range(scores.shape[1]):
            t0, t1, t2, t3 = tile[f, i], tile[f + 1, i], tile[f + 2, i], tile[f + 3, i]
            first[i] += a0 * t0 + a1 * t1 + a2 * t2 + a3 * t3
            second[i] += b0 * t0 + b1 * t1 + b2 * t2 + b3 * t3
            third[i] += c0 * t0 + c1 * t1 + c2 * t2 + c3 * t3
            fourth[i] += d0 * t0 + d1 * t1 + d2 * t2 + d3 * t3


@compiled
def _four(row, f):
    return row[f], row[f + 1], row[f + 2], row[f + 3]


@compiled
def weight_of(share, i):
    return share[i] if share.shape[0] else share.dtype.type(1)


@compiled
def sum_rows(rows, origin, labels, share, sums, counts):
    """Adds the weighted rows (n, d), less the origin, to the sums (k, d) of their labels."""
    for i in range(rows.shape[0]):
        weight, own = weight_of(share, i), labels[i]
        counts[own] += weight
        for f in range(rows.shape[1]):
            sums[own, f] += weight * (rows[i, f] - origin[f])


@compiled
def own_squares(rows, centroids, labels, squares):
    """Squared distances (n,) of the rows to the centroids (k, d) of their labels."""
    for i in range(rows.shape[0]):
        squares[i] = _square(rows[i], centroids[labels[i]])


@compiled
def potentials(x, origin, operand, bias, norms, share, reach, owner, near, slack, closer, total):
    """Adds to ``total`` (t,) what the reach would be in sum with every candidate.

    Parameters
    ----------
    x : (n, d); origin : (d,); operand, bias : of t or more candidates
    norms : (n,)
        Squared norms of the rows less the origin.
    reach, owner : (n,)
        Squared distance to the nearest chosen row, and the number of that row.
    near : (m,)
        A quarter of the squared distance from a chosen row to the next candidate: a row
        whose reach is at most that of its owner keeps it with all candidates.
    slack : float
        Relative error of a squared distance.
    closer : (n,) of bytes, written over
        The bit j % 8 is set where candidate j may be nearer than the chosen rows.
    """
    n, d = x.shape
    tile, scores, place = _tile(x, d), np.empty((4, _ROWS), x.dtype), np.zeros(_ROWS, np.int64)
    # Of the rows in the tile: squared norm, reach and weight.
    facts, bits = np.zeros((3, _ROWS), x.dtype), np.zeros(_ROWS, np.int32)
    kept, held = 0.0, 0
    for i in range(n):
        # No branch: which rows are wanted is hard to foretell.
        wanted = reach[i] > near[owner[i]]
        kept += 0.0 if wanted else weight_of(share, i) * reach[i]
        closer[i] = 0
        place[held] = i
        held += 1 if wanted else 0
        if held == _ROWS or i == n - 1:
            for h in range(held):
                row = place[h]
                facts[0, h], facts[1, h], facts[2, h] = (
                    norms[row],
                    reach[row],
                    weight_of(share, row),
                )
                for f in range(d):
                    tile[f, h] = x[row, f] - origin[f]
            facts[2, held:] = 0
            _add_potentials(tile, operand, bias, scores, facts, slack, bits, total)
            for h in range(held):
                closer[place[h]] = bits[h]
            held = 0
    for j in range(total.shape[0]):
        total[j] += kept


@compiled
def _add_potentials(tile, operand, bias, scores, facts, slack, bits, total):
    norm, reach, weight = facts[0], facts[1], facts[2]
    bits[:] = 0
    for j in range(total.shape[0]):
        if j % 4 == 0:
            _four_scores(tile, operand, bias, j, scores)
        score, left, margin = scores[j % 4], tile.dtype.type(0), tile.dtype.type(slack)
        bit, offset = np.int32(1 << j % 8), bias[j]
        for i in range(_ROWS):
            square = score[i] + norm[i]
            left += weight[i] * (square if square < reach[i] else reach[i])
            bits[i] |= bit if square < reach[i] + margin * (norm[i] + offset) else np.int32(0)
        total[j] += left


@compiled
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
            for h in range(held):
                square = _square(x[place[h]], row)
                if square < reach[place[h]]:
                    reach[place[h]], owner[place[h]] = square, turn
            held = 0


@compiled
def _square(row, other):
    """Squared distance of two rows: 0 for copies."""
    square = row.dtype.type(0)
    for f in range(row.shape[0]):
        square += (row[f] - other[f]) ** 2
    return square
