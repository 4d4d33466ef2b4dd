"""Loops over rows for one thread of a CPU, compiled by Numba: distances, bounds, sums in one pass.

Every kernel gathers rows into a tile, one row a column, so that all its arithmetic runs
along the columns and is vectorised whatever the number of features. Scores are those of
`kmeans_fx._backend.nearest`: |c_j|^2 - 2 x . c_j of centred rows; ties go to the first.

``share`` is empty where there are no weights.
``operand`` and ``bias`` are those of a `kmeans_fx._backend.kernels.fused.Table`.
"""

from math import inf

import numba
import numpy as np

__all__ = ["assign_rows", "bounded_rows", "own_squares", "sum_rows"]

# Rows of a tile: its rows of scores stay in the first cache, its loops are long.
_ROWS = 128
# Columns of a power of two of bytes would all fall into a few sets of the cache.
_STRIDE = _ROWS + 16

# No assumption about NaN or infinity: both come, and end in the status. Python's min and
# max promise more about NaN than a comparison does, and cost a half more.
_options = {"nogil": True, "fastmath": {"contract", "nsz", "reassoc"}}


def _compiled(function):
    try:
        return numba.njit(cache=True, **_options)(function)
    except RuntimeError:  # no folder to write to: compile in every process
        return numba.njit(**_options)(function)


