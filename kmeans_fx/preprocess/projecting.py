"""Principal components, with what brings projected rows back."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer
from kmeans_fx._backend.linalg import matmul
from kmeans_fx.preprocess._axes import checked, deviations, from_population, principal_axes
from kmeans_fx.preprocess.params import rows_for

__all__ = [
    "PCAParams",
    "apply_pca",
    "invert_pca",
    "pca",
]


class PCAParams(NamedTuple):
    """What `pca` found: ``projected = (x - mean) @ components.T / scale``.

    Attributes
    ----------
    mean : array (..., 1, d)
    components : array (..., r, d)
        Orthogonal axes of length 1, by falling variance; the largest entry of each is
        positive.
    explained_variance : array (..., r)
        Variance along each axis.
    explained_variance_ratio : array (..., r)
        Its share of the variance along all axes.
    scale : array (..., 1, r)
        What the projections were divided by: ones without ``whiten``.
    """

    mean: Any
    components: Any
    explained_variance: Any
    explained_variance_ratio: Any
    scale: Any


def pca(x, n_components=None, /, *, weights=None, whiten=False, correction=0.0):
    """Project rows on their principal axes.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    n_components : int, optional
        How many axes r to keep; the smaller of n and d if None.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    whiten : bool, default False
        Whether to scale every projection to variance 1.
    correction : float, default 0
        Variances are divided by the total weight less this: 0 is the population's
        variance, 1 the sample's (as scikit-learn has it).

    Returns
    -------
    projected : array (..., n, r)
    params : PCAParams

    Raises
    ------
    TypeError
        If an argument is not a real array, the libraries differ, or the library has no
        ``linalg``.
    ValueError
        If `n_components` is not from 1 to the smaller of n and d, `x` has fewer than
        two dimensions, `weights` does not fit its rows, or concrete values are not
        finite, or weights negative or all zero.

    Notes
    -----
    The axes are those of the covariances, summed in blocks, from ten rows a column on,
    and singular vectors of the rows themselves otherwise: as in scikit-learn, also in
    sign. Along an axis without variance `whiten` divides by 1.

    Differentiable where the variances differ.

    References
    ----------
    .. [1] I. T. Jolliffe, "Principal Component Analysis", 2nd edition, Springer, 2002
       (section 3.5 for the singular value decomposition).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import pca
    >>> x = np.asarray([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> projected, params = pca(x, 1)
    >>> projected
    array([[-5.],
           [ 0.],
           [ 5.]])
    >>> params.components
    array([[0.6, 0.8]])
    """
    xp, x, weights = checked(x, weights)
    most = min(x.shape[-2:])
    r = most if n_components is None else check_integer("n_components", n_components, 1)
    if r > most:
        msg = f"n_components must be at most {most} for x {tuple(x.shape)}, got {r}"
        raise ValueError(msg)
    mean, axes, variances, total = principal_axes(x, weights, r=r)
    factor = from_population(xp, x, weights, correction)
    variances = variances * factor[..., None]
    scale = xp.ones_like(variances)
    if whiten:
        scale = deviations(mean, variances, total * factor)
    whole = xp.where(total > 0, total, xp.ones_like(total)) * factor
    ratio = variances / whole[..., None]
    params = PCAParams(mean[..., None, :], axes, variances, ratio, scale[..., None, :])
    return apply_pca(x, params), params


def apply_pca(x, params, /):
    """Project other rows on the axes that were found.

    Parameters
    ----------
    x : array (..., m, d)
        Rows with the columns of the rows that `params` were found on.
    params : PCAParams
        Second result of `pca`.

    Returns
    -------
    array (..., m, r)
        ``(x - mean) @ components.T / scale``.

    Raises
    ------
    TypeError, ValueError
        If `x` is not an array, not of the library of `params`, or of other columns.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import apply_pca, pca
    >>> _, params = pca(np.asarray([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 1)
    >>> apply_pca(np.asarray([[9.0, 12.0]]), params)
    array([[10.]])
    """
    xp, dtype, rows, mean, axes, scale = rows_for(
        x, mean=params.mean, components=params.components, scale=params.scale
    )
    projected = matmul(rows - mean, xp.matrix_transpose(axes)) / scale
    return xp.astype(projected, dtype, copy=False)


def invert_pca(x, params, /):
    """Bring projected rows, or centroids found on them, back to the original columns.

    Parameters
    ----------
    x : array (..., m, r)
        Projected rows.
    params : PCAParams
        Second result of `pca`.

    Returns
    -------
    array (..., m, d)
        ``x * scale @ components + mean``: the original rows if no axis was dropped,
        else the nearest rows that lie on the axes that were kept.

    Raises
    ------
    TypeError, ValueError
        If `x` is not an array, not of the library of `params`, or of other columns.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import invert_pca, pca
    >>> projected, params = pca(np.asarray([[1.0, 1.0], [4.0, 5.0], [7.0, 9.0]]), 1)
    >>> invert_pca(projected, params).round(12)
    array([[1., 1.],
           [4., 5.],
           [7., 9.]])
    """
    xp, dtype, rows, scale, axes, mean = rows_for(
        x, scale=params.scale, components=params.components, mean=params.mean
    )
    return xp.astype(matmul(rows * scale, axes) + mean, dtype, copy=False)
