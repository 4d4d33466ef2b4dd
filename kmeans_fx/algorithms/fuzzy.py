"""Fuzzy c-means: memberships by powers of relative distances."""

from typing import Any, NamedTuple

from kmeans_fx._soft import check_parameter, soft_distances
from kmeans_fx.algorithms._memberships import KINDS
from kmeans_fx.algorithms._reweighted import reweighted_means

__all__ = ["FuzzyResult", "fuzzy_assign", "fuzzy_cmeans"]


class FuzzyResult(NamedTuple):
    """A fuzzy fit. Its memberships are those of `fuzzy_assign` with the same fuzzifier.

    Attributes
    ----------
    centroids : array (..., k, d)
        In the dtype of ``x``.
    labels : integer array (..., n)
        Cluster of the largest membership: the nearest centroid.
    objective : array (...)
        ``sum_i w_i sum_j u_ij^m |x_i - c_j|^2``, which the loop lowers; in the
        accumulation dtype.
    n_iter : integer array (...)
    status : integer array (...)
        See `describe`.
    """

    centroids: Any
    labels: Any
    objective: Any
    n_iter: Any
    status: Any


def fuzzy_assign(x, centroids, /, *, fuzzifier=2.0):
    """Fuzzy memberships: shares of the squared distances to the power 1 / (1 - fuzzifier).

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    fuzzifier : float or array (...)
        Bezdek's m, greater than 1. Towards 1 the memberships harden.

    Returns
    -------
    array (..., n, k)
        Rows sum to 1. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or a
        ``fuzzifier`` that can be read is not greater than 1.

    Notes
    -----
    Differentiable in all three. A row on a centroid belongs to it alone; on several, to
    them in equal parts.

    References
    ----------
    .. [1] J. C. Bezdek, "Pattern recognition with fuzzy objective function algorithms",
       Plenum, 1981 (theorem 11.1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import fuzzy_assign
    >>> fuzzy_assign(np.array([[1.0]]), np.array([[0.0], [3.0]]))
    array([[0.8, 0.2]])
    """
    squares = soft_distances(x, centroids, "sqeuclidean")
    parameter = check_parameter(squares, 1.0, fuzzifier=fuzzifier)[..., None, None]
    shares, _, _ = KINDS["fuzzy"].memberships(squares, parameter)
    return shares


def fuzzy_cmeans(
    x,
    k,
    /,
    *,
    key,
    fuzzifier=2.0,
    init="k-means++",
    weights=None,
    max_iter=300,
    tol=1e-8,
    gradient="implicit",
    chunk_size=None,
    reduce=None,
):
    """Fuzzy c-means: alternate memberships and the means of rows by their powers.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
        As for `kmeans`.
    fuzzifier : float or array (...)
        Bezdek's m, greater than 1. Towards 1 the clusters harden to those of `kmeans`.
    init : str, array (..., k, d) or callable
        As for `kmeans`.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    max_iter, tol, gradient, chunk_size, reduce
        As for `soft_kmeans`.

    Returns
    -------
    FuzzyResult

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and for ``fuzzifier`` and ``gradient``.

    Notes
    -----
    ``centroids`` and ``objective`` are differentiable in ``x``, ``weights`` and
    ``fuzzifier``, in the two ways of `soft_kmeans`.

    References
    ----------
    .. [1] J. C. Bezdek, "Pattern recognition with fuzzy objective function algorithms",
       Plenum, 1981 (algorithm 11.1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import fuzzy_cmeans
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> np.sort(fuzzy_cmeans(x, 2, key=0).centroids[:, 0]).round(3)
    array([ 0.5, 10.5])
    """
    return FuzzyResult(
        *reweighted_means(
            x,
            k,
            "fuzzy",
            ("fuzzifier", fuzzifier),
            key=key,
            init=init,
            weights=weights,
            schedule=(),
            max_iter=max_iter,
            tol=tol,
            gradient=gradient,
            chunk_size=chunk_size,
            reduce=reduce,
        )
    )
