"""Data of one column: the optimum of k-means, exactly."""

from kmeans_fx._backend.checks import check_finite, check_k, check_points, check_weights
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype, widest
from kmeans_fx._backend.segment import segment_stats
from kmeans_fx._empty import copy_nearest
from kmeans_fx._partition import centred_space, partition
from kmeans_fx._result import KMeansResult, attach_gradients
from kmeans_fx.algorithms._contiguous import best_cuts
from kmeans_fx.converge import CONVERGED, NONFINITE
from kmeans_fx.distances import METRICS
from kmeans_fx.update import ClusterStats, cluster_means

__all__ = ["kmeans_1d"]


def kmeans_1d(x, k, /, *, weights=None):
    """The clusters of least inertia of data of one column: the optimum, without a start.

    Parameters
    ----------
    x : array (..., n, 1)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters, from 1 to n.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.

    Returns
    -------
    KMeansResult
        Centroids in ascending order; ``n_iter`` is 0, the history empty.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device; if x has more
        than one column; for ``k``; on NaN, infinity or negative weights.

    Notes
    -----
    A dynamic program over the sorted rows [1]_, with divide and conquer: O(k n log n) time
    where others take O(k n^2), and k n integers of memory for a problem. The metric is the
    squared Euclidean distance.

    The search adds up squares in float64 where the device has it. Elsewhere (JAX without
    64-bit types) the optimum is one to the rounding of float32: of cuts whose inertia differs
    by less than about n times 1e-7 of that of a single cluster it may take the wrong one.

    With fewer than k distinct rows there are clusters without rows, whose centroids are copies.

    Differentiable as `lloyd` is.

    References
    ----------
    .. [1] H. Wang, M. Song, "Ckmeans.1d.dp: optimal k-means clustering in one dimension by
       dynamic programming", The R Journal 3(2), 2011 (equation 1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans_1d
    >>> result = kmeans_1d(np.array([[10.0], [1.0], [11.0], [0.0]]), 2)
    >>> result.centroids
    array([[ 0.5],
           [10.5]])
    >>> result.labels
    array([1, 0, 1, 0])
    """
    xp, x = check_points(x=x)
    if x.shape[-1] != 1:
        msg = f"x must have one column, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    k = check_k(k, x)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    result = KMeansResult(*_optimum(x, weights, k=k, h=0))
    return attach_gradients(x, weights, result.labels, result, METRICS["sqeuclidean"], None)


@program("nd n", "kd n:index . .:index .:index h")
def _optimum(x, weights, *, k, h):
    """The optimum as one operation."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, METRICS["sqeuclidean"], None)
    batch = broadcast_shapes(x.shape[:-2], () if weights is None else weights.shape[:-1])
    shape = (*batch, x.shape[-2])
    rows = xp.broadcast_to(space.rows(x)[..., 0], shape)
    share = xp.ones_like(rows) if weights is None else xp.broadcast_to(weights, shape)
    centres, counts = _centres(xp, rows, share, k)
    centres = xp.sort(copy_nearest(centres, counts == 0), axis=-2)
    centroids = xp.astype(space.absolute(centres), x.dtype)
    part = partition(x, space.relative(centroids), weights, space, distances=True)
    zero = xp.zeros(batch, dtype=index_dtype(xp, x), device=device(x))
    usable = xp.isfinite(part.inertia) & xp.all(share >= 0, axis=-1)
    usable = usable & (xp.sum(share, axis=-1) > 0)
    status = xp.where(usable, zero + CONVERGED, zero + NONFINITE)
    history = xp.zeros((*batch, h), dtype=rows.dtype, device=device(x))
    return centroids, part.labels, part.inertia, zero, status, history


def _centres(xp, rows, share, k):
    """Means (..., k, 1) and weights (..., k) of the best runs of the sorted rows."""
    *batch, n = rows.shape
    order, wide = xp.argsort(rows, axis=-1, stable=True), widest(xp, rows)

    def flat(values):
        values = xp.take_along_axis(values, order, axis=-1)
        return xp.astype(xp.reshape(values, (-1, n)), wide, copy=False)

    values, weights = flat(rows), flat(share)
    starts = best_cuts(values, weights, k)
    b = starts.shape[0]
    places = xp.arange(n, dtype=starts.dtype, device=device(rows))
    # Of runs that start together the last one has the rows.
    member = xp.arange(b, dtype=starts.dtype, device=device(rows))[:, None] * n
    found = xp.searchsorted(
        xp.reshape(starts + member, (-1,)), xp.reshape(places + member, (-1,)), side="right"
    )
    labels = xp.reshape(xp.astype(found, starts.dtype) - 1, (b, n)) - member // n * k
    sums, counts = segment_stats(values[..., None], labels, k, weights)
    zero = xp.zeros_like(counts[..., 0])
    means = cluster_means(xp, ClusterStats(sums, counts, zero), xp.zeros_like(sums))
    return tuple(
        xp.reshape(xp.astype(a, rows.dtype, copy=False), (*batch, *a.shape[1:]))
        for a in (means, counts)
    )
