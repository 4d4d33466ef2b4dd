"""The state of Lloyd's loop: how it begins, goes on and becomes a result."""

from typing import Any, NamedTuple

from kmeans_fx._backend.loop import cond
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device, index_dtype
from kmeans_fx._empty import copy_nearest
from kmeans_fx._partition import Space, centred_space, own_distances, partition, variance
from kmeans_fx.converge import (
    CONVERGED,
    MAX_ITER,
    NONFINITE,
    RUNNING,
    Progress,
    has_converged,
    reads,
)
from kmeans_fx.distances import as_metric
from kmeans_fx.update import weighted_sum

__all__ = [
    "LloydState",
    "advance",
    "finish",
    "initial_state",
    "last_centroids",
    "present_clusters",
    "without_rows",
]


class LloydState(NamedTuple):
    """What the next iteration needs.

    Attributes
    ----------
    centroids : array (..., k, d)
        Relative to ``origin``, in the accumulation dtype.
    labels : integer array (..., n)
        The assignment that gave these centroids; -1 at the start.
    counts : array (..., k)
        Weight of every cluster in that assignment; 1 at the start, 0 where a problem
        has no such cluster.
    origin : array (..., d)
        Weighted mean of the rows: constant.
    variance : array (...)
        Mean per-feature variance of the rows, or 1 where nothing asks: constant.
    shift, changed, inertia : array (...)
        Of the last iteration: see `Progress`. The inertia is that of the centroids
        before it, and infinite unless a rule or the history reads it.
    n_iter, status : integer array (...)
    history : array (..., h)
        Inertia of the centroids at the start of every iteration, if asked for.
    """

    centroids: Any
    labels: Any
    counts: Any
    origin: Any
    variance: Any
    shift: Any
    changed: Any
    inertia: Any
    n_iter: Any
    status: Any
    history: Any


def initial_state(x, centroids, weights, key, options, present=None):
    """The state before the first iteration."""
    xp = array_namespace(x=x)
    metric = as_metric(options.metric)
    space = centred_space(x, weights, metric, options.chunk_size, options.reduce)
    like = {"dtype": accumulation_dtype(xp, x.dtype), "device": device(x)}
    index = {"dtype": index_dtype(xp, x), "device": device(x)}
    ranks = (x, 2), (centroids, 2), (weights, 1), (key, 1), (present, 1)
    batch = broadcast_shapes(*(a.shape[:-r] for a, r in ranks if a is not None))

    def spread_out(array, *core):
        # Of a single problem it has the shape already, and to ask takes NumPy twenty calls.
        shape = *batch, *core
        return array if array.shape == shape else xp.broadcast_to(array, shape)

    n, (k, d) = x.shape[-2], centroids.shape[-2:]
    one, infinite = xp.full(batch, 1.0, **like), xp.full(batch, xp.inf, **like)
    spread = one
    if _needs_variance(options):
        spread = spread_out(variance(x, weights, space, options.reduce))
        # Data without any spread: then every shift but 0 is too large.
        spread = xp.where(spread > 0, spread, xp.ones_like(spread))
    usable = xp.isfinite(xp.sum(space.origin, axis=-1))
    usable = usable & xp.all(xp.isfinite(centroids), axis=(-2, -1))
    if weights is not None and options.reduce is None:
        # With reduce= the origin tells, the same on all ranks.
        usable = usable & xp.all(weights >= 0, axis=-1) & (xp.sum(weights, axis=-1) > 0)
    counts = xp.ones((*batch, k), **like)
    if present is not None:
        counts = xp.where(present, counts, xp.zeros_like(counts))
    zero = xp.zeros(batch, **index)
    status = xp.where(spread_out(usable), zero + RUNNING, zero + NONFINITE)
    return LloydState(
        centroids=spread_out(space.relative(centroids), k, d),
        labels=xp.full((*batch, n), -1, **index),
        counts=counts,
        origin=spread_out(space.origin, d),
        variance=spread,
        shift=infinite,
        changed=one,
        inertia=infinite,
        n_iter=zero,
        status=status,
        history=xp.full((*batch, options.h), xp.nan, **like),
    )


