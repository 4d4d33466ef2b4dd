"""Filling in what is missing: a column's mean or median, or the nearest rows' mean."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer, check_option, check_points
from kmeans_fx._backend.namespace import device, index_dtype, is_jax_namespace
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx.preprocess._columns import column_mean, columns_of, percentiles
from kmeans_fx.preprocess._donors import nearest_donors, pick
from kmeans_fx.preprocess.params import rows_for

__all__ = ["ImputeParams", "apply_impute", "impute"]


class ImputeParams(NamedTuple):
    """What `impute` fills in.

    Attributes
    ----------
    fill : array (..., 1, d)
        For every column: where no row can tell, with the method "knn".
    rows : array (..., m, d)
        The rows that were given, NaN and all, with the method "knn"; else none.
    weights : array (..., m)
        Theirs.
    places : array (k,)
        Zeros, as many as neighbours.
    """

    fill: Any
    rows: Any
    weights: Any
    places: Any


def impute(x, /, *, method="mean", n_neighbors=5, weights=None):
    """Fill in missing values, marked by NaN.

    Parameters
    ----------
    x : array (..., n, d)
        Rows; integers and booleans are promoted to the default real dtype.
    method : {"mean", "median", "knn"}, default "mean"
        Fill in the mean or the median of the column's values, or the mean of those of
        the nearest rows that have one.
    n_neighbors : int, default 5
        How many rows that are, for "knn"; all if there are not so many.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    filled : array (..., n, d)
        Values that are there stay bit for bit.
    params : ImputeParams

    Raises
    ------
    TypeError
        If an argument is not a real array, or the libraries differ.
    ValueError
        If `method` is unknown, `n_neighbors` is less than 1, `x` has fewer than two
        dimensions, `weights` does not fit its rows, or concrete weights are negative,
        not finite or all zero, concrete values infinite, or all of a column's NaN.

    Notes
    -----
    The distance for "knn" is Euclidean over the columns that both rows have, times d over
    their number [1]_, so scale the columns first. Of equally near rows the first count.
    Distances are taken in blocks; a value costs as many of them as there are rows.

    A neighbour of weight m takes m of the places, as its m copies would, and one of weight
    below 1 has a place of its own and counts less: weights that are not counts are best
    scaled to at most 1.

    There is no inverse: filled rows have the units of the rows. Differentiable, with the
    neighbours as they are.

    References
    ----------
    .. [1] J. K. Dixon, "Pattern recognition with partly missing data", IEEE Trans.
       Systems, Man, and Cybernetics 9(10), 1979.
    .. [2] O. Troyanskaya et al., "Missing value estimation methods for DNA microarrays",
       Bioinformatics 17(6), 2001 (KNNimpute).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import impute
    >>> x = np.asarray([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0], [90.0, 80.0]])
    >>> impute(x)[0][1]
    array([ 2., 40.])
    >>> impute(x, method="knn", n_neighbors=2)[0][1]
    array([ 2., 20.])
    """
    check_option("method", method, _METHODS)
    xp, rows, shares = columns_of(x, weights, "omit")
    _, x = check_points(x=x)
    k = min(check_integer("n_neighbors", n_neighbors, 1), x.shape[-2])
    k, m = (k, x.shape[-2]) if method == "knn" else (0, 0)
    mass = xp.ones_like(rows[..., 0]) if weights is None else weights
    params = ImputeParams(
        _METHODS[method](xp, rows, shares),
        xp.astype(x[..., :m, :], rows.dtype, copy=False),
        xp.astype(mass[..., :m], rows.dtype, copy=False),
        xp.zeros((k,), dtype=rows.dtype, device=device(rows)),
    )
    return apply_impute(x, params), params


def apply_impute(x, params, /):
    """Fill in what is missing in other rows, from the rows that were given.

    Parameters
    ----------
    x : array (..., m, d)
        Rows with the columns of the rows that `params` were found on.
    params : ImputeParams
        Second result of `impute`.

    Returns
    -------
    array (..., m, d)

    Raises
    ------
    TypeError, ValueError
        If `x` is not an array, not of the library of `params`, or of other columns.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.preprocess import apply_impute, impute
    >>> _, params = impute(np.asarray([[1.0], [3.0]]), method="median")
    >>> apply_impute(np.asarray([[np.nan], [7.0]]), params)
    array([[2.],
           [7.]])
    """
    xp, dtype, rows, fill, donors = rows_for(x, fill=params.fill, rows=params.rows)
    missing = xp.isnan(rows)
    if params.places.shape[-1]:
        fill = _from_neighbours(xp, rows, missing, params._replace(fill=fill, rows=donors))
    return xp.astype(xp.where(missing, fill, rows), dtype, copy=False)


def _from_neighbours(xp, rows, missing, params):
    """For every cell that is missing the mean of its neighbours' values, (..., n, d)."""
    flat = xp.reshape(missing, (*missing.shape[:-2], -1))
    cells = _missing_cells(xp, flat)
    if cells.shape[-1] == 0:
        return params.fill
    k, d = params.places.shape[-1], rows.shape[-1]
    centre, mass = params.fill[..., 0, :], xp.astype(params.weights, rows.dtype, copy=False)
    donors, far = nearest_donors(rows, params.rows, mass, centre, cells, r=k)
    column = cells % d
    values = pick(xp, params.rows, _lie_flat(xp, donors * d + column[..., None]))
    values = xp.reshape(values, far.shape)
    seats = xp.reshape(pick(xp, mass[..., None], _lie_flat(xp, donors)), far.shape)
    found = xp.isfinite(far)
    means = _mean_of_seats(xp, values, seats, found, k)
    otherwise = xp.broadcast_to(params.fill, (*params.fill.shape[:-2], 1, d))
    means = xp.where(found[..., 0], means, pick(xp, otherwise, column))
    return xp.reshape(_spread(xp, flat, means), (*means.shape[:-1], *rows.shape[-2:]))


