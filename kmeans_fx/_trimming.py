"""Leaving out a share of the weight: that of the rows farthest away."""

from math import ceil

from kmeans_fx._backend.checks import check_number
from kmeans_fx._backend.namespace import array_namespace

__all__ = ["check_trim", "left_in"]


def left_in(distances, weights, trim):
    """Weights (..., n), of which the share ``trim`` is taken off the largest distances.

    The row in which the cut falls keeps the rest of its weight: this, and nothing less,
    makes the weighted sum of the distances as small as it can be, and the same for a row
    of weight m as for m rows. Of equal distances the first rows lose first.
    """
    xp = array_namespace(distances=distances)
    if weights is None:
        weights = xp.ones_like(distances)
        if trim == 0:
            return weights
        cut, slack, bound = _cut_rows(xp, distances, trim)
    else:
        cut, slack, bound = _cut_weights(xp, distances, weights, trim)
    zeros = xp.zeros_like(weights)
    beyond, border = distances > bound, distances == bound
    left = cut - xp.sum(xp.where(beyond, weights, zeros), axis=-1, keepdims=True)
    on_border = xp.where(border, weights, zeros)
    left = left - (xp.cumulative_sum(on_border, axis=-1) - on_border)
    rest = xp.where(weights - left > slack, weights - left, zeros)
    kept = xp.where(border & (left > slack), rest, weights)
    return xp.where(beyond, zeros, kept)


def _cut_rows(xp, distances, trim):
    """The number of rows to leave out, a tolerance, and the last of their distances."""
    n = distances.shape[-1]
    cut = trim * n
    # 0.29 * 100 is less than 29.
    cut = float(round(cut)) if abs(cut - round(cut)) < 1e-9 * n else cut
    last = n - max(ceil(cut), 1)
    return cut, 0.0, xp.sort(distances, axis=-1)[..., last : last + 1]


def _cut_weights(xp, distances, weights, trim):
    """The weight (..., 1) to leave out, a tolerance, and the last of the distances."""
    distances, weights = xp.broadcast_arrays(distances, weights)
    order = xp.argsort(distances, axis=-1, descending=True, stable=True)
    upto = xp.cumulative_sum(xp.take_along_axis(weights, order, axis=-1), axis=-1)
    total = upto[..., -1:]
    # Weights add up to a share of their total only up to rounding.
    cut, slack = trim * total, 4 * float(xp.finfo(weights.dtype).eps) * total
    last = xp.count_nonzero(upto < cut - slack, axis=-1, keepdims=True)
    last = xp.take_along_axis(order, last, axis=-1)
    return cut, slack, xp.take_along_axis(distances, last, axis=-1)


def check_trim(trim):
    """A share of the weight, as a float from 0 to less than 1."""
    trim = check_number("trim", trim)
    if not 0 <= trim < 1:
        msg = f"trim must be from 0 to less than 1, got {trim}"
        raise ValueError(msg)
    return trim
