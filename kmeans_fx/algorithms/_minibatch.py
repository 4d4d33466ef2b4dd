"""The state of mini-batch k-means: how it begins, learns from a batch, and stops."""

from typing import Any, NamedTuple

from kmeans_fx._backend.loop import cond
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.random import fold_in
from kmeans_fx._partition import Space, centred_space, variance
from kmeans_fx._ranks import ranks_of
from kmeans_fx.algorithms._online import learn, local_space
from kmeans_fx.algorithms._race import first_in_race
from kmeans_fx.converge import CONVERGED, MAX_ITER, NONFINITE, RUNNING
from kmeans_fx.distances import as_metric

__all__ = ["MiniBatchState", "Rules", "advance_minibatch", "initial_minibatch"]

# No counter of random_bits reaches this: these draws are not those of an init.
_STREAM = 2 << 32


class MiniBatchState(NamedTuple):
    """What the next step needs.

    Attributes
    ----------
    centroids : array (..., k, d)
        Relative to ``origin``, in the accumulation dtype.
    counts : array (..., k)
        Weight of all rows that a centroid is the mean of: the learning rate of a batch
        is its share in it.
    origin : array (..., d)
        Mean of the first centroids: constant.
    smoothed, best : array (...)
        Exponentially weighted mean over the batches of the distance per unit of weight,
        and the least that it has been; infinite before the second step.
    since : array (...)
        Weight seen since starved centroids were last looked for.
    stale : integer array (...)
        Steps since ``smoothed`` last fell to a new ``best``.
    n_iter, status : integer array (...)
    """

    centroids: Any
    counts: Any
    origin: Any
    smoothed: Any
    best: Any
    since: Any
    stale: Any
    n_iter: Any
    status: Any


class Rules(NamedTuple):
    """The static side of a step."""

    metric: Any
    reassignment_ratio: float
    smoothing: float
    tol: float
    max_no_improvement: int | None
    max_steps: int | None
    chunk_size: int | None
    reduce: Any = None


def initial_minibatch(centroids, metric):
    """The state before the first batch."""
    xp = array_namespace(centroids=centroids)
    centroids = Space(as_metric(metric), None, None).mapped(centroids)
    *batch, k, _ = centroids.shape
    like = {"dtype": centroids.dtype, "device": device(centroids)}
    origin = xp.mean(centroids, axis=-2)
    zero = xp.zeros(tuple(batch), dtype=index_dtype(xp, centroids), device=device(centroids))
    infinite = xp.full(tuple(batch), xp.inf, **like)
    return MiniBatchState(
        centroids=centroids - origin[..., None, :],
        counts=xp.zeros((*batch, k), **like),
        origin=origin,
        smoothed=infinite,
        best=infinite,
        since=xp.zeros(tuple(batch), **like),
        stale=zero,
        n_iter=zero,
        status=zero + RUNNING,
    )


def advance_minibatch(x, weights, key, state, rules):
    """One step: assign the batch, move the means, reassign, decide whether to go on."""
    xp = array_namespace(x=x)
    lesson = learn(x, weights, state, 1.0, rules.metric, rules.chunk_size, rules.reduce)
    moved = xp.sum((lesson.centroids - state.centroids) ** 2, axis=(-2, -1))
    since = state.since + lesson.total
    due = xp.any(lesson.counts == 0, axis=-1) | (since >= 10 * state.counts.shape[-1])
    placed = _Placed(lesson.centroids, lesson.counts)
    if rules.reassignment_ratio > 0:
        placed = _reassign(x, weights, key, state, placed, due, rules)
    state = state._replace(
        centroids=placed.centroids,
        counts=placed.counts,
        since=xp.where(due, xp.zeros_like(since), since),
    )
    return _judge(x, weights, state, lesson, moved, rules)


class _Placed(NamedTuple):
    """Centroids, and the weights behind them."""

    centroids: Any
    counts: Any


def _reassign(x, weights, key, state, placed, due, rules):
    """Starved centroids go to random rows of the batch, with the least count of the others."""
    xp = array_namespace(x=x)
    counts = placed.counts
    most = xp.max(counts, axis=-1, keepdims=True)
    starved = (counts < rules.reassignment_ratio * most) & due[..., None]

    def place(now):
        ranks = ranks_of(x, rules.reduce)
        limit, k = ranks.n // 2, counts.shape[-1]
        moving, m = starved, max(1, min(limit, k))
        if k > limit:
            # So many rows are not there for: the most starved come first.
            rank = xp.argsort(xp.argsort(counts, axis=-1, stable=True), axis=-1, stable=True)
            moving = starved & (rank < limit)
        stream = fold_in(fold_in(key, _STREAM), state.n_iter)
        order = first_in_race(x, weights, stream, m, ranks)
        turn = xp.clip(xp.cumulative_sum(xp.astype(moving, order.dtype), axis=-1) - 1, 0, m - 1)
        order, turn = _broadcast(xp, order, turn)
        rows = ranks.take(x, xp.take_along_axis(order, turn, axis=-1))
        space, shift = local_space(state, as_metric(rules.metric), None)
        fresh = xp.where(moving[..., None], space.rows(rows) + shift, now.centroids)
        least = xp.min(xp.where(moving, most, counts), axis=-1, keepdims=True)
        return _Placed(fresh, xp.where(moving, least, counts))

    return cond(xp.any(starved, axis=-1), place, lambda now: now, placed)


def _broadcast(xp, order, turn):
    batch = max(order.shape[:-1], turn.shape[:-1], key=len)
    return (xp.broadcast_to(a, (*batch, a.shape[-1])) for a in (order, turn))


def _judge(x, weights, state, lesson, moved, rules):
    """The state with the smoothed inertia brought up to date, and whether to stop."""
    xp = array_namespace(x=x)
    present = lesson.total > 0
    mean = lesson.inertia / xp.where(present, lesson.total, xp.ones_like(lesson.total))
    # The first batch meets the initial centroids and tells nothing; an empty one neither.
    counted = present & (state.n_iter > 0)
    first = ~xp.isfinite(state.smoothed)
    old = xp.where(first, mean, state.smoothed)
    smoothed = xp.where(counted, old + rules.smoothing * (mean - old), state.smoothed)
    better = smoothed < state.best
    stale = xp.where(better, xp.zeros_like(state.stale), state.stale + 1)
    stale = xp.where(counted, stale, state.stale)
    done = better & False
    if rules.max_no_improvement is not None:
        done = stale >= rules.max_no_improvement
    if rules.tol > 0:
        done = done | (moved <= rules.tol * _spread(x, weights, rules))
    finite = xp.isfinite(xp.sum(state.centroids, axis=(-2, -1)) + mean)
    state = state._replace(
        smoothed=smoothed,
        best=xp.where(better, smoothed, state.best),
        stale=stale,
        n_iter=state.n_iter + 1,
    )
    return state._replace(status=_status(state, counted & done, finite, rules))


def _status(state, done, finite, rules):
    xp = array_namespace(status=state.status)
    codes = state.status
    if rules.max_steps is not None:
        codes = xp.where(state.n_iter >= rules.max_steps, xp.full_like(codes, MAX_ITER), codes)
    codes = xp.where(done, xp.full_like(codes, CONVERGED), codes)
    return xp.where(finite, codes, xp.full_like(codes, NONFINITE))


def _spread(x, weights, rules):
    """Mean per-feature variance of the batch."""
    space = centred_space(x, weights, as_metric(rules.metric), rules.chunk_size, rules.reduce)
    return variance(x, weights, space, rules.reduce)
