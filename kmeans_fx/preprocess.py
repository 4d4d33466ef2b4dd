"""Scaling as pure functions that return the result and what undoes it."""

from math import ceil, floor
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_finite, check_option, check_points, check_weights
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace

__all__ = [
    "ScaleParams",
    "apply_scale",
    "invert_scale",
    "minmax_scale",
    "normalize",
    "robust_scale",
    "standardize",
]

# A column whose spread is a few roundings of its largest value counts as constant.
_ROUNDINGS = 10


class ScaleParams(NamedTuple):
    """What a scaling did: ``scaled = (x - shift) / scale``.

    Attributes
    ----------
    shift : array (..., 1, d), or (..., n, 1) of `normalize`
        In the accumulation dtype of the rows.
    scale : array (..., 1, d), or (..., n, 1) of `normalize`
        Never 0.
    """

    shift: Any
    scale: Any


def apply_scale(x, params, /):
    """Give other rows the treatment that the fitted rows got.

    Parameters
    ----------
    x : array (..., m, d)
        Rows with the columns of the rows that `params` were found on.
    params : ScaleParams
        Second result of a scaling function.

    Returns
    -------
    array (..., m, d)
        ``(x - shift) / scale``.

    Raises
    ------
    TypeError
        If `x` is not an array, or not of the library of `params`.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import apply_scale, standardize
    >>> scaled, params = standardize(np.asarray([[1.0], [3.0]]))
    >>> apply_scale(np.asarray([[5.0]]), params)
    array([[3.]])
    """
    xp, rows, shift, scale, dtype = _fit_together(x, params)
    return xp.astype((rows - shift) / scale, dtype, copy=False)


def invert_scale(x, params, /):
    """Bring scaled rows, or centroids found on them, back to the original units.

    Parameters
    ----------
    x : array (..., m, d)
        Scaled rows.
    params : ScaleParams
        Second result of a scaling function.

    Returns
    -------
    array (..., m, d)
        ``x * scale + shift``.

    Raises
    ------
    TypeError
        If `x` is not an array, or not of the library of `params`.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import invert_scale, standardize
    >>> scaled, params = standardize(np.asarray([[1.0], [3.0]]))
    >>> invert_scale(scaled, params)
    array([[1.],
           [3.]])
    """
    xp, rows, shift, scale, dtype = _fit_together(x, params)
    return xp.astype(rows * scale + shift, dtype, copy=False)


def standardize(x, /, *, weights=None):
    """Scale every column to mean 0 and variance 1.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    scaled : array (..., n, d)
        A constant column becomes 0.
    params : ScaleParams
        Mean and standard deviation (of the population: divided by n), (..., 1, d);
        1 in place of the standard deviation of a constant column.

    Raises
    ------
    TypeError
        If an argument is not a real array, or the libraries differ.
    ValueError
        If `x` has fewer than two dimensions, `weights` does not fit its rows, or
        concrete weights are negative, not finite or all zero.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import standardize
    >>> standardize(np.asarray([[1.0], [3.0]]))[0]
    array([[-1.],
           [ 1.]])
    """
    xp, rows, weights = _check(x, weights)
    low, high = _range(xp, rows, weights)
    # In units of the half range around its middle: squares neither overflow nor vanish,
    # no digits are lost to a large mean, and a constant column deviates by 0.
    middle, half = low / 2 + high / 2, _unless_constant(xp, high / 2 - low / 2, low, high)
    if weights is not None:
        rows = xp.where(weights > 0, rows, middle)
    units = (rows - middle) / half
    mean = _mean(xp, units, weights)
    deviation = half * _root(xp, _mean(xp, (units - mean) ** 2, weights))
    params = ScaleParams(middle + half * mean, _unless_constant(xp, deviation, low, high))
    return apply_scale(x, params), params


def minmax_scale(x, /, *, weights=None, feature_range=(0.0, 1.0)):
    """Scale every column to a given range.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Rows of weight 0 are left out when the range of a column is taken.
    feature_range : tuple of two floats, default (0, 1)
        Least and greatest value of a scaled column.

    Returns
    -------
    scaled : array (..., n, d)
        A constant column becomes ``feature_range[0]``.
    params : ScaleParams
        Both (..., 1, d).

    Raises
    ------
    TypeError
        If an argument is not a real array, or the libraries differ.
    ValueError
        If `feature_range` does not rise, `x` has fewer than two dimensions, `weights`
        does not fit its rows, or concrete weights are negative, not finite or all zero.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import minmax_scale
    >>> minmax_scale(np.asarray([[1.0], [2.0], [5.0]]))[0]
    array([[0.  ],
           [0.25],
           [1.  ]])
    """
    least, greatest = feature_range
    if not least < greatest:
        msg = f"feature_range must rise, got {feature_range}"
        raise ValueError(msg)
    xp, rows, weights = _check(x, weights)
    low, high = _range(xp, rows, weights)
    scale = _unless_constant(xp, high - low, low, high) / (greatest - least)
    params = ScaleParams(low - least * scale, scale)
    return apply_scale(x, params), params


