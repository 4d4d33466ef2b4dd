"""Learning from batches: the part that mini-batch and streaming k-means share.

Centroids are means of all rows that they were given, of which only the total weight is
kept. They are relative to an ``origin`` that is fixed when learning begins, so that a
small move is not lost beside a common offset of the data.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._partition import Space, partition
from kmeans_fx.distances import as_metric
from kmeans_fx.update import cluster_means

__all__ = [
    "Lesson",
    "broadcast_state",
    "check_online_metric",
    "learn",
    "local_space",
]

# Core dimensions of the fields of a state; the others are scalars.
_RANKS = {"centroids": 2, "counts": 1, "origin": 1}


class Lesson(NamedTuple):
    """What a batch taught.

    Attributes
    ----------
    centroids : array (..., k, d)
        Running means, relative to the origin.
    counts : array (..., k)
        Weight behind every mean.
    total, inertia : array (...)
        Weight of the batch, and weighted sum of its distances before the update.
    """

    centroids: Any
    counts: Any
    total: Any
    inertia: Any


def learn(x, weights, state, discount, metric, chunk_size, reduce=None):
    """The running means after one more batch, the weight of the past being discounted.

    Equal to ``(c n a + m w) / (n a + w)`` for a centroid c of weight n, discount a, and
    the mean m of its rows in the batch, of weight w.
    """
    xp = array_namespace(x=x)
    space, shift = local_space(state, as_metric(metric), chunk_size)
    means = state.centroids - shift
    centres = space.centres(means)
    part = partition(x, centres, weights, space, distances=True)
    stats = part.stats if reduce is None else reduce(part.stats)
    fresh, past = stats.counts, state.counts * discount
    counts = past + fresh
    # The step towards the mean of the batch; a cluster without rows stays.
    safe = xp.where(fresh > 0, counts, xp.ones_like(counts))
    moved = means + (fresh / safe)[..., None] * (cluster_means(xp, stats, means) - means)
    return Lesson(moved + shift, counts, xp.sum(fresh, axis=-1), stats.inertia)


def local_space(state, metric, chunk_size):
    """A Space around the present centroids, and its origin relative to that of the state.

    The origin of the state may be far away once the data have drifted.
    """
    xp = array_namespace(centroids=state.centroids)
    if metric.embed is None:
        shift = xp.zeros_like(state.centroids[..., :1, :])
    else:
        shift = xp.mean(state.centroids, axis=-2, keepdims=True)
    return Space(metric, state.origin + shift[..., 0, :], chunk_size), shift


def broadcast_state(state, *arrays):
    """A state with the batch dimensions of its fields and of pairs (array, core dimensions)."""
    xp = array_namespace(centroids=state.centroids)
    ranks = [_RANKS.get(name, 0) for name in state._fields]
    pairs = [*zip(state, ranks, strict=True), *arrays]
    batch = broadcast_shapes(*(a.shape[: a.ndim - rank] for a, rank in pairs if a is not None))
    cores = [f.shape[f.ndim - rank :] for f, rank in zip(state, ranks, strict=True)]
    fields = zip(state, cores, strict=True)
    return type(state)(*(xp.broadcast_to(f, (*batch, *core)) for f, core in fields))


def check_online_metric(metric):
    """Refuse a metric whose centre does not follow from the mean.

    Raises
    ------
    ValueError
        For a metric with a centre of its own.
    """
    if as_metric(metric).centre is not None:
        msg = "metric must have a centre that follows from the mean, got one with its own centre"
        raise ValueError(msg)
