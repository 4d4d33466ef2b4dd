"""What internal scores share: checked rows and labels, and the centres of clusters."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_labels,
    check_points,
    check_weights,
)
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import (
    accumulation_dtype,
    array_namespace,
    device,
    index_dtype,
)
from kmeans_fx._backend.segment import segment_stats, segment_sum
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partition import centred_space, cluster_centres, map_rows
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
    """Checked rows, labels from 0 to k - 1, weights; whether traced labels are in range."""

    x: Any
    labels: Any
    weights: Any
    centroids: Any
    k: int
    valid: Any


def checked(x, labels, k=None, weights=None, centroids=None):
    """Check the arguments of an internal score; ``centroids`` fix what the labels mean."""
    xp, x = check_points(x=x)
    labels = xp.astype(check_labels(xp, x, labels), index_dtype(xp, x), copy=False)
    weights = check_weights(xp, x, weights)
    if centroids is not None:
        centroids = check_features(xp, x, centroids=centroids)
        k = _same_k(k, centroids.shape[-2])
    check_finite(x=x, centroids=centroids)
    valid = None if k is None or is_concrete(labels) else within(labels, k)
    labels, values = number(labels, k, "labels", "k")
    if valid is not None:
        labels = xp.clip(labels, 0, k - 1)
    return Clustering(x, labels, weights, centroids, values.shape[0], valid)


def _same_k(k, given):
    if k not in (None, given):
        msg = f"k must be the number of centroids, {given}, got {k}"
        raise ValueError(msg)
    return given


def centres_of(x, labels, weights, k, metric):
    """Centres (..., k, d) of the metric, 0 if there are no rows, and total weights (..., k)."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, metric, None)

    def block(part, own, share):
        return (), segment_stats(space.rows(part), own, k, share)

    columns = x[..., :1, :]
    _, (sums, counts) = map_rows(block, (x, labels, weights), columns, 4 * x.shape[-1], None)
    stats = ClusterStats(sums, counts, xp.zeros_like(counts[..., 0]))
    centres = cluster_centres(x, labels, weights, stats, xp.zeros_like(sums), space)
    return space.absolute(centres), counts


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
        n = clustering.x.shape[-2]
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
    return segment_sum(share[..., None], labels, clustering.k)[..., 0]


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
    x = xp.astype(x, accumulation_dtype(xp, x.dtype), copy=False)
    if weights is None:
        weights = xp.ones(shape, dtype=x.dtype, device=device(x))
    return (
        xp.broadcast_to(x, (*shape, x.shape[-1])),
        xp.broadcast_to(labels, shape),
        xp.broadcast_to(weights, shape),
    )
