"""Breathing k-means: a search for better optima around Lloyd's algorithm.

A cycle breathes in, adding m centroids where the error is large, and out, removing the m
that are needed least; Lloyd's algorithm follows each. Fits that are worse are forgotten,
so the inertia never rises. m falls from 5 to 1, each time when a cycle gains nothing.

References
----------
.. [1] B. Fritzke, "Breathing k-means: superior k-means solutions through dynamic
   k-values", arXiv:2006.15666, 2020 (algorithm 2; breathe out is algorithm 1).
.. [2] S. Lattanzi, C. Sohler, "A better k-means++ algorithm via local search", ICML 2019
   (rows drawn in proportion to their error, algorithm 2).
"""

import os
from functools import partial
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_option
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import cond, while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import score_table
from kmeans_fx._backend.random import choice, fold_in, uniform
from kmeans_fx._backend.segment import segment_sum, take_rows
from kmeans_fx._partition import Space, map_rows, own_distances
from kmeans_fx.algorithms._options import Options
from kmeans_fx.algorithms._state import finish, initial_state
from kmeans_fx.algorithms.lloyd import FIT, iterate
from kmeans_fx.distances import as_metric

__all__ = ["breathe", "check_search"]

# Breaths begin so deep.
_MOST = int(os.environ.get("BM", 5))
# A cycle gains if the inertia falls by more than this share of itself.
_GAIN = float(os.environ.get("BG", 1e-4))
_LIMIT = int(os.environ.get("BL", 20))
# Centroids nearer to a removed one than so many mean distances to the next stay.
_FREEZE = 1.1
# No counter of random_bits, nor the draws for empty clusters, reach this.
_STREAM = 2 << 32
_IN = int(os.environ.get("BI", 300))
COUNT = []


def check_search(search, options):
    """The program that ``search`` asks for, as an argument of `fit`, or none."""
    if search is None:
        return {}
    check_option("search", search, ("breathing",))
    if options.portable or options.h:
        msg = "search needs a metric by name, and neither reduce, nor callback, nor history"
        raise ValueError(msg)
    return {"run": breathe}


class _Fit(NamedTuple):
    """What `finish` gives, of the best fit so far."""

    centroids: Any
    previous: Any
    labels: Any
    inertia: Any
    n_iter: Any
    status: Any
    history: Any


class _Search(NamedTuple):
    """The best fit, all iterations so far, how many cycles, and how many without gain."""

    best: _Fit
    n_iter: Any
    turn: Any
    left: Any


@program(*FIT)
def breathe(x, centroids, weights, key, **fields):
    """Lloyd's algorithm and the search from its result, as one operation."""
    options = Options(**fields)
    start = initial_state(x, centroids, weights, key, options)
    best = _Fit(*finish(x, weights, iterate(x, weights, key, start, options), options))
    zero = best.n_iter * 0
    search = _Search(best, best.n_iter, zero, zero)
    for m in range(min(_MOST, centroids.shape[-2]), 0, -1):
        # Textbook form: while a cycle gains. But a loop under jit has a bound.
        search = while_loop(
            lambda search: search.left > 0,
            partial(_cycle, x, weights, key, start, options=options, m=m),
            search._replace(left=zero + _LIMIT),
            max_steps=_LIMIT,
        )
    return search.best._replace(n_iter=search.n_iter)


def _cycle(x, weights, key, start, search, *, options, m):
    """Breathe in, breathe out, and keep the fit if it is better."""
    xp, best = array_namespace(x=x), search.best
    space = Space(as_metric(options.metric), start.origin, options.chunk_size)
    key = fold_in(fold_in(key, _STREAM), search.turn)
    relative = space.relative(best.centroids)
    added = _erring_rows(x, relative, best.labels, weights, key, m, space)
    more = xp.concat([relative, space.relative(added)], axis=-2)
    full = iterate(
        x, weights, key, _restart(start, more), options._replace(max_iter=min(options.max_iter, _IN))
    )
    fewer = _without(full.centroids, _utilities(x, full.centroids, weights, space), m)
    state = iterate(x, weights, key, _restart(start, fewer), options)
    new = _Fit(*finish(x, weights, state, options))
    gains = new.inertia < best.inertia * (1 - _GAIN)
    if os.environ.get("BV"):
        print(m, float(best.inertia), float(new.inertia), full.n_iter, new.n_iter)
    best = cond(new.inertia < best.inertia, lambda _: new, lambda _: best, None)
    left = xp.where(gains, search.left - 1, xp.zeros_like(search.left))
    n_iter = search.n_iter + full.n_iter + new.n_iter
    return _Search(best, n_iter, search.turn + 1, left)


