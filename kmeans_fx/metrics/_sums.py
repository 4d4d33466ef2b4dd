"""Sums over the rows of every cluster, and scores of them, as programs."""

from kmeans_fx._backend.blocks import map_blocks, rows_per_block
from kmeans_fx._backend.fixed_point import differentiable
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace
from kmeans_fx._backend.segment import segment_sum, take_rows
from kmeans_fx._partition import centred_space, map_rows
from kmeans_fx._ranks import total
from kmeans_fx.distances import METRICS, as_metric
from kmeans_fx.metrics._clusters import broadcast, centres_of
from kmeans_fx.update import ClusterStats, cluster_means

__all__ = [
    "calinski_harabasz",
    "calinski_harabasz_of",
    "cluster_sums",
    "davies_bouldin",
    "davies_bouldin_of",
    "expected_inertia",
    "quotient",
]


@differentiable("nd n n kd", "k k")
def cluster_sums(x, labels, weights, centroids, *, k, metric, reduce=None):
    """Total weight and inertia of every cluster, (..., k) each."""
    metric = as_metric(metric)
    x, labels, share = broadcast(x, labels, weights)
    if centroids is None:
        centroids, _ = centres_of(x, labels, share, k, metric, reduce)
    return _sums(x, labels, share, centroids, k, metric, reduce)


@differentiable("nd n n", ".")
def davies_bouldin(x, labels, weights, *, k, reduce=None):
    """See `davies_bouldin_score`."""
    metric = METRICS["euclidean"]
    x, labels, share = broadcast(x, labels, weights)
    centres, _ = centres_of(x, labels, share, k, metric, reduce)
    return (davies_bouldin_of(centres, *_sums(x, labels, share, centres, k, metric, reduce)),)


def davies_bouldin_of(centres, counts, inertia):
    """The score of clusters by their centres, weights and sums of Euclidean distances."""
    xp, metric = array_namespace(centres=centres), METRICS["euclidean"]
    radius = quotient(inertia, counts)
    gaps = metric.distance(centres[..., :, None, :], centres[..., None, :, :])
    # Centroids that coincide (a cluster with itself, too) are not compared.
    likeness = quotient(radius[..., :, None] + radius[..., None, :], gaps)
    here = counts > 0
    both = here[..., :, None] & here[..., None, :]
    worst = xp.max(xp.where(both, likeness, xp.zeros_like(likeness)), axis=-1)
    occupied = xp.sum(xp.astype(here, centres.dtype), axis=-1)
    return quotient(xp.sum(worst, axis=-1), occupied)


@differentiable("nd n n", ".")
def calinski_harabasz(x, labels, weights, *, k, reduce=None):
    """See `calinski_harabasz_score`."""
    metric = METRICS["sqeuclidean"]
    x, labels, share = broadcast(x, labels, weights)
    xp = array_namespace(x=x)
    centres, _ = centres_of(x, labels, share, k, metric, reduce)
    counts, inertia = _sums(x, labels, share, centres, k, metric, reduce)
    ratio = calinski_harabasz_of(centres, counts, inertia)
    inside, n = xp.sum(inertia, axis=-1), xp.sum(counts, axis=-1)
    # The mean of equal rows is off by a rounding of their entries.
    noise = 4 * float(xp.finfo(x.dtype).eps) * xp.max(xp.abs(centres), axis=(-2, -1))
    exact = inside <= n * x.shape[-1] * noise**2
    return (xp.where(exact, xp.ones_like(ratio), ratio),)


def calinski_harabasz_of(centres, counts, inertia):
    """The score of clusters by their centres, weights and sums of squared distances."""
    xp, metric = array_namespace(centres=centres), METRICS["sqeuclidean"]
    n = xp.sum(counts, axis=-1)
    mean = xp.sum(centres * counts[..., None], axis=-2) / n[..., None]
    between = xp.sum(counts * metric.distance(centres, mean[..., None, :]), axis=-1)
    inside = xp.sum(inertia, axis=-1)
    occupied = xp.sum(xp.astype(counts > 0, centres.dtype), axis=-1)
    return quotient(between * (n - occupied), inside * (occupied - 1))


@differentiable("nd nk n kd", ".")
def expected_inertia(x, responsibilities, weights, centroids, *, metric, reduce=None):
    """See `soft_inertia`."""
    metric = as_metric(metric)
    xp = array_namespace(x=x)
    dtype = accumulation_dtype(xp, x.dtype)
    share = responsibilities if weights is None else responsibilities * weights[..., None]
    if centroids is None:
        centroids = _soft_centres(x, share, metric, reduce)
    centroids = xp.astype(centroids, dtype, copy=False)

    def block(rows, part):
        rows = widened(rows)
        far = metric.distance(rows[..., :, None, :], centroids[..., None, :, :])
        return (), (xp.sum(far * part, axis=(-2, -1)),)

    columns = centroids.shape[-2] * centroids.shape[-1]
    _, (inertia,) = _map_matrices(block, (x, share), columns)
    return (total(inertia[..., None], reduce)[..., 0],)


def _soft_centres(x, share, metric, reduce):
    """Means of the mapped rows by the shares (..., n, k) of the clusters."""
    xp = array_namespace(x=x)
    space = centred_space(x, None, metric, None, reduce)

    def block(rows, part):
        sums = xp.matmul(xp.matrix_transpose(part), space.rows(rows))
        return (), (sums, xp.sum(part, axis=-2))

    _, (sums, totals) = _map_matrices(block, (x, share), 4 * x.shape[-1] + share.shape[-1])
    stats = ClusterStats(sums, totals, xp.zeros_like(totals[..., 0]))
    stats = stats if reduce is None else reduce(stats)
    centres = space.absolute(cluster_means(xp, stats, xp.zeros_like(stats.sums)))
    return centres if metric.project is None else metric.project(centres)


def _map_matrices(block, arrays, columns):
    """Blocks of rows of matrices (n, ...); a batch of small problems is one block."""
    if max(array.ndim for array in arrays) > 2:
        return block(*arrays)
    return map_blocks(block, arrays, rows_per_block(arrays[0], columns))


def _sums(x, labels, share, centroids, k, metric, reduce):
    xp = array_namespace(x=x)
    centroids = xp.astype(centroids, x.dtype, copy=False)

    def block(rows, own, weight):
        far = metric.distance(rows, take_rows(xp, centroids, own)) * weight
        return (), (segment_sum(xp.stack([weight, far], axis=-1), own, k),)

    _, (sums,) = map_rows(block, (x, labels, share), centroids, 4 * x.shape[-1], None)
    sums = total(sums, reduce)
    return sums[..., 0], sums[..., 1]


def quotient(part, whole):
    """``part / whole``, and 0 where the whole is 0."""
    xp = array_namespace(part=part)
    empty = whole == 0
    ratio = part / xp.where(empty, xp.ones_like(whole), whole)
    return xp.where(empty, xp.zeros_like(ratio), ratio)
