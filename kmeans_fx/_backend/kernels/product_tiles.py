"""Tiles of rows against all centroids, as products of matrices in memory that is taken once.

NumPy. A tile (n, d + 1) is rows beside a column of ones, centred or not, so that one product gives
scores with their bias, and sums bring their counts. ``operand`` (d + 1, k) is that of a
`kmeans_fx._backend.kernels.products.Packed`, and ``share`` the weights of the rows or None.
"""

from math import inf

import numpy as np

from kmeans_fx._backend.scratch import scratch

__all__ = [
    "first_least",
    "in_runs",
    "label_rows",
    "moved_by_label",
    "nearest",
    "sum_by_label",
    "taken",
    "tile_of",
    "tiles",
    "two_nearest",
]

# Numbers of scratch that a tile may take, and how many rows it may have.
_NUMBERS, _MOST_ROWS = 1 << 19, 30_000
# Below these the scores of a row are too few for argmin along them, which mispredicts branches: in
# a tile whose columns are in one piece, and in others, whose scores across come more slowly.
_FEW_CENTROIDS, _FEW_CENTROIDS_OF_ROWS = 128, 24
# Sums from which on a product with all of them costs more than to sort the rows; to clear the signs
# of a row for a cluster takes as long as so many products.
_DEAR_SIGNS, _CLEARED = 1 << 14, 16
# Up to here a loop over the columns of a row is too short, and columns lie in one piece.
_FEW_COLUMNS = 16


def tiles(n, d, k):
    """Slices of n rows, of which each is some work for a thread and not much memory."""
    size = max(256, min(_MOST_ROWS, _NUMBERS // (d + k)))
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def tile_of(rows, dtype, origin=None):
    """The tile of rows, less the origin if there is one: of few columns in column-major order."""
    n, d = rows.shape
    if d <= _FEW_COLUMNS:
        columns = scratch("tile", (d + 1, n), dtype)
        if origin is None:
            columns[:d] = rows.T
        else:
            np.subtract(rows.T, origin[:, None], out=columns[:d])
        columns[d] = 1
        return columns.T
    tile = scratch("tile", (-(-n // 8) * 8, d + 1), dtype)
    tile[:n, :d], tile[:, d] = rows, 1
    if origin is not None:
        # Eight rows at a time, of which the last may be of no use: one row is a short loop.
        eight = tile.reshape(-1, 8 * (d + 1))
        np.subtract(eight, np.tile(np.append(origin, origin.dtype.type(0)), 8), out=eight)
    return tile[:n]


def taken(name, array, index):
    """``array[index]`` of whole rows, in the scratch of the name."""
    out = scratch(name, (*index.shape, *array.shape[1:]), array.dtype)
    return np.take(array, index, axis=0, out=out, mode="clip")


def label_rows(x, origin, operand, labels):
    """Writes the labels of all rows, which are centred only where that keeps digits."""
    columns, bias = operand[:-1].astype(np.float64), operand[-1]
    farthest = np.einsum("ij,ij->j", columns, columns).max() / 4
    if origin @ origin <= farthest:
        # |c|^2 - 2 (x - o).c, with terms that are as large with o as without.
        operand = np.vstack((operand[:-1], bias - origin @ columns)).astype(operand.dtype)
        origin = None
    for here in tiles(x.shape[0], x.shape[1], operand.shape[1]):
        nearest(tile_of(x[here], operand.dtype, origin), operand, labels[here])


def nearest(tile, operand, out):
    """Writes the labels of the rows."""
    if not _lie_across(operand):
        return _scores(tile, operand).argmin(axis=1, out=out)
    scores = _scores_across(tile, operand)
    return first_least(scores, scores.min(axis=0), out)


def two_nearest(tile, operand):
    """Labels of the rows, their scores, and those of the next nearest centroids."""
    n, k = tile.shape[0], operand.shape[1]
    if not _lie_across(operand):
        scores = _scores(tile, operand)
        label, flat, starts = scores.argmin(axis=1), scores.reshape(-1), np.arange(0, n * k, k)
        place = starts + label
        low = flat[place]
        flat[place] = inf
        # For short rows min is slower.
        return label, low, flat[starts + scores.argmin(axis=1)]
    scores = _scores_across(tile, operand)
    low = scores.min(axis=0)
    label = first_least(scores, low)
    scores[label, np.arange(n)] = inf
    return label, low, scores.min(axis=0)


def _lie_across(operand):
    """Whether the scores of a centroid, and not of a row, lie in one piece."""
    columns, k = operand.shape
    few = _FEW_CENTROIDS if columns <= _FEW_COLUMNS + 1 else _FEW_CENTROIDS_OF_ROWS
    return k < few


def _scores(tile, operand):
    out = scratch("scores", (tile.shape[0], operand.shape[1]), tile.dtype)
    return np.matmul(tile, operand, out=out)


def _scores_across(tile, operand):
    out = scratch("scores", (operand.shape[1], tile.shape[0]), tile.dtype)
    return np.matmul(np.ascontiguousarray(operand.T), tile.T, out=out)


def first_least(scores, low, out=None):
    """The first place along axis 0 where few scores are their minimum, by vectorised operations."""
    # Textbook form: scores.argmin(axis=0).
    k = scores.shape[0]
    equal = np.equal(scores, low, out=scratch("equal", scores.shape, bool)).view(np.uint8)
    # The first of equal scores has the largest rank. Rows of NaN equal nothing, as if the last.
    rank = np.arange(k - 1, -1, -1, dtype=np.uint8)[:, None]
    most = np.multiply(equal, rank, out=equal).max(axis=0)
    return np.subtract(k - 1, most, out=out, dtype=np.intp)


def sum_by_label(tile, labels, k, share):
    """Weighted sums of the rows and, in the last column, weights: (k, d + 1) in float64."""
    order, present, starts = in_runs(labels, np.bincount(labels, minlength=k))
    if tile.flags.c_contiguous:
        ordered = taken("ordered", tile, order)
    else:
        ordered = np.take(tile.T, order, axis=1).T
    if share is not None:
        ordered *= share[order][:, None]
    # One after the other: in half the digits many equal ones would lose some.
    wide = scratch("wide", ordered.shape, np.float64)
    np.copyto(wide, ordered)
    sums = np.zeros((k, tile.shape[1]))
    sums[present] = np.add.reduceat(wide, starts, axis=0)
    return sums


def moved_by_label(tile, labels, before, k, share):
    """What sums and weights (k, d + 1) gain by rows that leave the clusters ``before``."""
    m, columns = tile.shape
    if k * (columns + _CLEARED) > _DEAR_SIGNS:
        gained = sum_by_label(tile, labels, k, share)
        return gained - sum_by_label(tile, before, k, share)
    # The same as one product, of which Python has fewer calls to make.
    sign = scratch("sign", (m, k), tile.dtype)
    sign[:] = 0
    flat, starts = sign.reshape(-1), np.arange(0, m * k, k)
    share = 1 if share is None else share
    flat[starts + labels] = share
    flat[starts + before] = -share
    return sign.T @ tile


def in_runs(labels, sizes):
    """The order that brings equal labels together, which there are, and where each run starts.

    ``sizes`` (k,) are how many rows every label has.
    """
    # Labels of 16 bits sort by radix, several times faster than wider ones.
    few = sizes.shape[0] <= 1 << 16
    order = np.argsort(labels.astype(np.uint16) if few else labels, kind="stable")
    present = np.flatnonzero(sizes)
    return order, present, (np.cumsum(sizes) - sizes)[present]
