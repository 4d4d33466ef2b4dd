"""Silhouettes of all rows, as programs: by pairs of rows, by variances, by centroids."""

from kmeans_fx._backend.fixed_point import differentiable
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.pairs import squared_block
from kmeans_fx._backend.segment import segment_sum, take_one, take_rows
from kmeans_fx._partition import centred_space, map_rows
from kmeans_fx._ranks import total
from kmeans_fx.distances import METRICS, as_metric
from kmeans_fx.metrics._between import (
    by_label,
    copies,
    nearest_other,
    own_and_other,
    pairwise_sums,
    spread_of,
)
from kmeans_fx.metrics._clusters import broadcast, centres_of

__all__ = [
    "all_silhouettes",
    "by_variances",
    "centroid_silhouettes",
    "samples_by_centres",
    "samples_of",
    "silhouette_of",
    "soft_silhouettes",
]


@differentiable("nd n n", "n")
def all_silhouettes(x, labels, weights, *, k, metric, reduce=None):
    """Silhouettes (..., n) by the mean distances to the rows of every cluster."""
    metric = as_metric(metric)
    x, labels, share = broadcast(x, labels, weights)
    if by_variances(metric):
        return (_by_variances(x, labels, share, k, metric, reduce),)
    counts = total(segment_sum(share[..., None], labels, k)[..., 0], reduce)
    (x, labels, share), back = by_label(labels, x, labels, share)

    def of_clusters(distances, own, weight):
        if weights is not None:
            distances = distances * weight[..., None]
        return segment_sum(distances, own, k)

    def finish(sums, itself, own, weight):
        return samples_of(sums, itself * copies(metric, weight), own, weight, counts)

    samples = pairwise_sums(
        finish, x, (labels, share), lambda _, weight: weight, metric, of_clusters, reduce
    )
    return (back(samples),)


def by_variances(metric):
    """Whether the mean distance to a cluster follows from its mean and its variance."""
    return metric in (METRICS["sqeuclidean"], METRICS["cosine"])


def samples_of(sums, itself, own, weight, counts):
    """Silhouettes (..., b) from the sums (..., k, b) of a block of rows."""
    xp = array_namespace(sums=sums)
    occupied = (counts > 0)[..., None]
    means = sums / xp.where(occupied, counts[..., None], xp.ones_like(counts[..., None]))
    table = xp.matrix_transpose(xp.where(occupied, means, xp.full_like(means, xp.inf)))
    other = nearest_other(table, own)
    far = take_one(table, other)
    within = take_one(xp.matrix_transpose(sums), own)
    size = take_rows(xp, counts[..., None], own)[..., 0]
    # Of the copies of a row, one is the row itself; the others are at the same distance.
    return silhouette_of(within - itself, size - 1, far, weight)


def _by_variances(x, labels, share, k, metric, reduce):
    xp = array_namespace(x=x)
    directions = metric == METRICS["cosine"]
    x = metric.embed(x)
    spread = spread_of(x, labels, share, k, directions, reduce)
    near, far = own_and_other(x, labels, spread)
    size = take_rows(xp, spread.counts[..., None], labels)[..., 0]
    itself = xp.zeros_like(near)
    if directions:
        zero = xp.all(x == 0, axis=-1)
        # A row of zeros is at distance 1 of all rows.
        near, far = (xp.where(zero, xp.ones_like(d), d) for d in (near, far))
        itself = xp.astype(zero, near.dtype)
    return silhouette_of(near * size - itself, size - 1, far, share)


@differentiable("nd n n kd", "n")
def centroid_silhouettes(x, labels, weights, centroids, *, k, metric, reduce=None):
    """Silhouettes (..., n) by the distances to centroids."""
    measure = as_metric(metric)
    x, labels, share = broadcast(x, labels, weights)
    xp = array_namespace(x=x)
    if centroids is None:
        centroids, counts = centres_of(x, labels, share, k, measure, reduce)
    else:
        centroids = xp.astype(centroids, x.dtype, copy=False)
        counts = total(segment_sum(share[..., None], labels, k)[..., 0], reduce)
    space = centred_space(x, share, measure, None, reduce)
    return (samples_by_centres(x, labels, share, centroids, counts, space),)


