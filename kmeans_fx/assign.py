"""Assignment of rows to centroids: hard, with distances, and soft."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_features, check_finite, check_integer, check_points
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, index_dtype
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._partition import centred_space, partition
from kmeans_fx._soft import soft_scores, softmax
from kmeans_fx.distances import as_metric

__all__ = ["Assignment", "assign", "soft_assign"]


class Assignment(NamedTuple):
    """Nearest centroids.

    Attributes
    ----------
    labels : integer array (..., n)
    distances : array (..., n)
        To the nearest centroid, in the metric; in the accumulation dtype.
    """

    labels: Any
    distances: Any


def assign(x, centroids, /, *, metric="sqeuclidean", chunk_size=None):
    """Nearest centroid of every row, and the distance to it.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    metric : str or Metric
    chunk_size : int, optional
        Rows that are held against all centroids at a time; chosen by the cache if
        None.

    Returns
    -------
    Assignment
        Ties go to the first centroid.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device; in an
        eager call also if it is not finite.

    Notes
    -----
    The distances are differentiable in ``x`` and ``centroids``; the labels have no
    derivative. Distances are sums of squares of differences: nothing is cancelled.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import assign
    >>> assign(np.array([[0.0], [1.0], [9.0]]), np.array([[0.0], [10.0]])).labels
    array([0, 0, 1])
    """
    measure = as_metric(metric)
    xp, x = check_points(x=x)
    centroids = check_features(xp, x, centroids=centroids)
    check_finite(x=x, centroids=centroids)
    chunk_size = check_chunk_size(chunk_size)
    dtype = accumulation_dtype(xp, x.dtype)
    centroids = xp.astype(centroids, dtype, copy=False)
    (labels,) = nearest_labels(
        x, centroids, metric=metric, chunk_size=chunk_size, portable=metric is measure
    )
    own = take_rows(xp, centroids, labels)
    return Assignment(labels, measure.distance(widened(x), own))


def soft_assign(x, centroids, /, *, temperature=1.0, metric="sqeuclidean"):
    """Responsibilities of the centroids for every row: softmax of -distance / temperature.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    temperature : float or array (...)
        Positive, in the units of the distance. Towards 0 the assignment hardens.
    metric : str or Metric

    Returns
    -------
    array (..., n, k)
        Rows sum to 1. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or a
        ``temperature`` that can be read is not positive.

    Notes
    -----
    Differentiable in all three. Metrics other than "sqeuclidean" hold (..., n, k, d)
    differences on the way.

    References
    ----------
    .. [1] K. Rose, E. Gurewitz, G. C. Fox, "A deterministic annealing approach to
       clustering", Pattern Recognition Letters 11(9), 1990 (equation 3).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import soft_assign
    >>> soft_assign(np.array([[0.5]]), np.array([[0.0], [1.0]]))
    array([[0.5, 0.5]])
    """
    return softmax(soft_scores(x, centroids, temperature, metric))


@program("nd kd", "n:index")
def nearest_labels(x, centroids, *, metric, chunk_size):
    """Labels of the rows, in blocks."""
    space = centred_space(x, None, as_metric(metric), chunk_size)
    centroids = space.relative(centroids)
    return (partition(x, centroids, None, space, stats=False).labels,)


def farthest_rows(x, centroids, size, weights, metric):
    """Indices (..., size) of the rows of positive weight farthest from their centroid, in order."""
    distances = assign(x, centroids, metric=metric).distances
    xp = array_namespace(x=x)
    if weights is not None:
        distances = xp.where(weights > 0, distances, xp.full_like(distances, -1.0))
    order = xp.argsort(distances, axis=-1, descending=True, stable=True)
    return xp.astype(order[..., :size], index_dtype(xp, x), copy=False)


def check_chunk_size(chunk_size):
    """None, or an int of at least 1."""
    return None if chunk_size is None else check_integer("chunk_size", chunk_size, 1)
