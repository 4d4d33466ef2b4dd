"""Loops over rows for one thread of a CPU, compiled by Numba.

``share`` is empty where there are no weights.
"""

from kmeans_fx._backend.kernels.compiled import compiled

__all__ = [
    "own_squares",
    "pack",
    "pack_each",
    "square_between",
    "sum_each",
    "sum_rows",
    "weight_of",
]


@compiled
def weight_of(share, i):
    return share[i] if share.shape[0] else share.dtype.type(1)


@compiled
def pack(centroids, operand, bias):
    """Centroids (k, d) as fields of a `kmeans_fx._backend.kernels.fused.Packed`."""
    d = centroids.shape[1]
    for j in range(centroids.shape[0]):
        bias[j] = 0
        for f in range(d):
            operand[(j // 8 * d + f) * 8 + j % 8] = -2 * centroids[j, f]
            bias[j] += centroids[j, f] ** 2


@compiled
def pack_each(centroids, operand, bias):
    """`pack` of every member of a batch: (m, k, d)."""
    for member in range(centroids.shape[0]):
        pack(centroids[member], operand[member], bias[member])


@compiled
def sum_rows(rows, origin, labels, share, sums, counts):
    """Adds the weighted rows (n, d), less the origin, to the sums (k, d) of their labels."""
    for i in range(rows.shape[0]):
        weight, own = weight_of(share, i), labels[i]
        counts[own] += weight
        for f in range(rows.shape[1]):
            sums[own, f] += weight * (rows[i, f] - origin[f])


@compiled
def sum_each(rows, origin, labels, share, sums, counts):
    """`sum_rows` of every member of a batch, of which some arrays may be one for all."""
    for member in range(sums.shape[0]):
        sum_rows(
            rows[member % rows.shape[0]],
            origin,
            labels[member % labels.shape[0]],
            share[member % share.shape[0]],
            sums[member],
            counts[member],
        )


@compiled
def own_squares(rows, centroids, labels, squares):
    """Squared distances (m, n) of the rows to the centroids (m, k, d) of their labels.

    There may be one member of rows, or of centroids, for all.
    """
    for member in range(labels.shape[0]):
        x, own = rows[member % rows.shape[0]], centroids[member % centroids.shape[0]]
        for i in range(labels.shape[1]):
            squares[member, i] = square_between(x[i], own[labels[member, i]])


@compiled
def square_between(row, other):
    """Squared distance of two rows: 0 for copies."""
    square = row.dtype.type(0)
    for f in range(row.shape[0]):
        square += (row[f] - other[f]) ** 2
    return square
