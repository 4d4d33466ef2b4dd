"""Scores of soft clusterings: differentiable in the rows and in the responsibilities."""

from kmeans_fx._backend.checks import (
    check_batch,
    check_features,
    check_finite,
    check_points,
    check_weights,
)
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, as_real
from kmeans_fx._ranks import agreed
from kmeans_fx.distances import as_metric
from kmeans_fx.metrics._silhouettes import soft_silhouettes
from kmeans_fx.metrics._sums import expected_inertia
from kmeans_fx.metrics.silhouette import weighted_mean

__all__ = ["soft_inertia", "soft_silhouette_score"]


def soft_inertia(
    x, responsibilities, /, *, centroids=None, metric="sqeuclidean", weights=None, reduce=None
):
    """Expected inertia when every row draws its cluster from its responsibilities.

    ``sum_i w_i sum_j r_ij distance(x_i, c_j)``. With responsibilities of 0 and 1 it is
    `inertia`; with centroids of None it depends on the responsibilities through the
    centres, too, which makes it a loss on them alone.

    Parameters
    ----------
    x : array (..., n, d)
    responsibilities : array (..., n, k)
        Not negative, rows that sum to 1, as of `soft_assign`.
    centroids : array (..., k, d), optional
        The weighted means (directions of them for "cosine") if None.
    metric : str or Metric
        One whose centre follows from the mean, if there are no ``centroids``.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    reduce : callable, optional
        As for `lloyd`: each process holds some of the rows, and their responsibilities.

    Returns
    -------
    array (...)
        In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device.

    Notes
    -----
    Differentiable in ``x``, ``responsibilities``, ``centroids`` and ``weights``.

    References
    ----------
    .. [1] K. Rose, E. Gurewitz, G. C. Fox, "A deterministic annealing approach to
       clustering", Pattern Recognition Letters 11(9), 1990 (equation 1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import soft_inertia
    >>> float(soft_inertia(np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]])))
    2.0
    """
    measure = as_metric(metric)

    def check():
        xp, rows, shares, mass = _checked(x, responsibilities, weights, reduce)
        if centroids is not None:
            return xp, rows, shares, mass, check_features(xp, rows, centroids=centroids)
        if measure.centre is not None:
            msg = "centroids must be given for a metric whose centre does not follow from the mean"
            raise ValueError(msg)
        return xp, rows, shares, mass, None

    _, x, responsibilities, weights, centroids = agreed(reduce, check)
    portable = metric is measure or reduce is not None
    run = {"metric": metric, "reduce": reduce, "portable": portable}
    (result,) = expected_inertia(x, responsibilities, weights, centroids, **run)
    return result


def soft_silhouette_score(x, responsibilities, /, *, metric="euclidean", weights=None, reduce=None):
    """Mean silhouette when every row draws its cluster from its responsibilities.

    With r_ij the responsibility of cluster j for row i, the mean distance of row i to
    cluster j is over all other rows l

        D_ij = sum_l w_l r_lj distance(x_i, x_l) / (sum_l w_l r_lj - r_ij),

    its silhouette there compares D_ij with the smallest D_im of the other clusters as a
    and b, and the score is the weighted mean over i of sum_j r_ij s_ij.

    Parameters
    ----------
    x : array (..., n, d)
    responsibilities : array (..., n, k)
        Not negative, rows that sum to 1, as of `soft_assign`.
    metric : str or Metric
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    reduce : callable, optional
        As for `lloyd`, with a ``rank`` and a ``size``: each process holds some of the rows,
        and their responsibilities.

    Returns
    -------
    array (...)
        From -1 to 1. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device.

    Notes
    -----
    With responsibilities of 0 and 1 it equals `silhouette_score`. The probabilistic
    silhouette is that of [1]_; new here are the weights, any metric, and the blocks: no
    n x n array is held, except by reverse mode, which keeps the n^2 distances. The fuzzy
    silhouette of [2]_ is another: it weighs hard silhouettes.

    Differentiable in ``x``, ``responsibilities`` and ``weights``.

    References
    ----------
    .. [1] G. Vardakas, I. Papakostas, A. Likas, "Deep clustering using the soft
       silhouette score: towards compact and well-separated clusters", arXiv:2402.00608,
       2024.
    .. [2] R. J. G. B. Campello, E. R. Hruschka, "A fuzzy extension of the silhouette
       width criterion for cluster analysis", Fuzzy Sets and Systems 157, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import soft_silhouette_score
    >>> x = np.array([[0.0], [1.0], [9.0], [9.5]])
    >>> certain = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> round(float(soft_silhouette_score(x, certain)), 6)
    0.914075
    """
    measure = as_metric(metric)
    _, x, responsibilities, weights = agreed(
        reduce, lambda: _checked(x, responsibilities, weights, reduce)
    )
    portable = metric is measure or reduce is not None
    run = {"metric": metric, "reduce": reduce, "portable": portable}
    (samples,) = soft_silhouettes(x, responsibilities, weights, **run)
    return weighted_mean(samples, weights, reduce)


def _checked(x, responsibilities, weights, reduce=None):
    xp, x = check_points(x=x)
    array_namespace(x=x, responsibilities=responsibilities)
    shape = tuple(responsibilities.shape)
    if len(shape) < 2 or shape[-2] != x.shape[-2] or shape[-1] == 0:
        msg = f"responsibilities must have shape (..., {x.shape[-2]}, k) to match x, got {shape}"
        raise ValueError(msg)
    check_batch("responsibilities", shape[:-2], x.shape[:-2])
    check_finite(x=x, responsibilities=responsibilities)
    dtype = accumulation_dtype(xp, x.dtype)
    responsibilities = as_real(xp, responsibilities, "responsibilities")
    responsibilities = xp.astype(responsibilities, dtype, copy=False)
    return xp, x, responsibilities, check_weights(xp, x, weights, of_all=reduce is None)
