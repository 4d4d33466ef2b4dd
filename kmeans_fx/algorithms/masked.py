"""k-means of rows with missing values."""

from functools import partial

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_points,
    check_weights,
)
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partial import halves, with_mask
from kmeans_fx.algorithms.kmeans import kmeans
from kmeans_fx.assign import assign

__all__ = ["masked_assign", "masked_kmeans"]


def masked_kmeans(
    x,
    k,
    /,
    *,
    key,
    mask=None,
    init="k-means++",
    n_init=1,
    weights=None,
    max_iter=300,
    tol=1e-4,
    empty="farthest",
    chunk_size=None,
    history=False,
):
    """k-means of rows with missing values, from the values that are there.

    Minimises the sum of the squared differences to the centroids over all values that
    are there; nothing is filled in.

    Parameters
    ----------
    x : array (..., n, d)
        Rows to cluster.
    k : int
        Number of clusters, from 1 to n.
    key : int, array (..., 2) or generator
        Source of all randomness, as for `kmeans`.
    mask : bool array (..., n, d), optional
        True where a value is there; where it is not NaN if None.
    init : str, array (..., k, d) or callable
        As for `kmeans`; a callable gets rows in which columns' means are filled in.
    n_init : int
        Restarts, of which the one with the lowest inertia is returned.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    max_iter, tol, empty, chunk_size, history
        As for `lloyd`; the variance that ``tol`` is relative to is that of the columns
        with means filled in, averaged with that of the columns of the mask.

    Returns
    -------
    KMeansResult
        Its inertia is over the values that are there.

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and if ``mask`` is no bool array in the shape of ``x``, or, in an
        eager call, if a column has no value.

    Notes
    -----
    The objective is that of k-POD [1]_. Every iteration assigns rows by their distance
    over the columns they have and moves centroids to the means of the values there are
    [2]_, each of which minimises it directly; k-POD's fills rows from their centroids and
    goes in smaller steps. Where a cluster has no value in a column, its centroid has the
    mean of the column. A row without any value is at distance 0 of all centroids.

    Right where values are missing at random, and worth little where whether one is
    missing tells the cluster: then add the mask to the columns. Slower than `kmeans`, which
    multiplies matrices: distances are sums over (rows, k, d) differences, in blocks.

    Differentiable as `lloyd` is, with gradient 0 where a value is missing.

    References
    ----------
    .. [1] J. T. Chi, E. C. Chi, R. G. Baraniuk, "k-POD: a method for k-means clustering of
       missing data", The American Statistician 70(1), 2016 (equation 3).
    .. [2] A. Lithio, R. Maitra, "An efficient k-means-type algorithm for clustering datasets
       with incomplete records", Statistical Analysis and Data Mining 11(6), 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import masked_kmeans
    >>> nan = np.nan
    >>> x = np.array([[0.0, 1.0], [nan, 3.0], [2.0, nan], [9.0, 9.0], [9.0, nan]])
    >>> result = masked_kmeans(x, 2, key=0)
    >>> np.sort(result.centroids, axis=0)
    array([[1., 2.],
           [9., 9.]])
    >>> filled = np.where(np.isnan(x), result.centroids[result.labels], x)
    >>> filled[1:3]
    array([[1., 3.],
           [2., 2.]])
    """
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights)
    rows = _rows(xp, x, mask)
    if callable(init):
        init = partial(_filled_start, init)
    elif not isinstance(init, str):
        init = _complete(check_features(xp, x, init=init))
    result = kmeans(
        rows,
        k,
        key=key,
        init=init,
        n_init=n_init,
        weights=weights,
        metric="partial",
        max_iter=max_iter,
        tol=tol,
        empty=empty,
        chunk_size=chunk_size,
        history=history,
    )
    return result._replace(centroids=halves(result.centroids)[0])


def masked_assign(x, centroids, /, *, mask=None, chunk_size=None):
    """Nearest centroid of every row, by the values that are there.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    mask : bool array (..., n, d), optional
        True where a value is there; where it is not NaN if None.
    chunk_size : int, optional
        As for `assign`.

    Returns
    -------
    Assignment
        Its distances are squared, over the columns that a row has. Ties go to the first
        centroid.

    Raises
    ------
    TypeError, ValueError
        As `assign`, and for ``mask`` as `masked_kmeans`.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import masked_assign
    >>> centroids = np.array([[0.0, 0.0], [9.0, 9.0]])
    >>> masked_assign(np.array([[np.nan, 8.0], [1.0, np.nan]]), centroids).labels
    array([1, 0])
    """
    xp, x = check_points(x=x)
    rows = _rows(xp, x, mask, every_column=False)
    centroids = _complete(check_features(xp, x, centroids=centroids))
    return assign(rows, centroids, metric="partial", chunk_size=chunk_size)


def _rows(xp, x, mask, every_column=True):
    """Values and mask side by side, checked."""
    if mask is None:
        mask = ~xp.isnan(x)
    else:
        array_namespace(x=x, mask=mask)
        if not xp.isdtype(mask.dtype, "bool"):
            msg = f"mask must be a bool array, got {mask.dtype}"
            raise TypeError(msg)
        if mask.shape != x.shape:
            msg = f"mask must have the shape of x, {tuple(x.shape)}, got {tuple(mask.shape)}"
            raise ValueError(msg)
    check_finite(x=xp.where(mask, x, xp.zeros_like(x)))
    values = xp.any(mask, axis=-2)
    if every_column and is_concrete(values) and not bool(xp.all(values)):
        msg = "x must have a value in every column"
        raise ValueError(msg)
    return with_mask(x, mask)


def _complete(centroids):
    """Centroids as rows that have every value."""
    xp = array_namespace(centroids=centroids)
    return xp.concat([centroids, xp.ones_like(centroids)], axis=-1)


def _filled_start(start, rows, k, *, key, weights):
    """What a caller's init finds in rows with means filled in."""
    values = halves(rows)[0]
    found = start(values, k, key=key, weights=weights)
    return _complete(check_features(array_namespace(x=values), values, init=found))
