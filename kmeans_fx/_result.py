"""The result of a fit, and its derivative."""

from typing import Any, NamedTuple

from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.segment import segment_stats, take_rows
from kmeans_fx._backend.transform import stop_gradient, tracks_gradients, with_slope
from kmeans_fx._partition import Space, cluster_centres
from kmeans_fx.update import ClusterStats, weighted_sum

__all__ = ["KMeansResult", "attach_gradients"]


class KMeansResult(NamedTuple):
    """A fit. Labels and inertia are those of the returned centroids.

    Attributes
    ----------
    centroids : array (..., k, d)
        In the dtype of ``x``.
    labels : integer array (..., n)
    inertia : array (...)
        Weighted sum of the distances (squared, for "sqeuclidean") to the centroids,
        in the accumulation dtype.
    n_iter : integer array (...)
    status : integer array (...)
        See `describe`.
    history : array (..., max_iter) or (..., 0)
        Inertia at the start of every iteration if asked for, then NaN.
    """

    centroids: Any
    labels: Any
    inertia: Any
    n_iter: Any
    status: Any
    history: Any


def attach_gradients(x, weights, previous, result, metric, reduce, own_weights=None):
    """Give a result found without derivatives those of one more update.

    At a fixed point of hard k-means the labels are locally constant, so the update
    from ``previous``, the labels that gave the centroids, has the exact derivative
    almost everywhere. The values stay those of the result.

    ``own_weights`` are those of the result's inertia, where they are not ``weights``.
    """
    own_weights = weights if own_weights is None else own_weights
    if not tracks_gradients(x, weights):
        return result

    def update(x, weights, own_weights, previous, labels, centroids):
        """The centroids of one more update, and the inertia to them."""
        xp = array_namespace(x=x)
        rows = widened(x)
        fixed = xp.astype(stop_gradient(centroids), rows.dtype, copy=False)
        centres = _centres(xp, rows, previous, fixed, weights, metric, reduce)
        # The value of the result, the slope of the update.
        centres = fixed + (centres - stop_gradient(centres))
        distances = metric.distance(rows, take_rows(xp, centres, labels))
        inertia = weighted_sum(xp, distances, own_weights)
        if reduce is not None:
            zeros = xp.zeros_like(centres)
            inertia = reduce(ClusterStats(zeros, zeros[..., 0], inertia)).inertia
        return xp.astype(centres, x.dtype, copy=False), inertia

    arrays = (x, weights, own_weights, previous, result.labels, result.centroids)
    centroids, inertia = with_slope(update, (result.centroids, result.inertia), arrays)
    return result._replace(centroids=centroids, inertia=inertia)


def _centres(xp, x, labels, fixed, weights, metric, reduce):
    space = Space(metric, xp.zeros_like(fixed[..., 0, :]), None)
    sums, counts = segment_stats(space.rows(x), labels, fixed.shape[-2], weights)
    stats = ClusterStats(sums, counts, xp.zeros_like(counts[..., 0]))
    stats = stats if reduce is None else reduce(stats)
    return cluster_centres(x, labels, weights, stats, fixed, space)
