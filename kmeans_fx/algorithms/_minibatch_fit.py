"""Mini-batch k-means from initial centroids to a result: of an array, or of batches."""

from itertools import chain
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_k, check_points, check_weights
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.mapped import as_plain, rows_together
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partition import partition
from kmeans_fx.algorithms._batches import (
    Plan,
    draw_sample,
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
from kmeans_fx.algorithms._online import broadcast_state, local_space, online_centres
from kmeans_fx.algorithms.kmeans import initial_centroids, restart_keys
from kmeans_fx.assign import assign
from kmeans_fx.converge import MAX_ITER, NONFINITE, RUNNING
from kmeans_fx.distances import as_metric
from kmeans_fx.update import weighted_sum

__all__ = ["MiniBatchResult", "Search", "fit_array", "fit_batches", "step_minibatch"]

# Of the newest batch in the smoothed inertia: at least, and where the rows are not counted.
_LEAST_SMOOTHING, _SMOOTHING = 0.02, 0.1


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


class Search(NamedTuple):
    """How initial centroids are found: a callable or an array, and so many samples."""

    start: Any
    n_init: int
    size: int
    metric: Any


def fit_array(x, k, key, weights, search, rules, size, length, max_iter, labels):
    """Batches drawn from an array, which may be a file."""
    length = length or rows_together(x)
    x, weights = as_plain(x), as_plain(weights)
    xp, x = check_points(x=x)
    if x.ndim != 2:
        msg = f"x must have shape (n, d), got {tuple(x.shape)}"
        raise ValueError(msg)
    k = check_k(k, x)
    weights = check_weights(xp, x, weights)
    words = as_key(key, xp, device(x))
    n = x.shape[0]
    centroids = _best_start(x, k, words, weights, search, length)
    how = plan(n, size, length)
    rows = how.runs * how.length
    if rules.smoothing is None:
        smoothing = max(_LEAST_SMOOTHING, 2 * rows / (n + 1))
        rules = rules._replace(smoothing=min(1.0, smoothing))
    rules = rules._replace(max_steps=max(1, max_iter * n // rows))
    outputs = _minibatch_fit(
        x, weights, centroids, words, portable=_portable(rules), **rules._asdict(),
        runs=how.runs, length=how.length, steps=how.steps, l=n if labels else 0,
    )  # fmt: skip
    return _checked(x, MiniBatchResult(*outputs))


@program("nd n kd w", "kd l:index . k . .:index .:index")
def _minibatch_fit(x, weights, centroids, key, *, runs, length, steps, l, **fields):  # noqa: E741
    """The loop over drawn batches, and the labels, as one operation."""
    rules, how, n = Rules(**fields), Plan(runs, length, steps), x.shape[-2]
    xp = array_namespace(x=x)
    centroids = xp.astype(centroids, accumulation_dtype(xp, x.dtype), copy=False)

    def body(loop):
        starts = next_starts(key, n, loop.n_iter, loop.starts, how)
        rows, shares = take_batch(x, weights, loop.n_iter, starts, how)
        state = advance_minibatch(rows, shares, key, MiniBatchState(*loop[:-1]), rules)
        return _Loop(**state._asdict(), starts=starts)

    state = initial_minibatch(centroids, rules.metric)
    state = broadcast_state(state, (x, 2), (weights, 1), (key, 1))
    loop = while_loop(
        lambda loop: loop.status == RUNNING,
        body,
        _Loop(**state._asdict(), starts=first_starts(state.n_iter, how)),
        max_steps=rules.max_steps,
    )
    return tuple(_finish(x, weights, MiniBatchState(*loop[:-1]), rules, labels=l > 0))


class _Loop(NamedTuple):
    """A MiniBatchState, and the first rows of the batches to come."""

    centroids: Any
    counts: Any
    origin: Any
    smoothed: Any
    best: Any
    since: Any
    stale: Any
    n_iter: Any
    status: Any
    starts: Any


def _finish(x, weights, state, rules, *, labels):
    """The result with centroids as the caller sees them, and with labels that are theirs."""
    xp = array_namespace(x=x)
    space, shift = local_space(state, as_metric(rules.metric), rules.chunk_size)
    centres = space.absolute(online_centres(state.centroids - shift, space))
    centres = xp.astype(xp.astype(centres, x.dtype), centres.dtype)
    none = xp.zeros((*state.n_iter.shape, 0), dtype=state.n_iter.dtype, device=device(x))
    found, inertia = none, xp.full_like(state.smoothed, xp.nan)
    if labels:
        relative = centres - space.origin[..., None, :]
        part = partition(x, relative, weights, space, stats=False, distances=True)
        found, inertia = part.labels, part.inertia
    return MiniBatchResult(
        centres, found, inertia, state.counts, state.smoothed, state.n_iter, state.status
    )


def fit_batches(batches, k, key, search, rules, max_iter):
    """Batches as they come: of an iterator once, of anything else again and again."""
    if rules.smoothing is None:
        rules = rules._replace(smoothing=_SMOOTHING)
    source = iter(batches)
    kept, x, weights = _first_rows(source, k, search)
    xp = array_namespace(x=x)
    words = as_key(key, xp, device(x))
    centroids = _best_start(x, k, words, weights, search, 1)
    centroids = xp.astype(centroids, accumulation_dtype(xp, x.dtype), copy=False)
    state = initial_minibatch(centroids, rules.metric)
    for turn in range(max_iter):
        coming = chain(kept, source) if turn == 0 else iter(batches)
        state = _learn_all(coming, words, state, rules)
        if source is batches or int(state.status) != RUNNING:
            break
    if int(state.status) == RUNNING:
        state = state._replace(status=xp.full_like(state.status, MAX_ITER))
    return _checked(x, _finish(x, None, state, rules, labels=False))


def _learn_all(batches, words, state, rules):
    """The state after the batches, or after the one at which a rule said to stop."""
    for batch in batches:
        x, weights = _rows_and_weights(batch)
        state = step_minibatch(x, weights, words, state, rules)
        if int(state.status) != RUNNING:
            break
    return state


def _first_rows(source, k, search):
    """The first batches as they are, and their rows and weights as one sample."""
    kept, parts, wanted = [], [], k if not callable(search.start) else max(k, search.size)
    for batch in source:
        kept.append(batch)
        parts.append(_rows_and_weights(batch))
        if sum(x.shape[0] for x, _ in parts) >= wanted:
            break
    found = sum(x.shape[0] for x, _ in parts)
    if found < k:
        msg = f"x must hold at least k = {k} rows, got {found} in all batches"
        raise ValueError(msg)
    xp = array_namespace(x=parts[0][0])
    x = xp.concat([x for x, _ in parts], axis=0)
    if all(weights is None for _, weights in parts):
        return kept, x, None
    ones = (
        xp.ones(x.shape[:1], dtype=accumulation_dtype(xp, x.dtype), device=device(x))
        for x, _ in parts
    )
    return (
        kept,
        x,
        xp.concat([one if w is None else w for one, (_, w) in zip(ones, parts, strict=True)]),
    )


def _rows_and_weights(batch):
    """The rows (m, d) of a batch and their weights, checked."""
    x, weights = batch if isinstance(batch, tuple | list) else (batch, None)
    xp, x = check_points(x=x)
    if x.ndim != 2:
        msg = f"x must give batches of shape (m, d), got {tuple(x.shape)}"
        raise ValueError(msg)
    return x, check_weights(xp, x, weights)


def _best_start(x, k, words, weights, search, length):
    """Initial centroids from a sample, or those of the best of several samples."""
    xp = array_namespace(x=x)
    if not callable(search.start):
        return initial_centroids(xp, x, k, search.start, words, weights, search.metric)
    samples = _samples(x, weights, words, search, length)
    keys = [words]
    if search.n_init > 1:
        (found,) = restart_keys(words, r=search.n_init)
        keys = [found[i, :] for i in range(search.n_init)]
    starts = [
        initial_centroids(xp, rows, k, search.start, key, shares, search.metric)
        for key, (rows, shares) in zip(keys, samples, strict=False)
    ]
    if len(starts) == 1:
        return starts[0]
    rows, shares = samples[-1]
    left = [assign(rows, start, metric=search.metric).distances for start in starts]
    left = xp.stack([weighted_sum(xp, distances, shares) for distances in left])
    return xp.take(xp.stack(starts), xp.argmin(left)[None], axis=0)[0, ...]


def _samples(x, weights, words, search, length):
    """Pairs (rows, weights): a sample for each start, and one more to judge them by."""
    xp, n = array_namespace(x=x), x.shape[0]
    count = search.n_init + (search.n_init > 1)
    if search.size >= n:
        return [(x, weights)] * count
    (index,) = draw_sample(x, words, r=count, s=search.size, length=length)

    def sample(rows):
        return take_rows(xp, x, rows), None if weights is None else xp.take(weights, rows)

    return [sample(index[i, :]) for i in range(count)]


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
    return not isinstance(rules.metric, str)


def _checked(x, result):
    """The result in the dtype of x; an error if a value was not finite and can be read."""
    if is_concrete(result.status) and int(result.status) == NONFINITE:
        msg = "x must be finite, got NaN or infinity, or squares that overflow its dtype"
        raise ValueError(msg)
    xp = array_namespace(x=x)
    return result._replace(centroids=xp.astype(result.centroids, x.dtype, copy=False))
