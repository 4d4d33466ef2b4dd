"""Mini-batch k-means of an array: drawn batches in a loop, and the result."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_k, check_one_problem, check_weights
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.mapped import as_plain, rows_together
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partition import Space, partition
from kmeans_fx._ranks import agreed, from_first, own_key, ranks_of, rows_of_all, total
from kmeans_fx.algorithms._batches import (
    Plan,
    first_starts,
    next_starts,
    plan,
    take_batch,
)
from kmeans_fx.algorithms._minibatch import (
    MiniBatchState,
    Rules,
    advance_minibatch,
    initial_minibatch,
)
from kmeans_fx.algorithms._online import broadcast_state, local_space
from kmeans_fx.algorithms._samples import best_start
from kmeans_fx.algorithms.kmeans import check_start, shared_start
from kmeans_fx.converge import NONFINITE, RUNNING
from kmeans_fx.distances import as_metric

__all__ = [
    "MiniBatchResult",
    "array_rules",
    "checked",
    "finish_minibatch",
    "fit_array",
    "step_minibatch",
]

# Share of the newest batch in the smoothed inertia: it looks back over 2 / 0.02 at most.
_LEAST_SMOOTHING = 0.02


class MiniBatchResult(NamedTuple):
    """Centroids learnt from batches.

    Attributes
    ----------
    centroids : array (k, d)
        In the dtype of ``x``.
    labels : integer array (n,) or (0,)
        Of all rows, if asked for.
    inertia : array ()
        Weighted sum of the distances of all rows to the centroids; NaN without labels.
    counts : array (k,)
        Weight of all rows that each centroid is the mean of.
    smoothed : array ()
        Exponentially weighted mean over the batches of the distance per unit of weight;
        infinite after a single batch.
    n_iter : integer array ()
        Steps: batches that were learnt from.
    status : integer array ()
        See `describe`; MAX_ITER is also the end of the batches.
    """

    centroids: Any
    labels: Any
    inertia: Any
    counts: Any
    smoothed: Any
    n_iter: Any
    status: Any


def fit_array(x, k, key, weights, search, rules, size, length, max_iter, labels):
    """Batches drawn from an array, which may be a file."""
    length, reduce = length or rows_together(x), rules.reduce
    x, weights = as_plain(x), as_plain(weights)

    def check():
        xp, rows = check_one_problem(x)
        shares = check_weights(xp, rows, weights, of_all=reduce is None)
        start = check_start(xp, rows, k, search.start, search.n_init, None)
        return xp, rows, shares, start, as_key(key, xp, device(rows))

    _, x, weights, start, words = agreed(reduce, check, k=k, batch_size=size)
    n, ranks = x.shape[0], ranks_of(x, reduce)
    k = check_k(k, x, ranks.n)
    words, start = from_first(words, reduce), shared_start(start, reduce)
    centroids = best_start(x, k, words, weights, search._replace(start=start), length)
    how = plan(n, ranks.share(size, n), length)
    rows = rows_of_all(x[: how.runs * how.length, :], reduce)
    rules = array_rules(rules, ranks.n, rows, max_iter)
    outputs = _minibatch_fit(
        x, weights, centroids, words, portable=_portable(rules), **rules._asdict(), **how._asdict()
    )
    result = _without_labels(*outputs)
    if labels:
        options = {"metric": rules.metric, "chunk_size": rules.chunk_size, "reduce": reduce}
        arrays = (x, weights, result.centroids)
        found, inertia = _label(*arrays, portable=_portable(rules), **options)
        result = result._replace(labels=found, inertia=inertia)
    return checked(x, result)


def array_rules(rules, n, rows, max_iter):
    """The Rules for drawing batches of ``rows`` from n rows."""
    if rules.smoothing is None:
        smoothing = max(_LEAST_SMOOTHING, 2 * rows / (n + 1))
        rules = rules._replace(smoothing=min(1.0, smoothing))
    return rules._replace(max_steps=max(1, max_iter * n // rows))


@program("nd n kd w", "kd k . .:index .:index")
def _minibatch_fit(x, weights, centroids, key, *, runs, length, steps, **fields):
    """The loop over drawn batches as one operation."""
    rules, how, n = Rules(**fields), Plan(runs, length, steps), x.shape[-2]
    xp = array_namespace(x=x)
    centroids = xp.astype(centroids, accumulation_dtype(xp, x.dtype), copy=False)
    draws = own_key(key, rules.reduce)

    def body(loop):
        n_iter = loop.state.n_iter
        starts = next_starts(draws, n, n_iter, loop.starts, how)
        rows, shares = take_batch(x, weights, n_iter, starts, how)
        return _Loop(advance_minibatch(rows, shares, key, loop.state, rules), starts)

    state = initial_minibatch(centroids, rules.metric)
    state = broadcast_state(state, (x, 2), (weights, 1), (key, 1))
    loop = while_loop(
        lambda loop: loop.state.status == RUNNING,
        body,
        _Loop(state, first_starts(state.n_iter, how)),
        max_steps=rules.max_steps,
    )
    result = finish_minibatch(x, loop.state, rules)
    return (result.centroids, *result[3:])


class _Loop(NamedTuple):
    """The state, and the first rows of the batches to come."""

    state: MiniBatchState
    starts: Any


def finish_minibatch(x, state, rules):
    """The result without labels, with centroids as the caller sees them."""
    xp = array_namespace(x=x)
    space, shift = local_space(state, as_metric(rules.metric), rules.chunk_size)
    centres = space.absolute(space.centres(state.centroids - shift))
    centres = xp.astype(xp.astype(centres, x.dtype), centres.dtype)
    return _without_labels(centres, state.counts, state.smoothed, state.n_iter, state.status)


def _without_labels(centroids, counts, smoothed, n_iter, status):
    xp = array_namespace(centroids=centroids)
    none = xp.zeros((*n_iter.shape, 0), dtype=n_iter.dtype, device=device(centroids))
    missing = xp.full_like(smoothed, xp.nan)
    return MiniBatchResult(centroids, none, missing, counts, smoothed, n_iter, status)


# Not a part of the fit: its labels lie as the rows do, on however many devices.
@program("nd n kd", "n:index .")
def _label(x, weights, centroids, *, metric, chunk_size, reduce):
    """Labels of all rows, and the inertia."""
    xp, metric = array_namespace(x=x), as_metric(metric)
    origin = xp.mean(centroids, axis=-2)
    space = Space(metric, xp.zeros_like(origin) if metric.embed is None else origin, chunk_size)
    relative = centroids - space.origin[..., None, :]
    part = partition(x, relative, weights, space, stats=False, distances=True)
    return part.labels, total(part.inertia[..., None], reduce)[..., 0]


def step_minibatch(x, weights, words, state, rules):
    """One step on checked arguments."""
    arrays = (x, weights, words, *state)
    return MiniBatchState(*_minibatch_step(*arrays, portable=_portable(rules), **rules._asdict()))


_STATE = "kd k d . . . .:index .:index .:index"


@program("nd n w " + _STATE.replace(":index", ""), _STATE)
def _minibatch_step(x, weights, key, *state, **fields):
    state = broadcast_state(MiniBatchState(*state), (x, 2), (weights, 1), (key, 1))
    return tuple(advance_minibatch(x, weights, key, state, Rules(**fields)))


def _portable(rules):
    """Whether a callable keeps a step from being one opaque operation."""
    return rules.reduce is not None or not isinstance(rules.metric, str)


def checked(x, result):
    """The result in the dtype of x; an error if a value was not finite and can be read."""
    if is_concrete(result.status) and int(result.status) == NONFINITE:
        msg = "x must be finite, got NaN or infinity, or squares that overflow its dtype"
        raise ValueError(msg)
    xp = array_namespace(x=x)
    return result._replace(centroids=xp.astype(result.centroids, x.dtype, copy=False))
