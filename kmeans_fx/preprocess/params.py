"""What a scaling did to the columns, for other rows and for the way back."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_points
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace

__all__ = ["ScaleParams", "apply_scale", "invert_scale", "rows_for"]


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
        ``(x - shift) / scale``; NaN stays NaN.

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
    xp, dtype, rows, shift, scale = rows_for(x, **params._asdict())
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
    xp, dtype, rows, shift, scale = rows_for(x, **params._asdict())
    return xp.astype(rows * scale + shift, dtype, copy=False)


def rows_for(x, **columns):
    """Rows, and parameters (..., 1 or d), in the dtype in which the rows' sums are kept.

    Also the namespace and the dtype of the result. The first of the parameters tells how
    many columns the rows must have.
    """
    params = next(iter(columns.values()))
    array_namespace(x=x, params=params)
    xp, x = check_points(x=x)
    if params.shape[-1] not in (1, x.shape[-1]):
        msg = f"x must have {params.shape[-1]} columns to match params, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    dtype = accumulation_dtype(xp, x.dtype)
    arrays = (xp.astype(a, dtype, copy=False) for a in (x, *columns.values()))
    return xp, x.dtype, *arrays