@_compiled
def _tile(rows, columns):
    """Zeros for a tile; the features are filled up to a multiple of four."""
    return np.zeros((-(-columns // 4) * 4, _STRIDE), rows.dtype)


@_compiled
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


@_compiled
def _four(row, f):
    return row[f], row[f + 1], row[f + 2], row[f + 3]


@_compiled
def _nearest(tile, operand, bias, scores, least, label):
    """Per column the smallest score and its centroid."""
    least[:] = inf
    label[:] = 0
    for j in range(0, operand.shape[0], 4):
        _four_scores(tile, operand, bias, j, scores)
        for i in range(scores.shape[1]):
            best = least[i], label[i]
            best = _smaller(best, scores[0, i], np.int32(j))
            best = _smaller(best, scores[1, i], np.int32(j + 1))
            best = _smaller(best, scores[2, i], np.int32(j + 2))
            least[i], label[i] = _smaller(best, scores[3, i], np.int32(j + 3))


@_compiled
def _smaller(best, score, place):
    low, own = best
    return (score if score < low else low), (place if score < low else own)


@_compiled
def _two_nearest(tile, operand, bias, scores, least, next_, label):
    """As `_nearest`, and the smallest score of the other centroids."""
    least[:] = inf
    next_[:] = inf
    label[:] = 0
    for j in range(0, operand.shape[0], 4):
        _four_scores(tile, operand, bias, j, scores)
        for i in range(scores.shape[1]):
            best = least[i], next_[i], label[i]
            best = _two_smaller(best, scores[0, i], np.int32(j))
            best = _two_smaller(best, scores[1, i], np.int32(j + 1))
            best = _two_smaller(best, scores[2, i], np.int32(j + 2))
            least[i], next_[i], label[i] = _two_smaller(best, scores[3, i], np.int32(j + 3))


@_compiled
def _two_smaller(best, score, place):
    low, high, own = best
    larger = low if score < low else score
    high = larger if larger < high else high
    return (score if score < low else low), high, (place if score < low else own)


@_compiled
def _weight(share, i):
    return share[i] if share.shape[0] else share.dtype.type(1)


@_compiled
def assign_rows(x, origin, operand, bias, share, labels, sums, counts):
    """Labels (m, n) of the rows; adds to their sums (m, k, d) and counts (m, k).

    Of every array that is read there may be one for all members.
    """
    n, d = x.shape[1:]
    tile = _tile(x, d)
    scores = np.empty((4, _ROWS), x.dtype)
    least, label = np.empty(_ROWS, x.dtype), np.empty(_ROWS, np.int32)
    for member in range(labels.shape[0]):
        rows, centre = x[member % x.shape[0]], origin[member % origin.shape[0]]
        own, offset = operand[member % operand.shape[0]], bias[member % bias.shape[0]]
        for start in range(0, n, _ROWS):
            stop = min(n, start + _ROWS)
            for i in range(start, stop):
                for f in range(d):
                    tile[f, i - start] = rows[i, f] - centre[f]
            if scores.shape[1] != stop - start:
                scores = np.empty((4, stop - start), x.dtype)
            _nearest(tile, own, offset, scores, least, label)
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


@_compiled
def sum_rows(rows, origin, labels, share, sums, counts):
    """Adds the weighted rows (n, d), less the origin, to the sums (k, d) of their labels."""
    for i in range(rows.shape[0]):
        weight, own = _weight(share, i), labels[i]
        counts[own] += weight
        for f in range(rows.shape[1]):
            sums[own, f] += weight * (rows[i, f] - origin[f])


@_compiled
def own_squares(rows, centroids, labels, squares):
    """Squared distances (n,) of the rows to the centroids (k, d) of their labels."""
    for i in range(rows.shape[0]):
        squares[i] = _square(rows[i], centroids[labels[i]])


@_compiled
def bounded_rows(
    x, origin, centroids, operand, bias, share, labels, upper, lower, drift, slack, sums, counts
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
    tile, place = _tile(x, d), np.empty(_ROWS, np.int64)
    searched = held = 0
    for i in range(n):
        own = labels[i]
        if own >= 0:
            high, low = (upper[i] + drift[0, own]) * more, (lower[i] - drift[1, own]) * less
            bar = max(drift[2, own], low)
            if high > bar:
                high = _distance(x[i], origin, centroids[own]) * more
            upper[i], lower[i] = high, low
            if high <= bar:
                counts[own] += _weight(share, i)
                continue
        for f in range(d):
            tile[f, held] = x[i, f] - origin[f]
        place[held] = i
        held += 1
        if held == _ROWS:
            _settle(
                tile, place, held, operand, bias, share, slack, labels, upper, lower, sums, counts
            )
            searched += held
            held = 0
    _settle(tile, place, held, operand, bias, share, slack, labels, upper, lower, sums, counts)
    return searched + held


@_compiled
def _distance(row, origin, centroid):
    square = row.dtype.type(0)
    for f in range(row.shape[0]):
        square += (row[f] - origin[f] - centroid[f]) ** 2
    return np.sqrt(square)


@_compiled
def _settle(tile, place, held, operand, bias, share, slack, labels, upper, lower, sums, counts):
    """Labels, bounds and sums of the rows in the tile."""
    if held == 0:
        return
    scores, label = np.empty((4, held), tile.dtype), np.empty(_ROWS, np.int32)
    least, next_ = np.empty(_ROWS, tile.dtype), np.empty(_ROWS, tile.dtype)
    _two_nearest(tile, operand, bias, scores, least, next_, label)
    norms = np.zeros(_ROWS, tile.dtype)
    for f in range(tile.shape[0]):
        for i in range(_ROWS):
            norms[i] += tile[f, i] ** 2
    # The expanded square is off by a few roundings of the largest of its terms.
    largest = tile.dtype.type(0)
    for j in range(bias.shape[0]):
        largest = bias[j] if largest < bias[j] < inf else largest
    for held_row in range(held):
        i, old, own = place[held_row], labels[place[held_row]], label[held_row]
        norm = norms[held_row]
        error = tile.dtype.type(2 * slack) * (norm + largest)
        upper[i] = np.sqrt(max(least[held_row] + norm, 0) + error)
        lower[i] = np.sqrt(max(next_[held_row] + norm - error, 0))
        weight = _weight(share, i)
        counts[own] += weight
        if own == old:
            continue
        labels[i] = own
        for f in range(sums.shape[1]):
            value = weight * tile[f, held_row]
            sums[own, f] += value
            if old >= 0:
                sums[old, f] -= value


@_compiled
def _square(row, other):
    """Squared distance of two rows: 0 for copies."""
    square = row.dtype.type(0)
    for f in range(row.shape[0]):
        square += (row[f] - other[f]) ** 2
    return square