def samples_by_centres(x, labels, share, centroids, counts, space):
    """`centroid_silhouettes` by centroids and the total weights (..., k) of their clusters."""
    xp, measure = array_namespace(x=x), space.metric
    barrier = xp.where(counts > 0, xp.zeros_like(counts), xp.full_like(counts, xp.inf))
    relative = None if measure.embed is None else space.relative(centroids)

    def block(rows, own):
        if relative is None:
            table = measure.distance(rows[..., :, None, :], centroids[..., None, :, :])
        else:
            table = squared_block(space.rows(rows), relative)
        other = nearest_other(table + barrier[..., None, :], own)
        return tuple(measure.distance(rows, take_rows(xp, centroids, c)) for c in (own, other)), ()

    k, d = centroids.shape[-2:]
    columns = k * d if relative is None else 3 * d + k
    (near, far), _ = map_rows(block, (x, labels), centroids, columns, None)
    size = take_rows(xp, counts[..., None], labels)[..., 0]
    samples = silhouette_of(near, xp.ones_like(near), far, share)
    # Alone in its cluster a row is 0 by convention, as for the silhouette.
    return xp.where(size <= 1, xp.zeros_like(near), samples)


@differentiable("nd nk n", "n")
def soft_silhouettes(x, responsibilities, weights, *, metric, reduce=None):
    """Soft silhouettes (..., n); see `soft_silhouette_score`."""
    measure = as_metric(metric)
    xp = array_namespace(x=x)
    dtype = accumulation_dtype(xp, x.dtype)
    batch = broadcast_shapes(x.shape[:-2], responsibilities.shape[:-2])
    x = xp.broadcast_to(widened(x), (*batch, *x.shape[-2:]))
    own = xp.astype(responsibilities, dtype, copy=False)
    own = xp.broadcast_to(own, (*batch, *own.shape[-2:]))
    share = own if weights is None else own * weights[..., None]
    totals = total(xp.sum(share, axis=-2), reduce)

    def collect(distances, part, _):
        return xp.matmul(xp.matrix_transpose(part), distances)

    def finish(sums, itself, part, membership):
        rest = totals[..., None, :] - membership
        some = rest > 16 * float(xp.finfo(dtype).eps) * totals[..., None, :]
        alone = itself[..., None] * (part if measure == METRICS["euclidean"] else membership)
        left = xp.matrix_transpose(sums) - alone
        means = xp.where(some, left, xp.ones_like(left)) / xp.where(some, rest, xp.ones_like(rest))
        far = _second(xp, xp.where(some, means, xp.full_like(means, xp.inf)))
        values = silhouette_of(means, xp.astype(some, dtype), far, xp.ones_like(means))
        return xp.sum(membership * values, axis=-1)

    def mass(part, _):
        return xp.sum(part, axis=-1)

    return (pairwise_sums(finish, x, (share, own), mass, measure, collect, reduce),)


def _second(xp, table):
    """For every column of (..., b, k) the smallest entry among the others."""
    first = xp.min(table, axis=-1, keepdims=True)
    index = xp.argmin(table, axis=-1)[..., None]
    is_first = xp.arange(table.shape[-1], dtype=index.dtype, device=device(table)) == index
    rest = xp.where(is_first, xp.full_like(table, xp.inf), table)
    return xp.where(is_first, xp.min(rest, axis=-1, keepdims=True), first)


def silhouette_of(within, others, far, weight):
    """``(b - a) / max(a, b)``, a = within / others, b = far; 0 without others, and for 0 / 0."""
    xp = array_namespace(within=within)
    some = (others > 0) & (weight > 0) & xp.isfinite(far)
    one = xp.ones_like(within)
    near = xp.where(some, within, one) / xp.where(some, others, one)
    far = xp.where(some, far, one)
    larger = xp.maximum(near, far)
    some = some & (larger > 0)
    ratio = xp.where(some, far - near, 0 * one) / xp.where(some, larger, one)
    return xp.where(some, ratio, xp.zeros_like(ratio))
