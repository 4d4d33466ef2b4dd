"""Metrics: a distance between rows and the centre that goes with it."""

from collections.abc import Callable
from typing import NamedTuple

from kmeans_fx._backend.checks import check_features, check_points
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace
from kmeans_fx._backend.segment import segment_sum, take_rows
from kmeans_fx._backend.transform import stop_gradient
from kmeans_fx._partial import observed_means, partial_distance

__all__ = ["METRICS", "Metric", "pairwise_distances"]


class Metric(NamedTuple):
    """A distance and its centre, for ``metric=``.

    Attributes
    ----------
    distance : callable
        ``(x, y) -> array``: non-negative dissimilarity of rows. Reduces the last
        axis and broadcasts the others.
    centre : callable, optional
        ``(x, labels, k, weights) -> (..., k, d)``: the centre of each cluster, with
        anything finite for an empty one. None means the weighted mean, which is
        right for every Bregman divergence.
    embed : callable, optional
        Maps rows so that the nearest centroid in this metric is the nearest in
        squared Euclidean distance between mapped rows; must leave mapped rows as
        they are. Opens the fast paths. Centroids live among the mapped rows.
    project : callable, optional
        Maps the mean of mapped rows to their centre; None keeps the mean.

    References
    ----------
    .. [1] A. Banerjee, S. Merugu, I. S. Dhillon, J. Ghosh, "Clustering with Bregman
       divergences", JMLR 6, 2005 (the mean is the centre: Proposition 1).
    """

    distance: Callable
    centre: Callable | None = None
    embed: Callable | None = None
    project: Callable | None = None


def as_metric(metric):
    """The Metric of a name, or the Metric itself.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If ``metric`` is neither a name nor a Metric.
    """
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        msg = f"metric must be a name or a Metric, got {type(metric).__name__}"
        raise TypeError(msg)
    if metric in _INTERNAL:
        return _INTERNAL[metric]
    if metric not in METRICS:
        msg = f"metric must be one of {', '.join(METRICS)} or a Metric, got {metric!r}"
        raise ValueError(msg)
    return METRICS[metric]


def pairwise_distances(x, centroids, /, *, metric="sqeuclidean"):
    """Distances of every row to every centroid.

    Holds all (..., n, k) distances and, on the way, (..., n, k, d) differences, so
    that nothing is cancelled; for the nearest centroid alone use `assign`.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    metric : str or Metric

    Returns
    -------
    array (..., n, k)
        In the accumulation dtype of ``x``: float32 for half precision.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device.

    Notes
    -----
    Differentiable in both arguments; the Euclidean distance has gradient 0 at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import pairwise_distances
    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]]))
    array([[ 0.],
           [25.]])
    """
    metric = as_metric(metric)
    xp, x = check_points(x=x)
    centroids = check_features(xp, x, centroids=centroids)
    dtype = accumulation_dtype(xp, x.dtype)
    x, centroids = xp.astype(x, dtype, copy=False), xp.astype(centroids, dtype, copy=False)
    return metric.distance(x[..., :, None, :], centroids[..., None, :, :])


def _sqeuclidean(x, y):
    xp = array_namespace(x=x)
    return xp.sum((x - y) ** 2, axis=-1)


def _euclidean(x, y):
    xp = array_namespace(x=x)
    squared = _sqeuclidean(x, y)
    # The root of 0 has an infinite slope: give the dead branch a safe operand.
    safe = xp.where(squared > 0, squared, xp.ones_like(squared))
    return xp.where(squared > 0, xp.sqrt(safe), xp.zeros_like(squared))


def _manhattan(x, y):
    xp = array_namespace(x=x)
    return xp.sum(xp.abs(x - y), axis=-1)


def _cosine(x, y):
    # Half the squared chord: 1 - cos would cancel for rows that nearly agree.
    chord = _sqeuclidean(_unit(x), _unit(y)) / 2
    return _where_zero_row(x, y, chord)


def _where_zero_row(x, y, chord):
    """A row of zeros has no direction: its distance to everything is 1."""
    xp = array_namespace(x=x)
    zero = xp.all(x == 0, axis=-1) | xp.all(y == 0, axis=-1)
    return xp.where(zero, xp.ones_like(chord), chord)


