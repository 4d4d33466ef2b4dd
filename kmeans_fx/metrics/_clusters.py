"""What internal scores share: checked rows and labels, and the centres of clusters."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_labels,
    check_points,
    check_weights,
)
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    index_dtype,
)
from kmeans_fx._backend.segment import segment_stats, segment_sum
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partition import centred_space, cluster_centres, map_rows
from kmeans_fx._ranks import agreed, rows_of_all, total
from kmeans_fx.metrics._labels import number, within
from kmeans_fx.update import ClusterStats

__all__ = [
    "Clustering",
    "broadcast",
    "centres_of",
    "checked",
    "in_range",
    "refuse_trivial",
    "unless_trivial",
]


class Clustering(NamedTuple):
    """Checked rows, labels from 0 to k - 1, weights; whether traced labels are in range.

    With ``reduce`` the rows are some of those of all ranks.
    """

    x: Any
    labels: Any
    weights: Any
    centroids: Any
    k: int
    valid: Any
    reduce: Any = None


def checked(x, labels, k=None, weights=None, centroids=None, reduce=None):
    """Check the arguments of an internal score; ``centroids`` fix what the labels mean."""

    def check():
        xp, rows = check_points(x=x)
        own = xp.astype(check_labels(xp, rows, labels), index_dtype(xp, rows), copy=False)
        shares = check_weights(xp, rows, weights, of_all=reduce is None)
        centres, count = centroids, k
        if centroids is not None:
            centres = check_features(xp, rows, centroids=centroids)
            count = _same_k(k, centres.shape[-2])
        check_finite(x=rows, centroids=centres)
        if count is None and reduce is not None:
            msg = "k must be given with reduce=, where each process sees its own labels"
            raise ValueError(msg)
        valid = None if count is None or is_concrete(own) else within(own, count)
        own, values = number(own, count, "labels", "k")
        if valid is not None:
            own = xp.clip(own, 0, count - 1)
        return xp, rows, own, shares, centres, values.shape[0], valid

    xp, x, labels, weights, centroids, k, valid = agreed(reduce, check, k=k)
    if valid is not None and reduce is not None:
        wrong = total(xp.astype(~valid, xp.float32)[..., None], reduce)[..., 0]
        valid = wrong == 0
    return Clustering(x, labels, weights, centroids, k, valid, reduce)


def _same_k(k, given):
    if k not in (None, given):
        msg = f"k must be the number of centroids, {given}, got {k}"
        raise ValueError(msg)
    return given


def centres_of(x, labels, weights, k, metric, reduce=None):
    """Centres (..., k, d) of the metric, 0 if there are no rows, and total weights (..., k).

    Raises
    ------
    ValueError
        For a metric with a centre of its own, of rows that are not all here.
    """
    if reduce is not None and metric.centre is not None:
        msg = "centroids must be given with reduce= for a metric with a centre of its own"
        raise ValueError(msg)
    xp = array_namespace(x=x)
    space = centred_space(x, weights, metric, None, reduce)

    def block(part, own, share):
        return (), segment_stats(space.rows(part), own, k, share)

    columns = x[..., :1, :]
    _, (sums, counts) = map_rows(block, (x, labels, weights), columns, 4 * x.shape[-1], None)
    stats = ClusterStats(sums, counts, xp.zeros_like(counts[..., 0]))
    stats = stats if reduce is None else reduce(stats)
    centres = cluster_centres(x, labels, weights, stats, xp.zeros_like(stats.sums), space)
    return space.absolute(centres), stats.counts


def usable(counts):
    """Whether there are 2 to n - 1 clusters with rows, n the number of rows (by weight)."""
    xp = array_namespace(counts=counts)
    occupied = xp.sum(xp.astype(counts > 0, counts.dtype), axis=-1)
    return (occupied >= 2) & (occupied < xp.sum(counts, axis=-1))


def refuse_trivial(clustering, result):
    """The result; NaN, or where it can be read an error, if there are not 2 to n - 1 clusters.

    Raises
    ------
    ValueError
        Naming the labels.
    """
    xp = array_namespace(x=clustering.x)
    counts = _counts(clustering)
    fine = usable(counts)
    if is_concrete(fine) and not bool(xp.all(fine)):
        n = rows_of_all(clustering.x, clustering.reduce)
        found = int(xp.max(xp.sum(xp.astype(counts > 0, index_dtype(xp, counts)), axis=-1)))
        msg = f"labels must name 2 to n - 1 clusters for n = {n} rows, got {found}"
        raise ValueError(msg)
    return in_range(clustering, _unless(fine, result))


def unless_trivial(clustering, result):
    """The result; NaN for every labeling that has not 2 to n - 1 clusters."""
    return in_range(clustering, _unless(usable(_counts(clustering)), result))


def _counts(clustering):
    """Weight (..., k) of every cluster."""
    _, labels, share = broadcast(*clustering[:3])
    return total(segment_sum(share[..., None], labels, clustering.k)[..., 0], clustering.reduce)


def in_range(clustering, result):
    """The result; NaN where traced labels turned out to be none of 0 to k - 1."""
    return result if clustering.valid is None else _unless(clustering.valid, result)


def _unless(fine, result):
    xp = array_namespace(result=result)
    fine = xp.reshape(fine, (*fine.shape, *(1,) * (result.ndim - fine.ndim)))
    return xp.where(fine, result, xp.full_like(result, xp.nan))


def broadcast(x, labels, weights):
    """Rows in the accumulation dtype, labels and weights with the same leading dimensions."""
    xp = array_namespace(x=x)
    shape = broadcast_shapes(
        x.shape[:-1], labels.shape, *(() if weights is None else (weights.shape,))
    )
    x = widened(x)
    if weights is None:
        weights = xp.ones(shape, dtype=x.dtype, device=device(x))
    return (
        xp.broadcast_to(x, (*shape, x.shape[-1])),
        xp.broadcast_to(labels, shape),
        xp.broadcast_to(weights, shape),
    )