def present_clusters(xp, centroids, k_each):
    """Marks (..., k) of the clusters that every problem has, or None where it has all."""
    if k_each is None:
        return None
    place = xp.arange(centroids.shape[-2], dtype=k_each.dtype, device=device(centroids))
    return place < k_each[..., None]


def without_rows(state, present, options):
    """Marks (..., k) of the clusters that get no rows, or None: merged, or of other problems."""
    if options.empty == "merge":
        return state.counts == 0
    return None if present is None else ~present


def _needs_variance(options):
    moves = options.rule != ("shift", 0.0) and reads(options.rule, "shift")
    return moves or options.empty == "split"


def advance(state, labels, centroids, stats, weights, track, options):
    """The next state: how far the iteration went, and whether it was the last.

    ``labels`` are None where nobody holds those of all rows.
    """
    xp = array_namespace(centroids=centroids)
    shift = xp.sum((centroids - state.centroids) ** 2, axis=(-2, -1)) / state.variance
    if labels is not None and options.reduce is None:
        moved = xp.astype(labels != state.labels, centroids.dtype)
        changed = weighted_sum(xp, moved, weights) / xp.sum(stats.counts, axis=-1)
    else:
        # Other processes see other rows, but all see the same centroids.
        changed = xp.astype(shift > 0, centroids.dtype)
    labels = state.labels if labels is None else labels
    inertia = stats.inertia if track else state.inertia
    n_iter = state.n_iter + 1
    progress = Progress(shift, changed, inertia, state.inertia)
    done = (changed == 0) | has_converged(progress, options.rule)
    finite = xp.isfinite(xp.sum(centroids, axis=(-2, -1)))
    status = xp.where(n_iter >= options.max_iter, xp.full_like(n_iter, MAX_ITER), state.status)
    status = xp.where(done, xp.full_like(n_iter, CONVERGED), status)
    status = xp.where(finite, status, xp.full_like(n_iter, NONFINITE))
    place = xp.arange(options.h, dtype=n_iter.dtype, device=device(centroids))
    history = xp.where(place == state.n_iter[..., None], inertia[..., None], state.history)
    return state._replace(
        centroids=centroids,
        labels=labels,
        counts=stats.counts,
        shift=shift,
        changed=changed,
        inertia=inertia,
        n_iter=n_iter,
        status=status,
        history=history,
    )


def last_centroids(x, state, options, present=None):
    """The space, the clusters that were dropped, and the centroids as the caller sees them."""
    xp = array_namespace(x=x)
    space = Space(as_metric(options.metric), state.origin, options.chunk_size)
    dropped = without_rows(state, present, options)
    centroids = state.centroids if dropped is None else copy_nearest(state.centroids, dropped)
    centroids = xp.astype(xp.astype(space.absolute(centroids), x.dtype), centroids.dtype)
    return space, dropped, centroids


class _Final(NamedTuple):
    labels: Any
    inertia: Any


def finish(x, weights, state, options, present=None, assigned=partition):
    """Centroids as the caller sees them, with the labels and inertia that are theirs."""
    xp = array_namespace(x=x)
    space, dropped, centroids = last_centroids(x, state, options, present)
    relative = space.relative(centroids)

    def anew(_):
        part = assigned(
            x,
            relative,
            weights,
            space,
            dropped=dropped,
            distances=True,
            stats=options.reduce is not None,
        )
        if options.reduce is None:
            return _Final(part.labels, part.inertia)
        return _Final(part.labels, options.reduce(part.stats).inertia)

    def unchanged(state):
        distances = own_distances(x, state.labels, relative, space)
        return _Final(state.labels, weighted_sum(xp, distances, weights))

    # At a fixed point the last labels are those of the centroids they gave, unless
    # rounding to half precision moved the centroids.
    if x.dtype != centroids.dtype or options.reduce is not None:
        labels, inertia = anew(state)
    else:
        settled = (state.status == CONVERGED) & (state.changed == 0)
        labels, inertia = cond(settled, unchanged, anew, state)
    status = xp.where(xp.isfinite(inertia), state.status, xp.full_like(state.status, NONFINITE))
    previous = xp.where(state.labels > 0, state.labels, xp.zeros_like(state.labels))
    return centroids, previous, labels, inertia, state.n_iter, status, state.history
