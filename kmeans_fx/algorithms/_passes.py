"""How rows find their centroids in a fit."""

from kmeans_fx._backend.drift import relative_error
from kmeans_fx._backend.kernels import are_few, bounds_for, fits_one_tile, kernels_for, tile_for
from kmeans_fx._backend.namespace import (
    array_namespace,
    is_numpy_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._partition import Partition, own_distances, partition
from kmeans_fx.algorithms.bounded import PATIENCE, BoundedPartition
from kmeans_fx.converge import CONVERGED, MAX_ITER, RUNNING
from kmeans_fx.distances import as_metric, identity
from kmeans_fx.update import ClusterStats, weighted_sum

__all__ = ["choose_partition"]

# Below so many distances a plain pass is cheaper than thinking about it.
_LARGE = 1 << 18
# Numbers in the sums of all blocks, where those are less than an eighth of the rows' memory.
_SUMS = 1 << 22


def choose_partition(x, centroids, options):
    """The way to assign rows for the options: `partition`, or one that keeps bounds."""
    xp, metric = array_namespace(x=x), as_metric(options.metric)
    eager = is_numpy_namespace(xp) or is_torch_namespace(xp)
    possible = eager and not options.portable and metric.embed is not None
    if not possible or centroids.shape[-2] == 1:
        return partition
    if max(x.ndim, centroids.ndim) > 2:
        kernels = kernels_for(x, centroids.dtype, "lead_each")
        return partition if kernels is None else MembersPartition(kernels)
    small = fits_one_tile(x, centroids.dtype, centroids.shape[0])
    if small and options.algorithm != "bounded" and options.chunk_size is None:
        return TilePartition()
    kernels = kernels_for(x, centroids.dtype, "update_bounds")
    if kernels is not None:
        pays = options.algorithm == "auto" and not are_few(x, centroids.shape[0])
        return FusedPartition(kernels, bounded=pays or options.algorithm == "bounded")
    if options.algorithm == "lloyd":
        return partition
    if options.algorithm == "bounded":
        return BoundedPartition(always=True)
    # Bounds are looked at by Python, and their rows taken out: an accelerator would wait.
    if x.shape[0] * centroids.shape[0] < _LARGE or on_accelerator(x):
        return partition
    return BoundedPartition(patience=PATIENCE)


class FusedPartition:
    """A `BoundedPartition` by kernels: they make bounds for little more than a plain pass.

    Attributes
    ----------
    kernels : module
        Of `update_bounds`.
    bounded : bool
        Whether bounds are kept, or every pass searches for all rows.
    moved : int
        How many rows changed cluster in the last pass.
    found : tuple of (centroids, Partition), or None
        A pass that was made already.
    """

    def __init__(self, kernels, *, bounded):
        self.kernels, self.bounded = kernels, bounded
        self.bounds, self.moved, self.found = None, 0, None

    def __call__(self, x, centroids, weights, space, *, dropped=None, stats=True, distances=False):
        """As `partition`, which does it where clusters are dropped."""
        if dropped is not None and array_namespace(x=x).any(dropped):
            return partition(
                x, centroids, weights, space, dropped=dropped, stats=stats, distances=distances
            )
        if self.found is not None and self.found[0] is centroids and not distances:
            part, self.found = self.found[1], None
            return part
        part = self.next(x, centroids, weights, space)
        # A copy: the next pass writes over the labels.
        part = part._replace(labels=part.labels + 0)
        if not distances:
            return part
        far = own_distances(x, part.labels, centroids, space)
        inertia = weighted_sum(array_namespace(x=x), far, weights)
        return Partition(part.labels, part.stats._replace(inertia=inertia), inertia)

    def next(self, x, centroids, weights, space):
        """The Partition for the centroids, by the bounds of the last pass."""
        bounds = self.bounds_of(x, centroids, weights, space)
        *stats, self.moved = bounds.update(centroids)
        return _as_partition(bounds.labels, *stats)

    def bounds_of(self, x, centroids, weights, space):
        """Those of the rows: the first call makes them."""
        if self.bounds is None:
            mapping = space.mapping(x)
            mapping = None if mapping is identity else mapping
            self.bounds = self._begin(x, mapping, weights, space, centroids)
        return self.bounds

    def ahead(self, x, weights, state, space, options):
        """The state as many iterations on as nothing but means has to be computed."""
        bounds = self.bounds_of(x, state.centroids, weights, space)
        still, steps = float(options.rule[1] * state.variance), options.max_iter - int(state.n_iter)
        centroids, counts, made, moved = bounds.ahead(state.centroids, still, steps)
        # Copies: the next pass writes over the labels.
        labels = bounds.labels + 0
        if moved is not None:
            part = _as_partition(labels, *bounds.totals())
            self.moved, self.found = moved, (centroids, part)
            labels = bounds.labels_before()
        counts = state.counts if counts is None else counts
        state = _later(state, centroids, labels, counts, made, options)
        return _ended(state, state.status == RUNNING) if moved == 0 else state

    def _begin(self, x, mapping, weights, space, centroids):
        size, slack = space.kernel_rows(self.kernels, x, copied=False), relative_error(centroids)
        n, k = x.shape[0], centroids.shape[0]
        if are_few(x, k) and space.chunk_size is None:
            size = n  # not to be shared
        # The sums of all blocks are kept: of wide rows and many centroids fewer blocks are made.
        most = max(1, max(_SUMS, x.size // 16) // centroids.size)
        size = max(size, -(-n // most))
        rows = self.kernels, x, mapping, weights, space.origin
        return bounds_for(*rows, k, size, slack, self.bounded)


class TilePartition(FusedPartition):
    """A `FusedPartition` of rows so few that they stay in the cache."""

    def __init__(self):
        super().__init__(None, bounded=False)

    def _begin(self, x, mapping, weights, space, centroids):
        return tile_for(x, mapping, weights, space.origin, centroids.shape[0])


def _as_partition(labels, sums, counts):
    return Partition(labels, ClusterStats(sums, counts, counts[0] * 0), None)


class MembersPartition:
    """The `partition` of a batch, whose members may go ahead one by one: by kernels."""

    def __init__(self, kernels):
        self.kernels = kernels

    def __call__(self, *arguments, **options):
        """As `partition`."""
        return partition(*arguments, **options)

    def ahead(self, x, weights, state, space, options):
        """The state with every member that runs as far on as in `FusedPartition.ahead`."""
        xp = array_namespace(x=x)
        left = options.max_iter - state.n_iter
        centroids, labels, counts, made, moved = self.kernels.lead_each(
            space.mapping(x)(x),
            space.origin,
            weights,
            options.rule[1] * state.variance,
            xp.where(state.status == RUNNING, left, xp.zeros_like(left)),
            state.centroids,
            state.labels,
            state.counts,
        )
        state = _later(state, centroids, labels, counts, made, options)
        return _ended(state, moved == 0)


def _later(state, centroids, labels, counts, made, options):
    """The state after so many iterations more."""
    xp, n_iter = array_namespace(centroids=centroids), state.n_iter + made
    last = xp.full_like(n_iter, MAX_ITER)
    status = xp.where(n_iter >= options.max_iter, last, state.status)
    return state._replace(
        centroids=centroids, labels=labels, counts=counts, n_iter=n_iter, status=status
    )


def _ended(state, still):
    """The state after the iteration in which no row moves, for those of which that is known.

    Every rule ends there. Only an empty cluster may yet be filled.
    """
    xp = array_namespace(centroids=state.centroids)
    still = still & xp.all(state.counts > 0, axis=-1)
    return state._replace(
        shift=xp.where(still, xp.zeros_like(state.shift), state.shift),
        changed=xp.where(still, xp.zeros_like(state.changed), state.changed),
        n_iter=state.n_iter + still,
        status=xp.where(still, xp.full_like(state.status, CONVERGED), state.status),
    )
