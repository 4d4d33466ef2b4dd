"""Whitening that stays near to the columns, with what undoes it."""

from typing import Any, NamedTuple

from kmeans_fx._backend.linalg import matmul
from kmeans_fx._backend.namespace import device
from kmeans_fx.preprocess._axes import checked, deviations, from_population, principal_axes
from kmeans_fx.preprocess.params import rows_for

__all__ = ["WhitenParams", "apply_whiten", "invert_whiten", "whiten"]


class WhitenParams(NamedTuple):
    """What `whiten` found: ``whitened = (x - mean) @ matrix``.

    Attributes
    ----------
    mean : array (..., 1, d)
    matrix : array (..., d, d)
        Symmetric: the inverse root of the covariances.
    inverse : array (..., d, d)
        The root of the covariances.
    """

    mean: Any
    matrix: Any
    inverse: Any


def whiten(x, /, *, weights=None, correction=0.0):
    """Turn columns into uncorrelated ones of variance 1 that stay near to themselves.

    Of all whitenings this is the one whose columns stay closest to the centred ones
    (ZCA, or Mahalanobis, whitening): column j is still about feature j. For whitened
    principal components see `pca`.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    correction : float, default 0
        Variances are divided by the total weight less this.

    Returns
    -------
    whitened : array (..., n, d)
        Euclidean distances between its rows are Mahalanobis distances of the rows.
    params : WhitenParams

    Raises
    ------
    TypeError, ValueError
        As `pca`.

    Notes
    -----
    Directions in which the rows do not vary are left as they are, so there is always a
    way back. Differentiable where the variances differ.

    References
    ----------
    .. [1] A. Kessy, A. Lewin, K. Strimmer, "Optimal whitening and decorrelation", The
       American Statistician 72(4), 2018 (equation 8).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import whiten
    >>> x = np.asarray([[0.0, 0.0], [2.0, 0.0], [0.0, 6.0], [2.0, 6.0]])
    >>> whiten(x)[0].round(12)
    array([[-1., -1.],
           [ 1., -1.],
           [-1.,  1.],
           [ 1.,  1.]])
    """
    xp, x, weights = checked(x, weights)
    mean, axes, variances, total = principal_axes(x, weights, r=min(x.shape[-2:]))
    factor = from_population(xp, x, weights, correction)
    scale = deviations(mean, variances * factor[..., None], total * factor)
    matrix, inverse = (_stretch(xp, axes, by) for by in (1.0 / scale, scale))
    params = WhitenParams(mean[..., None, :], matrix, inverse)
    return apply_whiten(x, params), params


def apply_whiten(x, params, /):
    """Give other rows the treatment that the whitened rows got.

    Parameters
    ----------
    x : array (..., m, d)
        Rows with the columns of the rows that `params` were found on.
    params : WhitenParams
        Second result of `whiten`.

    Returns
    -------
    array (..., m, d)
        ``(x - mean) @ matrix``.

    Raises
    ------
    TypeError, ValueError
        If `x` is not an array, not of the library of `params`, or of other columns.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import apply_whiten, whiten
    >>> _, params = whiten(np.asarray([[1.0], [3.0]]))
    >>> apply_whiten(np.asarray([[5.0]]), params)
    array([[3.]])
    """
    xp, dtype, rows, mean, matrix = rows_for(x, mean=params.mean, matrix=params.matrix)
    return xp.astype(matmul(rows - mean, matrix), dtype, copy=False)


def invert_whiten(x, params, /):
    """Bring whitened rows, or centroids found on them, back to the original units.

    Parameters
    ----------
    x : array (..., m, d)
        Whitened rows.
    params : WhitenParams
        Second result of `whiten`.

    Returns
    -------
    array (..., m, d)
        ``x @ inverse + mean``.

    Raises
    ------
    TypeError, ValueError
        If `x` is not an array, not of the library of `params`, or of other columns.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import invert_whiten, whiten
    >>> whitened, params = whiten(np.asarray([[1.0], [3.0]]))
    >>> invert_whiten(whitened, params)
    array([[1.],
           [3.]])
    """
    xp, dtype, rows, mean, inverse = rows_for(x, mean=params.mean, inverse=params.inverse)
    return xp.astype(matmul(rows, inverse) + mean, dtype, copy=False)


def _stretch(xp, axes, by):
    """The symmetric matrix that stretches along the axes and leaves the rest alone."""
    d = axes.shape[-1]
    identity = xp.eye(d, dtype=axes.dtype, device=device(axes))
    turned = xp.matrix_transpose(axes)
    return identity + matmul(turned * (by - 1.0)[..., None, :], axes)
