"""Mini-batch k-means of batches that come from the caller, one at a time."""

from itertools import chain

from kmeans_fx._backend.checks import check_points, check_weights
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx.algorithms._minibatch import initial_minibatch
from kmeans_fx.algorithms._minibatch_fit import checked, finish_minibatch, step_minibatch
from kmeans_fx.algorithms._samples import best_start
from kmeans_fx.algorithms._sweeps import rows_and_weights
from kmeans_fx.converge import MAX_ITER, RUNNING

__all__ = ["fit_batches"]

# Share of the newest batch in the smoothed inertia, where nobody knows how many there are.
_SMOOTHING = 0.1


def fit_batches(batches, k, key, search, rules, max_iter):
    """Batches as they come: of an iterator once, of anything else again and again."""
    if rules.smoothing is None:
        rules = rules._replace(smoothing=_SMOOTHING)
    source = iter(batches)
    kept, x, weights = _first_rows(source, k, search)
    xp = array_namespace(x=x)
    words = as_key(key, xp, device(x))
    centroids = best_start(x, k, words, weights, search, 1)
    centroids = xp.astype(centroids, accumulation_dtype(xp, x.dtype), copy=False)
    state = initial_minibatch(centroids, rules.metric)
    for turn in range(max_iter):
        coming = chain(kept, source) if turn == 0 else iter(batches)
        state = _learn_all(coming, words, state, rules)
        if source is batches or int(state.status) != RUNNING:
            break
    if int(state.status) == RUNNING:
        state = state._replace(status=xp.full_like(state.status, MAX_ITER))
    return checked(x, finish_minibatch(x, state, rules))


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
    return kept, x, xp.concat([_ones(xp, x) if w is None else w for x, w in parts], axis=0)


def _ones(xp, x):
    return xp.ones(x.shape[:1], dtype=accumulation_dtype(xp, x.dtype), device=device(x))


def _rows_and_weights(batch):
    """The rows (m, d) of a batch and their weights, checked."""
    x, weights = rows_and_weights(batch)
    xp, x = check_points(x=x)
    if x.ndim != 2:
        msg = f"x must give batches of shape (m, d), got {tuple(x.shape)}"
        raise ValueError(msg)
    return x, check_weights(xp, x, weights)
