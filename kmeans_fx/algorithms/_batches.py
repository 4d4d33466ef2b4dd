"""Batches of rows drawn at random, the same for a key, with memory for one batch.

A batch is some runs of neighbouring rows. Every run begins at a row drawn uniformly and
goes on from the first row after the last, so that every row is equally likely to be in
it. Runs of one row are plain sampling with replacement.

References
----------
.. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, 1977 (chapter 9: runs of m rows
   that correlate by r are worth 1 / (1 + (m - 1) r) as many rows drawn one by one).
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import cond
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.random import fold_in, randint
from kmeans_fx._backend.segment import take_rows

__all__ = [
    "Plan",
    "Starts",
    "draw_sample",
    "first_starts",
    "next_starts",
    "plan",
    "rows_of_step",
    "sample_rows",
    "take_batch",
]

# No counter of random_bits reaches these: the draws are not those of an init.
_BATCHES, _SAMPLES = 3 << 32, 4 << 32
# Runs that are drawn at a time: random bits cost much a call and little a number.
_AT_ONCE = 1 << 16


class Plan(NamedTuple):
    """How a batch is made up of runs of ``length`` rows, and for how many steps to draw."""

    runs: int
    length: int
    steps: int


class Starts(NamedTuple):
    """First rows (..., steps, runs) of the runs of the next steps."""

    rows: Any


def plan(n, size, length):
    """A Plan for batches of at most ``size`` of n rows."""
    # All rows are one run, so that none is there twice.
    length = n if size >= n else min(length, size)
    runs = max(1, min(size, n) // length)
    return Plan(runs, length, max(1, _AT_ONCE // runs))


def first_starts(like, plan):
    """Nothing drawn yet, for a state whose ``n_iter`` is ``like``."""
    xp = array_namespace(like=like)
    shape = (*like.shape, plan.steps, plan.runs)
    return xp.zeros(shape, dtype=like.dtype, device=device(like))


def next_starts(key, n, n_iter, rows, plan):
    """The ``rows`` of Starts for step ``n_iter``, drawn anew once they are used up."""
    xp = array_namespace(rows=rows)

    def draw(_):
        turn = fold_in(fold_in(key, _BATCHES), n_iter // plan.steps)
        fresh = xp.astype(randint(turn, (plan.steps, plan.runs), n), rows.dtype)
        return Starts(xp.broadcast_to(fresh, rows.shape))

    return cond(n_iter % plan.steps == 0, draw, lambda old: old, Starts(rows)).rows


def take_batch(x, weights, n_iter, rows, plan):
    """The rows and weights of step ``n_iter``."""
    xp = array_namespace(x=x)
    index = rows_of_step(n_iter, rows, plan, x.shape[-2])
    if weights is None:
        return take_rows(xp, x, index), None
    return take_rows(xp, x, index), take_rows(xp, weights[..., None], index)[..., 0]


def rows_of_step(n_iter, rows, plan, n):
    """The numbers (..., runs * length) of the rows of step ``n_iter``."""
    xp = array_namespace(rows=rows)
    turn = n_iter[..., None, None] % plan.steps
    own = xp.take_along_axis(rows, xp.broadcast_to(turn, (*rows.shape[:-2], 1, plan.runs)), axis=-2)
    return _runs(xp, own[..., 0, :], plan.length, n)


def _runs(xp, starts, length, n):
    """The numbers (..., runs * length) of the rows that follow the starts (..., runs)."""
    if length == 1:
        return starts
    steps = xp.arange(length, dtype=starts.dtype, device=device(starts))
    index = (starts[..., None] + steps) % n
    return xp.reshape(index, (*starts.shape[:-1], -1))


@program("nd w", "rs:index")
def draw_sample(x, key, *, r, s, length):
    """The numbers (r, s) of rows for r samples, each of s rows."""
    return (sample_rows(x.shape[-2], key, r, s, length, x),)


def sample_rows(n, key, r, s, length, like):
    """The numbers (r, s) of rows, of n rows that may be anywhere."""
    xp = array_namespace(like=like)
    runs = -(-s // min(length, s))
    starts = randint(fold_in(key, _SAMPLES), (r, runs), n)
    starts = xp.astype(starts, index_dtype(xp, like))
    return _runs(xp, starts, min(length, s), n)[..., :s]