def robust_scale(x, /, *, weights=None, quantile_range=(25.0, 75.0)):
    """Scale every column by its median and the distance between two quantiles.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    quantile_range : tuple of two floats, default (25, 75)
        Percentages between 0 and 100 whose distance becomes 1.

    Returns
    -------
    scaled : array (..., n, d)
        A column whose two quantiles are equal is shifted and not scaled.
    params : ScaleParams
        Median and distance, (..., 1, d).

    Raises
    ------
    TypeError
        If an argument is not a real array, or the libraries differ.
    ValueError
        If `quantile_range` does not rise within 0 to 100, `x` has fewer than two
        dimensions, `weights` does not fit its rows, or concrete weights are negative,
        not finite or all zero.

    Notes
    -----
    Quantiles are the averaged inverse of the distribution function, definition 2 of
    [1]_: no definition that interpolates between order statistics (as scikit-learn's
    ``RobustScaler``, definition 7) stays the same when every row is counted twice.
    The median is the usual one.

    References
    ----------
    .. [1] R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The
       American Statistician 50(4), 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import robust_scale
    >>> robust_scale(np.asarray([[1.0], [2.0], [3.0], [4.0], [500.0]]))[0]
    array([[ -1. ],
           [ -0.5],
           [  0. ],
           [  0.5],
           [248.5]])
    """
    lower, upper = quantile_range
    if not 0 <= lower < upper <= 100:
        msg = f"quantile_range must rise within 0 to 100, got {quantile_range}"
        raise ValueError(msg)
    xp, rows, weights = _check(x, weights)
    low, high = _range(xp, rows, weights)
    first, median, last = _percentiles(xp, rows, weights, (lower, 50, upper))
    params = ScaleParams(median, _unless_constant(xp, last - first, low, high))
    return apply_scale(x, params), params


def normalize(x, /, *, norm="l2"):
    """Scale every row to length 1.

    Rows do not look at each other, so there are no weights here.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    norm : {"l2", "l1", "max"}, default "l2"
        Which length.

    Returns
    -------
    scaled : array (..., n, d)
        A row of zeros stays.
    params : ScaleParams
        Zeros and the lengths, (..., n, 1); 1 in place of the length of a row of zeros.

    Raises
    ------
    TypeError
        If `x` is not a real array.
    ValueError
        If `x` has fewer than two dimensions or `norm` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import normalize
    >>> normalize(np.asarray([[3.0, 4.0]]))[0]
    array([[0.6, 0.8]])
    """
    check_option("norm", norm, _NORMS)
    xp, rows, _ = _check(x, None)
    length = _NORMS[norm](xp, rows)
    scale = xp.where(length > 0, length, xp.ones_like(length))
    params = ScaleParams(xp.zeros_like(length), scale)
    return apply_scale(x, params), params


def _check(x, weights):
    """Namespace, rows and weights (..., n, 1), all in the dtype in which sums are kept."""
    xp, x = check_points(x=x)
    check_finite(x=x)
    weights = check_weights(xp, x, weights)
    x = xp.astype(x, accumulation_dtype(xp, x.dtype), copy=False)
    return xp, x, None if weights is None else weights[..., None]


def _fit_together(x, params):
    """Rows, shift and scale in the dtype in which the rows' sums are kept."""
    array_namespace(x=x, params=params.shift)
    xp, x = check_points(x=x)
    columns = params.shift.shape[-1]
    if columns not in (1, x.shape[-1]):
        msg = f"x must have {columns} columns to match params, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    dtype = accumulation_dtype(xp, x.dtype)
    rows, shift, scale = (xp.astype(a, dtype, copy=False) for a in (x, *params))
    return xp, rows, shift, scale, x.dtype


def _range(xp, x, weights):
    """Least and greatest value of every column over the rows that have weight."""
    low, high = x, x
    if weights is not None:
        low, high = xp.where(weights > 0, x, xp.inf), xp.where(weights > 0, x, -xp.inf)
    return xp.min(low, axis=-2, keepdims=True), xp.max(high, axis=-2, keepdims=True)


def _unless_constant(xp, scale, low, high):
    """Replace the scale by 1 where the column's spread is nothing but rounding."""
    rounding = xp.finfo(low.dtype).eps * xp.maximum(xp.abs(low), xp.abs(high))
    return xp.where(scale > _ROUNDINGS * rounding, scale, xp.ones_like(scale))


def _mean(xp, values, weights):
    if weights is None:
        return xp.mean(values, axis=-2, keepdims=True)
    total = xp.sum(weights, axis=-2, keepdims=True)
    return xp.sum(weights * values, axis=-2, keepdims=True) / total


def _root(xp, squares):
    # The slope of the root at 0 is infinite: give the dead branch a safe operand.
    safe = xp.where(squares > 0, squares, xp.ones_like(squares))
    return xp.where(squares > 0, xp.sqrt(safe), xp.zeros_like(squares))


def _percentiles(xp, x, weights, percentages):
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


_NORMS = {
    "l1": lambda xp, x: xp.sum(xp.abs(x), axis=-1, keepdims=True),
    "l2": lambda xp, x: _root(xp, xp.sum(x * x, axis=-1, keepdims=True)),
    "max": lambda xp, x: xp.max(xp.abs(x), axis=-1, keepdims=True),
}
