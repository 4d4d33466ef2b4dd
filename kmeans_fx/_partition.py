"""One pass over the rows: labels, distances and cluster statistics, block by block."""

from typing import Any, NamedTuple

from kmeans_fx._backend.blocks import map_blocks, rows_per_block
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx._backend.namespace import (
    accumulation_dtype,
    array_namespace,
    device,
    index_dtype,
    on_accelerator,
)
from kmeans_fx._backend.nearest import nearest, score_table
from kmeans_fx._backend.segment import segment_stats, take_rows
from kmeans_fx.distances import METRICS, identity
from kmeans_fx.update import ClusterStats, cluster_means, weighted_sum

__all__ = [
    "Partition",
    "Space",
    "centred_space",
    "label_stats",
    "map_rows",
    "partition",
    "variance",
]


class Space(NamedTuple):
    """Where the work is done: rows mapped by the metric, and centred in the cache.

    In float32 the expanded distance loses the digits of a common offset, so the
    ``origin`` (..., d), the mean of the mapped rows, is subtracted in every block.
    Centroids are kept relative to it.
    """

    metric: Any
    origin: Any
    chunk_size: int | None

    def mapped(self, x):
        """Mapped rows, in the accumulation dtype."""
        return _mapped(self.metric, x)

    def mapping(self, x):
        """`mapped` for blocks of x; it costs many blocks nothing where it does nothing.

        Kernels for accelerators read half precision as it is.
        """
        kept = x.dtype == accumulation_dtype(array_namespace(x=x), x.dtype) or on_accelerator(x)
        return identity if kept and self.metric.embed is identity else self.mapped

    def rows(self, x):
        """Mapped and centred rows, in the accumulation dtype."""
        return self.mapped(x) - self.origin[..., None, :]

    def relative(self, centroids):
        """Centroids given in the units of the rows, relative to the origin."""
        return self.rows(centroids)

    def kernel_rows(self, kernels, x, copied):
        """How many rows a kernel gets: it holds a tile, so this is for threads to share.

        An accelerator gets all, unless the rows of a block are ``copied``.
        """
        n, d = x.shape[-2:]
        if not on_accelerator(x):
            return self.chunk_size or kernels.rows_per_call(n, d)
        copied = copied or self.mapping(x) is not identity
        return self.chunk_size or (rows_per_block(x, 3 * d) if copied else n)

    def absolute(self, centroids):
        """Centroids relative to the origin, in the units of the mapped rows."""
        return centroids + self.origin[..., None, :]

    def centres(self, means):
        """The centres that follow from means of mapped rows, both relative to the origin."""
        if self.metric.project is None:
            return means
        return self.metric.project(self.absolute(means)) - self.origin[..., None, :]


class Partition(NamedTuple):
    """An assignment; what was not asked for is None."""

    labels: Any
    stats: ClusterStats | None
    inertia: Any


def partition(x, centroids, weights, space, *, dropped=None, stats=True, distances=False):
    """Assign all rows to the nearest of ``centroids`` (relative to the origin).

    ``stats`` asks for the statistics of the centred rows, ``distances`` for the
    inertia. Centroids marked in ``dropped`` (..., k) get no rows.
    """
    xp = array_namespace(x=x)
    k, d = centroids.shape[-2:]
    kernels = None
    if space.metric.embed is not None:
        kernels = kernels_for(x, centroids.dtype, "assign")
    label = _labeller(x, kernels, space, centroids, dropped, stats)
    own = _own_distance(x, space, centroids)

    def block(part, share):
        labels, *totals = label(part, share)
        totals = tuple(totals) if stats else ()
        if distances:
            far = own(part, labels)
            totals = (*totals, weighted_sum(xp, far, share))
        return (labels,), totals

    columns = k + 3 * d if space.metric.embed is not None else k * d
    size = space.chunk_size if kernels is None else space.kernel_rows(kernels, x, distances)
    (labels,), totals = map_rows(block, (x, weights), centroids, columns, size)
    inertia = totals[-1] if distances else None
    if not stats:
        return Partition(labels, None, inertia)
    sums, counts = totals[:2]
    none = xp.zeros_like(counts[..., 0])
    return Partition(
        labels, ClusterStats(sums, counts, none if inertia is None else inertia), inertia
    )


def own_distances(x, labels, centroids, space):
    """Distance of every row to the centroid of its label."""
    own = _own_distance(x, space, centroids)

    def block(part, labels):
        return (own(part, labels),), ()

    (distances,), _ = map_rows(block, (x, labels), centroids, 3 * x.shape[-1], space.chunk_size)
    return distances


def label_stats(x, labels, weights, centroids, space, inertia):
    """The statistics of the centred rows by labels that are given, in blocks."""

    def block(part, own, share):
        return (), segment_stats(space.rows(part), own, centroids.shape[-2], share)

    rows = (x, labels, weights)
    _, (sums, counts) = map_rows(block, rows, centroids, 3 * x.shape[-1], space.chunk_size)
    return ClusterStats(sums, counts, inertia)


def cluster_centres(x, labels, weights, stats, previous, space):
    """The centre of every cluster that has rows, relative to the origin; others stay."""
    xp = array_namespace(x=x)
    metric = space.metric
    if metric.centre is not None:
        rows = xp.astype(x, previous.dtype, copy=False)
        centres = metric.centre(rows, labels, previous.shape[-2], weights)
        return xp.where((stats.counts > 0)[..., None], centres, previous)
    return space.centres(cluster_means(xp, stats, previous))


