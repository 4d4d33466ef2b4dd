"""Scaling as pure functions that return the result and what undoes it."""

from kmeans_fx._backend.checks import check_option
from kmeans_fx.preprocess._columns import (
    column_mean,
    column_range,
    columns_of,
    percentiles,
    unless_constant,
)
from kmeans_fx.preprocess.params import ScaleParams, apply_scale

__all__ = ["minmax_scale", "normalize", "robust_scale", "standardize"]


def standardize(x, /, *, weights=None, nan_policy="raise"):
    """Scale every column to mean 0 and variance 1.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    nan_policy : {"raise", "omit"}, default "raise"
        What becomes of NaN: an error, or no part of the statistics, and NaN in the result.

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
        concrete weights are negative, not finite or all zero; if concrete values are not
        finite (NaN is let through by "omit", except in a column that has nothing else).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import standardize
    >>> standardize(np.asarray([[1.0], [3.0]]))[0]
    array([[-1.],
           [ 1.]])
    """
    xp, rows, weights = columns_of(x, weights, nan_policy)
    low, high = column_range(xp, rows, weights)
    # In units of the half range around its middle: squares neither overflow nor vanish,
    # no digits are lost to a large mean, and a constant column deviates by 0.
    middle, half = low / 2 + high / 2, unless_constant(xp, high / 2 - low / 2, low, high)
    if weights is not None:
        rows = xp.where(weights > 0, rows, middle)
    units = (rows - middle) / half
    mean = column_mean(xp, units, weights)
    deviation = half * _root(xp, column_mean(xp, (units - mean) ** 2, weights))
    params = ScaleParams(middle + half * mean, unless_constant(xp, deviation, low, high))
    return apply_scale(x, params), params


def minmax_scale(x, /, *, weights=None, nan_policy="raise", feature_range=(0.0, 1.0)):
    """Scale every column to a given range.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Rows of weight 0 are left out when the range of a column is taken.
    nan_policy : {"raise", "omit"}, default "raise"
        What becomes of NaN: an error, or no part of the statistics, and NaN in the result.
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
        does not fit its rows, or concrete weights are negative, not finite or all zero;
        if concrete values are not finite (NaN is let through by "omit", except in a
        column that has nothing else).

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
    xp, rows, weights = columns_of(x, weights, nan_policy)
    low, high = column_range(xp, rows, weights)
    scale = unless_constant(xp, high - low, low, high) / (greatest - least)
    params = ScaleParams(low - least * scale, scale)
    return apply_scale(x, params), params


def robust_scale(x, /, *, weights=None, nan_policy="raise", quantile_range=(25.0, 75.0)):
    """Scale every column by its median and the distance between two quantiles.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    nan_policy : {"raise", "omit"}, default "raise"
        What becomes of NaN: an error, or no part of the statistics, and NaN in the result.
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
        not finite or all zero; if concrete values are not finite (NaN is let through by
        "omit", except in a column that has nothing else).

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
    xp, rows, weights = columns_of(x, weights, nan_policy)
    low, high = column_range(xp, rows, weights)
    first, median, last = percentiles(xp, rows, weights, (lower, 50, upper))
    params = ScaleParams(median, unless_constant(xp, last - first, low, high))
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
    xp, rows, _ = columns_of(x, None)
    length = _NORMS[norm](xp, rows)
    scale = xp.where(length > 0, length, xp.ones_like(length))
    params = ScaleParams(xp.zeros_like(length), scale)
    return apply_scale(x, params), params


def _root(xp, squares):
    # The slope of the root at 0 is infinite: give the dead branch a safe operand.
    safe = xp.where(squares > 0, squares, xp.ones_like(squares))
    return xp.where(squares > 0, xp.sqrt(safe), xp.zeros_like(squares))


_NORMS = {
    "l1": lambda xp, x: xp.sum(xp.abs(x), axis=-1, keepdims=True),
    "l2": lambda xp, x: _root(xp, xp.sum(x * x, axis=-1, keepdims=True)),
    "max": lambda xp, x: xp.max(xp.abs(x), axis=-1, keepdims=True),
}