def _missing_cells(xp, flat):
    """Flat places (..., c) of what is missing, or of everything under a trace.

    Where the numbers differ within a batch, others fill up. JAX compiles for each c: powers
    of 2 are few.
    """
    places = xp.arange(flat.shape[-1], dtype=index_dtype(xp, flat), device=device(flat))
    c = flat.shape[-1]
    if is_concrete(flat):
        c = int(xp.max(xp.count_nonzero(flat, axis=-1)))
        c = 1 << (c - 1).bit_length() if c and is_jax_namespace(xp) else c
    if c >= flat.shape[-1]:
        return xp.broadcast_to(places, flat.shape)
    order = xp.argsort(xp.astype(~flat, xp.int8), axis=-1, stable=True)
    return xp.astype(order[..., :c], places.dtype, copy=False)


def _spread(xp, flat, means):
    """Means (..., c) of the first c that are missing, each in its place (..., n d)."""
    if means.shape[-1] == flat.shape[-1]:
        return means
    rank = xp.cumulative_sum(xp.astype(flat, index_dtype(xp, flat)), axis=-1) - 1
    return pick(xp, means[..., None], xp.clip(rank, 0, means.shape[-1] - 1))


def _mean_of_seats(xp, values, weights, found, k):
    """Mean of the values of the nearest rows (..., c, k) that share k places."""
    zeros = xp.zeros_like(weights)
    weights = xp.where(found, weights, zeros)
    before = xp.cumulative_sum(weights, axis=-1) - weights
    seats = xp.minimum(xp.where(before < k, k - before, zeros), weights)
    total = xp.sum(seats, axis=-1)
    total = xp.where(total > 0, total, xp.ones_like(total))
    values = xp.where(found, values, zeros)
    return xp.sum(seats * values, axis=-1) / total


def _lie_flat(xp, table):
    return xp.reshape(table, (*table.shape[:-2], -1))


def _median(xp, rows, shares):
    return percentiles(xp, rows, shares, (50,))[0]


_METHODS = {"mean": column_mean, "median": _median, "knn": column_mean}