def map_rows(block, rows, centroids, columns, chunk_size):
    """Blocks of rows of one problem; a group of small problems is one block.

    ``rows`` are x (..., n, d) and what goes with it (..., n), or None; one row needs
    ``columns`` numbers of scratch.
    """
    x, *others = rows
    leads = [x.ndim - 2, centroids.ndim - 2, *(a.ndim - 1 for a in others if a is not None)]
    if max(leads) > 0:
        return block(*rows)
    return map_blocks(block, rows, chunk_size or rows_per_block(x, columns))


def centred_space(x, weights, metric, chunk_size, reduce=None):
    """The Space of the data: its origin is the weighted mean of the mapped rows."""
    xp = array_namespace(x=x)
    if metric.embed is None:
        # Distances that are not expanded cancel nothing: no need to centre.
        zero = xp.zeros(x.shape[-1:], dtype=accumulation_dtype(xp, x.dtype), device=device(x))
        return Space(metric, zero, chunk_size)
    sums, total = _column_sums(x, weights, lambda part: _mapped(metric, part), chunk_size, reduce)
    return Space(metric, sums / total[..., None], chunk_size)


def variance(x, weights, space, reduce=None):
    """Mean over the columns of the weighted variance of the mapped rows."""
    xp = array_namespace(x=x)
    if space.metric.embed is None:
        space = centred_space(x, weights, space.metric._replace(embed=identity), space.chunk_size)
    sums, total = _column_sums(
        x, weights, lambda part: space.rows(part) ** 2, space.chunk_size, reduce
    )
    return xp.mean(sums / total[..., None], axis=-1)


def _column_sums(x, weights, function, chunk_size, reduce):
    """Weighted column sums of ``function(rows)``, and the total weight."""
    xp = array_namespace(x=x)

    kernels = None
    if not on_accelerator(x) or (x.ndim == 2 and (weights is None or weights.ndim == 1)):
        kernels = kernels_for(x, accumulation_dtype(xp, x.dtype), "segment_stats")

    def block(part, share):
        values = function(part)
        if kernels is not None:
            one = xp.zeros(values.shape[-2:-1], dtype=index_dtype(xp, x), device=device(x))
            sums, counts = kernels.segment_stats(values, one, 1, share)
            return (), (sums[..., 0, :], counts[..., 0])
        if share is None:
            ones = xp.ones(values.shape[:-1], dtype=values.dtype, device=device(values))
            return (), (xp.sum(values, axis=-2), xp.sum(ones, axis=-1))
        return (), (xp.sum(values * share[..., None], axis=-2), xp.sum(share, axis=-1))

    _, (sums, total) = map_rows(block, (x, weights), x[..., :1, :], 4 * x.shape[-1], chunk_size)
    if reduce is not None:
        if weights is not None:
            # All ranks must hear of it, or they would not stop together.
            wrong = xp.any(weights < 0, axis=-1)
            total = xp.where(wrong, xp.full_like(total, xp.nan), total)
        # One cluster that holds all rows: the caller's reduction knows how to add it.
        stats = reduce(ClusterStats(sums[..., None, :], total[..., None], xp.zeros_like(total)))
        sums, total = stats.sums[..., 0, :], stats.counts[..., 0]
    return sums, total


def _labeller(x, kernels, space, centroids, dropped, stats):
    """The function from blocks of x and weights to labels, and to sums and counts."""
    xp = array_namespace(x=x)
    k = centroids.shape[-2]
    if kernels is not None:
        packed = kernels.pack(centroids, dropped)
        mapped = space.mapping(x)
        return lambda part, share: kernels.assign(mapped(part), space.origin, packed, share, stats)
    nearest_of = _nearest_of(xp, space, centroids, dropped)

    def label(part, share):
        rows = space.rows(part)
        labels = nearest_of(rows)
        return (labels, *segment_stats(rows, labels, k, share)) if stats else (labels,)

    return label


def _nearest_of(xp, space, centroids, dropped):
    """The function from mapped rows to their labels."""
    if space.metric.embed is not None:
        table = score_table(centroids, dropped)
        return lambda rows: nearest(rows, table)
    absolute = space.absolute(centroids)
    barrier = xp.zeros_like(absolute[..., 0])
    if dropped is not None:
        barrier = xp.where(dropped, xp.full_like(barrier, xp.inf), barrier)

    def label(rows):
        distances = space.metric.distance(rows[..., :, None, :], absolute[..., None, :, :])
        return xp.argmin(distances + barrier[..., None, :], axis=-1)

    return label


def _own_distance(x, space, centroids):
    """The function from blocks of x and their labels to distances."""
    xp, absolute = array_namespace(x=x), space.absolute(centroids)
    kernels = None
    # That of an accelerator takes a single problem.
    takes = x.ndim == absolute.ndim == 2 or not on_accelerator(x)
    if space.metric is METRICS["sqeuclidean"] and takes:
        kernels = kernels_for(x, absolute.dtype, "own_squares")
    if kernels is not None:
        mapped = space.mapping(x)
        return lambda part, labels: kernels.own_squares(mapped(part), absolute, labels)
    return lambda part, labels: _distance(space, part, take_rows(xp, absolute, labels))


def _distance(space, rows, centroids):
    xp = array_namespace(rows=rows)
    return space.metric.distance(xp.astype(rows, centroids.dtype, copy=False), centroids)


def _mapped(metric, x):
    """Rows in the accumulation dtype, mapped by the metric if it maps them."""
    x = widened(x)
    return x if metric.embed is None else metric.embed(x)
