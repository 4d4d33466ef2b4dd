"""Soft k-means: every row belongs to every cluster, by a softmax of its distances."""

from typing import Any, NamedTuple

from kmeans_fx.algorithms._reweighted import reweighted_means

__all__ = ["SoftKMeansResult", "soft_kmeans"]


class SoftKMeansResult(NamedTuple):
    """A soft fit. Its responsibilities are those of `soft_assign` at the same temperature.

    Attributes
    ----------
    centroids : array (..., k, d)
        In the dtype of ``x``.
    labels : integer array (..., n)
        Cluster of the largest responsibility: the nearest centroid.
    free_energy : array (...)
        ``-T sum_i w_i log sum_j exp(-|x_i - c_j|^2 / T)``, which the loop lowers; in the
        accumulation dtype.
    n_iter : integer array (...)
        Of all stages together.
    status : integer array (...)
        Of the last stage: see `describe`.
    """

    centroids: Any
    labels: Any
    free_energy: Any
    n_iter: Any
    status: Any


def soft_kmeans(
    x,
    k,
    /,
    *,
    key,
    temperature=1.0,
    init="k-means++",
    weights=None,
    schedule=(),
    max_iter=300,
    tol=1e-8,
    gradient="implicit",
    chunk_size=None,
    reduce=None,
):
    """Soft k-means at a temperature, or annealed down to it.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
        As for `kmeans`; for the start and for annealing.
    temperature : float or array (...)
        Positive, in units of squared distances. Towards 0 the clusters harden to those of
        `kmeans`; above twice the largest eigenvalue of the covariance of the rows all
        centroids fall on their mean.
    init : str, array (..., k, d) or callable
        As for `kmeans`.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    schedule : sequence of float
        Annealing: multiples of the temperature at which to run first, one stage each, as
        ``(8, 4, 2)``. Every stage starts from the centroids of the one before, moved
        apart by up to a hundredth of a standard deviation.
    max_iter : int
        Of every stage. With ``gradient="unrolled"``, exactly so many.
    tol : float
        A bound on the squared shift of the centroids, relative to the data's mean
        per-feature variance.
    gradient : {"implicit", "unrolled"}
        Where derivatives come from: the equations of the fixed point, or every step.
    chunk_size : int, optional
        Rows that are held against all centroids at a time; chosen by the cache if None.
    reduce : callable, optional
        As for `lloyd`: each process holds some of the rows.

    Returns
    -------
    SoftKMeansResult

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and for ``temperature``, ``schedule`` and ``gradient``.

    Notes
    -----
    ``centroids`` and ``free_energy`` are differentiable in ``x``, ``weights`` and
    ``temperature``. "implicit" gives the derivatives of the fixed point, up to second
    order, with memory that does not grow with the iterations: a matrix of (k d)^2 numbers
    is inverted, which takes n (k d)^2 + (k d)^3 operations. There is none in the initial
    centroids. "unrolled" differentiates all steps, of any order and in an array of
    initial centroids, too; reverse mode keeps (..., n, k) numbers a step.

    References
    ----------
    .. [1] K. Rose, E. Gurewitz, G. C. Fox, "A deterministic annealing approach to
       clustering", Pattern Recognition Letters 11(9), 1990 (equations 3 and 6).
    .. [2] K. Rose, "Deterministic annealing for clustering, compression, classification,
       regression, and related optimization problems", Proc. IEEE 86(11), 1998 (section
       II: the critical temperature).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import soft_kmeans
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> result = soft_kmeans(x, 2, key=0, temperature=20.0)
    >>> np.sort(result.centroids[:, 0]).round(3)
    array([ 0.577, 10.423])
    """
    return SoftKMeansResult(
        *reweighted_means(
            x,
            k,
            "soft",
            ("temperature", temperature),
            key=key,
            init=init,
            weights=weights,
            schedule=schedule,
            max_iter=max_iter,
            tol=tol,
            gradient=gradient,
            chunk_size=chunk_size,
            reduce=reduce,
        )
    )
