"""Scores of the clusters of rows in blocks, by sweeps; the weights of a block are its labels."""

from kmeans_fx._backend.checks import check_labels
from kmeans_fx._backend.namespace import array_namespace, widest
from kmeans_fx._backend.segment import segment_stats
from kmeans_fx._partition import centred_space
from kmeans_fx.algorithms._block_steps import add, real_rows
from kmeans_fx.algorithms._sweeps import Swept
from kmeans_fx.distances import as_metric
from kmeans_fx.metrics._silhouettes import samples_by_centres
from kmeans_fx.metrics._sums import calinski_harabasz_of, cluster_sums, davies_bouldin_of
from kmeans_fx.update import ClusterStats, cluster_means

__all__ = [
    "block_calinski_harabasz",
    "block_davies_bouldin",
    "block_inertia",
    "block_simplified_silhouette",
    "centres_and_counts",
    "wide_rows",
]


def block_inertia(sweep, k, centroids, metric):
    """See `inertia`; the centroids are the means if None."""
    if centroids is None:
        centroids = _means(sweep, k)[0]
    (inertia,) = _inertia(sweep, k, centroids, metric)
    return array_namespace(x=inertia).sum(inertia)


def block_davies_bouldin(sweep, k):
    """See `davies_bouldin_score`."""
    centres, counts = centres_and_counts(sweep, k)
    return davies_bouldin_of(centres, counts, *_inertia(sweep, k, centres, "euclidean"))


def block_calinski_harabasz(sweep, k):
    """See `calinski_harabasz_score`."""
    centres, counts = centres_and_counts(sweep, k)
    return calinski_harabasz_of(centres, counts, *_inertia(sweep, k, centres, "sqeuclidean"))


def block_simplified_silhouette(sweep, k, centroids, metric):
    """See `simplified_silhouette_score`; the centroids are the means if None."""
    means, counts = centres_and_counts(sweep, k)
    centroids = means if centroids is None else centroids
    _, (total,) = sweep(label_silhouettes, None, centroids, counts, metric, merge=add)
    return total / array_namespace(x=counts).sum(counts)


def centres_and_counts(sweep, k):
    """`_means` for a score that compares clusters.

    Raises
    ------
    ValueError
        If there are not 2 to n - 1 clusters.
    """
    means, counts = _means(sweep, k)
    xp = array_namespace(x=counts)
    found, n = int(xp.sum(xp.astype(counts > 0, xp.int32))), int(xp.sum(counts))
    if not 2 <= found < n:
        msg = f"labels must name 2 to n - 1 clusters for n = {n} rows, got {found}"
        raise ValueError(msg)
    return means, counts


def _means(sweep, k):
    """The means (k, d) and the numbers of rows (k,)."""
    _, stats = sweep(label_sums, None, k, merge=add)
    xp = array_namespace(x=stats.sums)
    return cluster_means(xp, stats, xp.zeros_like(stats.sums)), stats.counts


def _inertia(sweep, k, centroids, metric):
    _, total = sweep(label_inertia, None, k, centroids, metric, merge=add)
    return total


def label_sums(block, kept, k):
    """Sums and numbers of the rows by label."""
    del kept
    rows, labels = wide_rows(block)
    sums, counts = segment_stats(rows, labels, k)
    xp = array_namespace(rows=rows)
    return Swept(None, ClusterStats(sums, counts, xp.zeros_like(counts[0])))


def label_inertia(block, kept, k, centroids, metric):
    """Sums of the distances to the centroids by label."""
    del kept
    rows, labels = wide_rows(block)
    xp = array_namespace(rows=rows)
    centroids = xp.astype(centroids, rows.dtype, copy=False)
    _, inertia = cluster_sums(rows, labels, None, centroids, k=k, metric=metric)
    return Swept(None, (inertia,))


def label_silhouettes(block, kept, centroids, counts, metric):
    """The sum of the simplified silhouettes of the rows."""
    del kept
    rows, labels = wide_rows(block)
    xp, measure = array_namespace(rows=rows), as_metric(metric)
    centroids = xp.astype(centroids, rows.dtype, copy=False)
    ones, space = xp.ones_like(rows[:, 0]), centred_space(rows, None, measure, None)
    samples = samples_by_centres(rows, labels, ones, centroids, counts, space)
    return Swept(None, (xp.sum(samples),))


def wide_rows(block):
    """The rows in the widest dtype of the device, and their labels, checked."""
    rows, _ = real_rows(block._replace(weights=None))
    xp = array_namespace(rows=rows)
    return xp.astype(rows, widest(xp, rows), copy=False), check_labels(xp, rows, block.weights)