def _unit(x):
    """Rows of length 1; a row of zeros stays."""
    xp = array_namespace(x=x)
    # Scale by the largest entry first, so that squares neither overflow nor vanish.
    largest = stop_gradient(xp.max(xp.abs(x), axis=-1, keepdims=True))
    x = x / xp.where(largest > 0, largest, xp.ones_like(largest))
    squared = xp.sum(x * x, axis=-1, keepdims=True)
    return x / xp.sqrt(xp.where(squared > 0, squared, xp.ones_like(squared)))


def identity(x):
    return x


def weighted_median(x, labels, k, weights=None):
    """Per-feature weighted median of every cluster, (..., k, d); 0 where it is empty.

    Where the weight splits evenly, up to rounding, the middle of the two median rows,
    as usual. Holds about five arrays of the size of ``x``.
    """
    xp = array_namespace(x=x)
    if weights is not None:
        # An absent row is in no cluster.
        labels = xp.where(weights > 0, labels, xp.full_like(labels, k))
    columns = xp.broadcast_to(labels[..., None], (*labels.shape, x.shape[-1]))
    x = xp.broadcast_to(x, columns.shape)
    # Sort by value, then stably by label: each cluster is one sorted run.
    order = xp.argsort(x, axis=-2, stable=True)
    by_label = xp.argsort(xp.take_along_axis(columns, order, axis=-2), axis=-2, stable=True)
    order = xp.take_along_axis(order, by_label, axis=-2)
    sizes = segment_sum(xp.ones_like(order[..., :1]), labels, k + 1)[..., :k, :]
    starts = xp.cumulative_sum(sizes, axis=-2) - sizes
    if weights is None:
        lower, upper = (sizes - 1) // 2, sizes // 2
    else:
        runs = xp.take_along_axis(columns, order, axis=-2)[..., 0]
        weights = xp.broadcast_to(weights[..., None], columns.shape)
        weights = xp.take_along_axis(weights, order, axis=-2)
        lower, upper = _half_ranks(xp, weights, runs, k, order.dtype)

    def row(rank):
        place = xp.clip(starts + rank, 0, x.shape[-2] - 1)
        place = xp.broadcast_to(place, (*place.shape[:-1], x.shape[-1]))
        return xp.take_along_axis(x, xp.take_along_axis(order, place, axis=-2), axis=-2)

    medians = (row(lower) + row(upper)) / 2
    return xp.where(sizes > 0, medians, xp.zeros_like(medians))


def _half_ranks(xp, weights, runs, k, index):
    """How many rows of each run hold less than half of its weight, and at most half."""
    upto = _sums_in_runs(xp, weights, runs)
    last = xp.concat([runs[..., 1:] != runs[..., :-1], xp.ones_like(runs[..., :1]) > 0], axis=-1)
    totals = segment_sum(xp.where(last[..., None], upto, xp.zeros_like(upto)), runs, k + 1)
    half = take_rows(xp, totals, runs) / 2
    slack = half * (32 * float(xp.finfo(weights.dtype).eps))
    less, at_most = (
        segment_sum(xp.astype(reached, index), runs, k + 1)[..., :k, :]
        for reached in (upto < half - slack, upto <= half + slack)
    )
    return less, at_most


def _sums_in_runs(xp, values, runs):
    """Cumulative sums (..., n, d) that start again at each run of equal labels.

    By doubling, so that a light cluster keeps its digits next to a heavy one.
    """
    step = 1
    while step < runs.shape[-1]:
        same = (runs[..., step:] == runs[..., :-step])[..., None]
        before = values[..., :-step, :]
        rest = values[..., step:, :] + xp.where(same, before, xp.zeros_like(before))
        values = xp.concat([values[..., :step, :], rest], axis=-2)
        step *= 2
    return values


METRICS = {
    "sqeuclidean": Metric(_sqeuclidean, embed=identity),
    "euclidean": Metric(_euclidean, embed=identity),
    "manhattan": Metric(_manhattan, centre=weighted_median),
    "cosine": Metric(_cosine, embed=_unit, project=_unit),
}
# Not for callers: of rows that `masked_kmeans` makes. A name crosses an operator's border.
_INTERNAL = {"partial": Metric(partial_distance, centre=observed_means)}
