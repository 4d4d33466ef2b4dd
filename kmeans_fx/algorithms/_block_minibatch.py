"""Mini-batch k-means of rows in blocks: the batches travel, the rows stay where they are.

The draws are those of the fit in memory. The rows of many batches are fetched in one sweep.
"""

from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace
from kmeans_fx.algorithms._batches import first_starts, next_starts, plan, rows_of_step
from kmeans_fx.algorithms._block_rows import fetch, sampled_start
from kmeans_fx.algorithms._minibatch import initial_minibatch
from kmeans_fx.algorithms._minibatch_fit import (
    array_rules,
    checked,
    finish_minibatch,
    step_minibatch,
)
from kmeans_fx.converge import RUNNING

__all__ = ["fit_drawn_batches"]

# Numbers of the rows of the batches that are fetched together.
_AT_ONCE = 1 << 22


def fit_drawn_batches(sweep, seen, k, words, search, rules, size, length, max_iter):
    """The MiniBatchResult without labels."""
    n, like = seen.layout.n, seen.like
    xp = array_namespace(like=like)
    centroids = sampled_start(sweep, like, k, words, seen.layout, search, length)
    how = plan(n, size, length)
    rules = array_rules(rules, n, how.runs * how.length, max_iter)
    centroids = xp.astype(centroids, accumulation_dtype(xp, like.dtype), copy=False)
    state = initial_minibatch(centroids, rules.metric)
    starts = first_starts(state.n_iter, how)
    together = max(1, min(how.steps, _AT_ONCE // (how.runs * how.length * like.shape[1])))
    batches: list[tuple] = []
    while int(state.status) == RUNNING:
        turn = int(state.n_iter) % how.steps
        if not batches:
            starts = next_starts(words, n, state.n_iter, starts, how)
            steps = min(together, how.steps - turn, rules.max_steps - int(state.n_iter))
            batches = _fetch_steps(sweep, state.n_iter, starts, how, steps, seen.layout)
        rows, weights = batches.pop(0)
        state = step_minibatch(rows, weights, words, state, rules)
    return checked(like, finish_minibatch(like, state, rules))


def _fetch_steps(sweep, n_iter, starts, how, steps, layout):
    """The batches (rows, weights) of the next steps."""
    xp = array_namespace(starts=starts)
    index = [rows_of_step(n_iter + i, starts, how, layout.n) for i in range(steps)]
    rows, weights = fetch(sweep, xp.concat(index), layout)
    size = how.runs * how.length
    cuts = [slice(i * size, (i + 1) * size) for i in range(steps)]
    return [(rows[c, ...], None if weights is None else weights[c]) for c in cuts]
