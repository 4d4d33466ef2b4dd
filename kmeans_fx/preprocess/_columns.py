"""Statistics of columns: weighted, over the values that are there."""

from math import ceil, floor

from kmeans_fx._backend.checks import check_finite, check_option, check_points, check_weights
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.transform import is_concrete

__all__ = ["column_mean", "column_range", "columns_of", "percentiles", "unless_constant"]

# A column whose spread is a few roundings of its largest value counts as constant.
_ROUNDINGS = 10

NAN_POLICIES = ("raise", "omit")


def columns_of(x, weights, nan_policy="raise"):
    """Namespace, rows and the weights of their values, in the dtype in which sums are kept.

    The weights are None, (..., n, 1), or with ``nan_policy="omit"`` (..., n, d): 0 at NaN,
    where the rows become 0.
    """
    check_option("nan_policy", nan_policy, NAN_POLICIES)
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights)
    rows = widened(x)
    shares = None if weights is None else weights[..., None]
    if nan_policy == "raise":
        check_finite(x=x)
        return xp, rows, shares
    there = ~xp.isnan(rows)
    rows = xp.where(there, rows, xp.zeros_like(rows))
    check_finite(x=rows)
    there = xp.astype(there, rows.dtype)
    return xp, rows, _in_every_column(xp, there if shares is None else there * shares)


def _in_every_column(xp, shares):
    """In an eager call, refuse a column without a value: it has no statistics."""
    if is_concrete(shares):
        totals = xp.sum(shares, axis=-2)
        if not bool(xp.all(totals > 0)):
            rest = tuple(range(totals.ndim - 1))
            worst = totals if not rest else xp.min(totals, axis=rest)
            column = int(xp.argmin(worst))
            msg = f"x must have a value in every column, got only NaN in column {column}"
            raise ValueError(msg)
    return shares


def column_range(xp, x, weights):
    """Least and greatest value of every column over the values that have weight."""
    low, high = x, x
    if weights is not None:
        low, high = xp.where(weights > 0, x, xp.inf), xp.where(weights > 0, x, -xp.inf)
    return xp.min(low, axis=-2, keepdims=True), xp.max(high, axis=-2, keepdims=True)


def unless_constant(xp, scale, low, high):
    """Replace the scale by 1 where the column's spread is nothing but rounding."""
    rounding = xp.finfo(low.dtype).eps * xp.maximum(xp.abs(low), xp.abs(high))
    return xp.where(scale > _ROUNDINGS * rounding, scale, xp.ones_like(scale))


def column_mean(xp, values, weights):
    """Weighted mean of every column."""
    if weights is None:
        return xp.mean(values, axis=-2, keepdims=True)
    total = xp.sum(weights, axis=-2, keepdims=True)
    return xp.sum(weights * values, axis=-2, keepdims=True) / total


def percentiles(xp, x, weights, percentages):
    """Averaged inverse of the distribution function of every column, (..., 1, d) each."""
    if weights is not None:
        return _weighted_percentiles(xp, x, weights, percentages)
    x, n = xp.sort(x, axis=-2), x.shape[-2]
    # Multiply first: 7 / 100 * 100 is more than 7.
    places = [p * n / 100 for p in percentages]
    pairs = [(max(ceil(place) - 1, 0), min(floor(place), n - 1)) for place in places]
    return [(x[..., i : i + 1, :] + x[..., j : j + 1, :]) / 2 for i, j in pairs]


def _weighted_percentiles(xp, x, weights, percentages):
    # Absent rows go last: behind the whole weight, where no percentile looks.
    x, weights = xp.broadcast_arrays(x, weights)
    order = xp.argsort(xp.where(weights > 0, x, xp.inf), axis=-2)
    x, weights = (xp.take_along_axis(a, order, axis=-2) for a in (x, weights))
    upto = xp.cumulative_sum(weights, axis=-2)
    total = upto[..., -1:, :]
    # Fractional weights add up to a share of their total only up to rounding.
    slack = 4 * xp.finfo(x.dtype).eps * total
    last = _count(xp, upto < total - slack)

    def percentile(p):
        lower = _count(xp, upto < p / 100 * total - slack)
        upper = xp.minimum(_count(xp, upto <= p / 100 * total + slack), last)
        i, j = (xp.take_along_axis(x, index, axis=-2) for index in (lower, upper))
        return (i + j) / 2

    return [percentile(p) for p in percentages]


def _count(xp, mask):
    return xp.count_nonzero(mask, axis=-2, keepdims=True)