def _restart(start, centroids):
    """The state ``start`` of Lloyd's loop with other centroids, of any number."""
    xp = array_namespace(centroids=centroids)
    return start._replace(centroids=centroids, counts=xp.ones_like(centroids[..., 0]))


def _erring_rows(x, centroids, labels, weights, key, m, space):
    """Breathe in: rows (..., m, d), drawn in proportion to their share of the inertia."""
    xp = array_namespace(x=x)
    error = own_distances(x, labels, centroids, space)
    error = error if weights is None else error * weights
    return take_rows(xp, x, choice(uniform(key, (m, 2), error.dtype), error))


def _utilities(x, centroids, weights, space):
    """By how much the inertia rises without each centroid (..., k): its rows go to the next."""
    xp = array_namespace(x=x)
    k, d = centroids.shape[-2:]
    scores_of = _scores(space, centroids)
    place = xp.arange(k, device=device(x))

    def block(part, share):
        scores = scores_of(space.rows(part))
        labels = xp.argmin(scores, axis=-1)
        own = labels[..., None] == xp.astype(place, labels.dtype)
        rise = xp.min(xp.where(own, xp.inf, scores), axis=-1) - xp.min(scores, axis=-1)
        rise = rise if share is None else rise * share
        return (), (segment_sum(rise[..., None], labels, k)[..., 0],)

    columns = 3 * k if space.metric.embed is not None else k * d
    return map_rows(block, (x, weights), centroids, columns, space.chunk_size)[1][0]


def _scores(space, centroids):
    """The function from mapped rows to distances (..., n, k), up to a number for each row."""
    xp = array_namespace(centroids=centroids)
    if space.metric.embed is None:
        absolute = space.absolute(centroids)
        return lambda rows: space.metric.distance(rows[..., :, None, :], absolute[..., None, :, :])
    operand, bias = score_table(centroids)
    return lambda rows: xp.matmul(rows, operand) + bias[..., None, :]


def _without(centroids, utilities, m):
    """Breathe out: the centroids without m of the lowest utility that are no neighbours.

    The neighbours of a removed one are frozen: they take over its rows, which makes them
    more useful than they were.
    """
    xp = array_namespace(centroids=centroids)
    k = centroids.shape[-2]
    place = xp.arange(k, device=device(centroids))
    reach = _FREEZE * xp.mean(_to_next(centroids), axis=-1)
    removed = frozen = xp.zeros_like(utilities, dtype=xp.bool)
    for _ in range(m):
        free = ~(removed | frozen)
        # If all are frozen, neighbours have to go too.
        free = xp.where(xp.any(free, axis=-1, keepdims=True), free, ~removed)
        least = xp.argmin(xp.where(free, utilities, xp.inf), axis=-1)[..., None]
        removed = removed | (xp.astype(place, least.dtype) == least)
        away = xp.sum((centroids - take_rows(xp, centroids, least)) ** 2, axis=-1) ** 0.5
        frozen = frozen | (away < reach[..., None])
    kept = xp.argsort(xp.astype(removed, xp.int32), axis=-1, stable=True)[..., : k - m]
    return take_rows(xp, centroids, kept)


def _to_next(centroids):
    """Euclidean distance (..., k) from every centroid to the nearest other one."""
    xp = array_namespace(centroids=centroids)
    operand, bias = score_table(centroids)
    scores = xp.matmul(centroids, operand) + bias[..., None, :]
    place = xp.arange(centroids.shape[-2], device=device(centroids))
    other = xp.argmin(xp.where(place[:, None] == place, xp.inf, scores), axis=-1)
    return xp.sum((centroids - take_rows(xp, centroids, other)) ** 2, axis=-1) ** 0.5
