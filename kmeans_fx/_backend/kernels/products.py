"""The kernels as array programs of NumPy, where there is no compiler.

Each function does what its namesake in `kmeans_fx._backend.kernels.fused` does.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.drift import drift as portable_drift
from kmeans_fx._backend.kernels.product_bounds import update_bounds
from kmeans_fx._backend.kernels.product_seeding import candidates_of, gains, shrink_reach
from kmeans_fx._backend.kernels.product_tiles import (
    label_rows,
    nearest,
    sum_by_label,
    taken,
    tile_of,
    tiles,
)
from kmeans_fx._backend.threads import rows_per_long_call as rows_per_call

__all__ = [
    "Packed",
    "assign",
    "candidates_of",
    "drift",
    "gains",
    "own_squares",
    "pack",
    "rows_per_call",
    "shrink_reach",
    "update_bounds",
]


class Packed(NamedTuple):
    """Centroids as a product takes them.

    Attributes
    ----------
    operand : ((m,) d + 1, k)
        -2 C^T above the bias.
    bias : ((m,) k)
        |c|^2, or for one that is dropped the largest number: a product must not meet infinity,
        with which BLAS would multiply zeros of its own.
    """

    operand: Any
    bias: Any


def pack(centroids, dropped=None):
    """The Packed centroids ((m,) k, d); those marked in ``dropped`` are never the nearest."""
    columns = np.swapaxes(centroids, -1, -2) * -2
    bias = np.einsum("...ij,...ij->...i", centroids, centroids)
    if dropped is not None:
        bias = np.where(dropped, np.finfo(bias.dtype).max, bias)
        columns = np.where(dropped[..., None, :], np.zeros_like(columns[..., :1, :1]), columns)
    return Packed(np.concatenate([columns, bias[..., None, :]], axis=-2), bias)


def assign(rows, origin, centroids, share, stats=True):
    """Labels, sums and counts of rows (n, d) less the origin, by the Packed centroids.

    The other arrays may be of several members, of which each has the same rows.
    """
    given = (origin, 1), (centroids.operand, 2), (share, 1)
    members = [len(a) for a, rank in given if a is not None and a.ndim > rank]
    if not members:
        return _assign(rows, origin, centroids.operand, share, stats)
    m = max(members)
    each = (a if a is not None and a.ndim > rank else [a] * m for a, rank in given)
    found = [_assign(rows, o, c, s, stats) for o, c, s in zip(*each, strict=True)]
    return tuple(np.stack(fields) for fields in zip(*found, strict=True))


def _assign(x, origin, operand, share, stats):
    d, k = operand.shape[0] - 1, operand.shape[1]
    labels, totals = np.empty(x.shape[0], np.intp), np.zeros((k, d + 1))
    if not stats:
        label_rows(x, origin, operand, labels)
        return (labels,)
    for here in tiles(x.shape[0], d, k):
        tile = tile_of(x[here], origin.dtype, origin)
        nearest(tile, operand, labels[here])
        totals += sum_by_label(tile, labels[here], k, None if share is None else share[here])
    totals = totals.astype(x.dtype)
    return labels, totals[:, :-1], totals[:, -1]


def drift(centroids, previous, packed, slack):
    """`kmeans_fx._backend.drift.drift`."""
    del packed
    return portable_drift(centroids, previous, slack)


def own_squares(rows, centroids, labels):
    """Squared distances ((m,) n) of rows (n, d) to the centroids ((m,) k, d) of their labels."""
    if labels.ndim > 1:
        return np.stack([own_squares(rows, *each) for each in zip(centroids, labels, strict=True)])
    squares = np.empty(rows.shape[0], centroids.dtype)
    for here in tiles(rows.shape[0], rows.shape[1], 1):
        gap = taken("gap", centroids, labels[here])
        np.subtract(rows[here], gap, out=gap)
        np.einsum("ij,ij->i", gap, gap, out=squares[here])
    return squares
