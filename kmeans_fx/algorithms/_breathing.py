"""Breathing k-means: a search for better optima around Lloyd's algorithm.

A cycle breathes in, adding m centroids where the error is large, and out, removing the m
that are needed least. Lloyd's algorithm follows each. A fit that is worse is forgotten, so
the inertia never rises. m is 5, then 3 and 1, each until a cycle gains too little.

As in the paper, except that new centroids are rows drawn in proportion to their error (as
in LocalSearch++), not small offsets from the centroids of the largest error: they leave
their neighbours sooner, and the units of the metric do not matter.

References
----------
.. [1] B. Fritzke, "Breathing k-means: superior k-means solutions through dynamic
   k-values", arXiv:2006.15666, 2020 (error, utility, and freezing by nearest neighbours).
.. [2] S. Lattanzi, C. Sohler, "A better k-means++ algorithm via local search", ICML 2019
   (the D-squared draws of LocalSearch++).
"""

from functools import partial
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_option
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import cond, while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import score_rows, score_table
from kmeans_fx._backend.random import choice, fold_in, uniform
from kmeans_fx._backend.segment import segment_sum, take_rows
from kmeans_fx._backend.smallest import smallest
from kmeans_fx._partition import Space, map_rows, own_distances
from kmeans_fx.algorithms._options import Options
from kmeans_fx.algorithms._state import finish, initial_state
from kmeans_fx.algorithms.lloyd import FIT, iterate
from kmeans_fx.distances import as_metric

__all__ = ["breathe", "check_search"]

# How many centroids a cycle adds and removes: less, once a cycle gains too little. The paper
# has 5, 4, 3, 2, 1 and no bound on the iterations between breathing in and out: measured,
# that takes longer and gains next to nothing.
_DEPTHS = (5, 3, 1)
_FULL_ITER = 10
# A cycle gains too little if the inertia falls by no more than this share of itself.
_GAIN = 1e-4
# So many cycles at most of one depth.
_CYCLES = 20
# No counter of random_bits reaches this, nor that of the draws for empty clusters.
_STREAM = 2 << 32


def check_search(search, options, k_each):
    """The program that ``search`` asks for, as an argument of `fit`, or none."""
    if search is None:
        return {}
    check_option("search", search, ("breathing",))
    if options.portable or options.h or k_each is not None:
        msg = "search needs a metric by name and no reduce, callback, history or k_each"
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
    """The best fit, all iterations and cycles so far, and how many cycles are left."""

    best: _Fit
    n_iter: Any
    turn: Any
    left: Any


@program(*FIT)
def breathe(x, centroids, weights, key, _, **fields):
    """Lloyd's algorithm and the search from its result, as one operation."""
    options = Options(**fields)
    start = initial_state(x, centroids, weights, key, options)
    best = _Fit(*finish(x, weights, iterate(x, weights, key, start, options), options))
    zero = best.n_iter * 0
    search = _Search(best, best.n_iter, zero, zero)
    for m in _DEPTHS:
        if m > centroids.shape[-2]:
            continue
        # Textbook form: while a cycle gains. But a loop under jit has a bound.
        search = while_loop(
            lambda search: search.left > 0,
            partial(_cycle, x, weights, key, start, options=options, m=m),
            search._replace(left=zero + _CYCLES),
            max_steps=_CYCLES,
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
    short = options._replace(max_iter=min(options.max_iter, _FULL_ITER))
    full = iterate(x, weights, key, _restart(start, more), short)
    fewer = _without(full.centroids, _utilities(x, full.centroids, weights, space), m)
    state = iterate(x, weights, key, _restart(start, fewer), options)
    new = _Fit(*finish(x, weights, state, options))
    gains = new.inertia < best.inertia * (1 - _GAIN)
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

    def block(part, share):
        table = scores_of(space.rows(part))
        places = smallest(table, 2)
        near = xp.take_along_axis(table, places, axis=-1)
        rise = near[..., 1] - near[..., 0]
        rise = rise if share is None else rise * share
        return (), (segment_sum(rise[..., None], places[..., 0], k)[..., 0],)

    columns = 3 * k if space.metric.embed is not None else k * d
    return map_rows(block, (x, weights), centroids, columns, space.chunk_size)[1][0]


def _scores(space, centroids):
    """The function from mapped rows to distances (..., n, k), up to a number for each row."""
    if space.metric.embed is None:
        absolute = space.absolute(centroids)
        return lambda rows: space.metric.distance(rows[..., :, None, :], absolute[..., None, :, :])
    return partial(score_rows, table=score_table(centroids))


def _without(centroids, utilities, m):
    """Breathe out: the centroids without m of the lowest utility that are no neighbours.

    The nearest neighbour of a removed one is frozen: it takes over rows, which makes it
    more useful than it was.
    """
    xp = array_namespace(centroids=centroids)
    k = centroids.shape[-2]
    place, neighbour = xp.arange(k, device=device(centroids)), _nearest_other(centroids)
    removed = frozen = xp.zeros_like(utilities, dtype=xp.bool)
    for _ in range(m):
        free = ~(removed | frozen)
        # If all are frozen, neighbours have to go too.
        free = xp.where(xp.any(free, axis=-1, keepdims=True), free, ~removed)
        least = xp.argmin(xp.where(free, utilities, xp.inf), axis=-1)[..., None]
        removed = removed | (xp.astype(place, least.dtype) == least)
        frozen = frozen | (place == xp.take_along_axis(neighbour, least, axis=-1))
    kept = xp.argsort(xp.astype(removed, xp.int32), axis=-1, stable=True)[..., : k - m]
    return take_rows(xp, centroids, kept)


def _nearest_other(centroids):
    """Index (..., k) of the centroid nearest to every one."""
    xp = array_namespace(centroids=centroids)
    table = score_rows(centroids, score_table(centroids))
    place = xp.arange(centroids.shape[-2], device=device(centroids))
    return xp.argmin(xp.where(place[:, None] == place, xp.inf, table), axis=-1)
