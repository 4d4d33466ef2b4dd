"""The update: the monoid of cluster statistics and the centroids that it gives."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_features,
    check_integer,
    check_labels,
    check_points,
    check_weights,
)
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.segment import segment_stats
from kmeans_fx.distances import as_metric

__all__ = ["ClusterStats", "cluster_stats", "merge_stats", "update_centroids"]


class ClusterStats(NamedTuple):
    """What a part of the rows says about the clusters; parts merge by addition.

    Attributes
    ----------
    sums : array (..., k, d)
        Weighted sums of the rows.
    counts : array (..., k)
        Total weights: the numbers of rows where no weights are given.
    inertia : array (...)
        Weighted sum of the distances; 0 where none were given.
    """

    sums: Any
    counts: Any
    inertia: Any


def cluster_stats(x, labels, k, /, *, weights=None, distances=None):
    """Sums, counts and inertia of the rows by label.

    Parameters
    ----------
    x : array (..., n, d)
    labels : integer array (..., n)
        From 0 to k - 1.
    k : int
    weights : array (..., n), optional
    distances : array (..., n), optional
        Of every row to its centroid, for the inertia.

    Returns
    -------
    ClusterStats
        In the accumulation dtype of ``x``: float32 for half precision.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device.

    Notes
    -----
    Differentiable in ``x``, ``weights`` and ``distances``.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import cluster_stats
    >>> stats = cluster_stats(np.array([[1.0], [3.0], [9.0]]), np.array([0, 0, 1]), 2)
    >>> stats.sums[:, 0], stats.counts
    (array([4., 9.]), array([2., 1.]))
    """
    xp, x = check_points(x=x)
    labels = check_labels(xp, x, labels)
    k = check_integer("k", k, 1)
    weights = check_weights(xp, x, weights)
    x = widened(x)
    sums, counts = segment_stats(x, labels, k, weights)
    if distances is None:
        return ClusterStats(sums, counts, xp.zeros_like(counts[..., 0]))
    array_namespace(x=x, distances=distances)
    return ClusterStats(sums, counts, weighted_sum(xp, distances, weights))


def merge_stats(first, second, /):
    """The statistics of two parts of the rows together: associative and commutative.

    Parameters
    ----------
    first, second : ClusterStats

    Returns
    -------
    ClusterStats

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import cluster_stats, merge_stats
    >>> x, labels = np.array([[1.0], [3.0], [9.0]]), np.array([0, 0, 1])
    >>> halves = [cluster_stats(x[i], labels[i], 2) for i in (slice(0, 1), slice(1, 3))]
    >>> merge_stats(*halves).sums[:, 0]
    array([4., 9.])
    """
    return ClusterStats(*(a + b for a, b in zip(first, second, strict=True)))


def update_centroids(stats, centroids, /, *, metric="sqeuclidean"):
    """The mean of every cluster; an empty one keeps its centroid.

    Parameters
    ----------
    stats : ClusterStats
    centroids : array (..., k, d)
        Those before the update.
    metric : str or Metric
        One whose centre follows from the mean (all but "manhattan" by name).

    Returns
    -------
    array (..., k, d)
        In the dtype of ``centroids``.

    Raises
    ------
    ValueError
        If the centre of ``metric`` does not follow from the mean.

    Notes
    -----
    Differentiable in ``stats``; the gradient at an empty cluster is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import cluster_stats, update_centroids
    >>> stats = cluster_stats(np.array([[1.0], [3.0]]), np.array([0, 0]), 2)
    >>> update_centroids(stats, np.array([[0.0], [7.0]]))
    array([[2.],
           [7.]])
    """
    metric = as_metric(metric)
    if metric.centre is not None:
        msg = (
            "metric must have a centre that follows from the mean, got one with a centre of its own"
        )
        raise ValueError(msg)
    array_namespace(sums=stats.sums, centroids=centroids)
    xp, sums = check_points(sums=stats.sums)
    _, centroids = check_points(centroids=centroids)
    means = cluster_means(xp, stats, check_features(xp, sums, centroids=centroids))
    means = means if metric.project is None else metric.project(means)
    return xp.astype(means, centroids.dtype, copy=False)


def cluster_means(xp, stats, otherwise):
    """``sums / counts``, and ``otherwise`` where the count is 0."""
    occupied = (stats.counts > 0)[..., None]
    # Poison-free: divide by 1 where the result is not used, or its gradient is NaN.
    counts = xp.where(occupied, stats.counts[..., None], xp.ones_like(stats.counts[..., None]))
    return xp.where(occupied, stats.sums / counts, otherwise)


def weighted_sum(xp, values, weights):
    """Sum over the last axis, with weights if there are any."""
    return xp.sum(values if weights is None else values * weights, axis=-1)
