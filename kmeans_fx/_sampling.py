"""Choosing rows as initial centroids: programs from (x, weights, key) to indices."""

import math
from typing import Any, NamedTuple

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx._backend.loop import cond, while_loop
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device, index_dtype
from kmeans_fx._backend.nearest import squared_norms
from kmeans_fx._backend.random import choice, fold_in, randint, uniform
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._partition import centred_space, map_rows, partition
from kmeans_fx._pruned_sampling import PrunedReach
from kmeans_fx._ranks import Ranks, ranks_of
from kmeans_fx._trimming import left_in
from kmeans_fx.distances import as_metric

__all__ = [
    "choose_among_candidates",
    "choose_farthest_first",
    "choose_kmeans_parallel",
    "choose_kmeans_plusplus",
    "choose_random_partition",
    "choose_random_points",
    "mass_of",
    "next_key",
    "reach_from",
    "reach_of_nearest",
    "uniforms",
]


# All rows are in this process.
_HERE = Ranks(None, 0, 0, 0)


class _Sampling(NamedTuple):
    """Indices (..., k) so far; what the next draw depends on (..., n); the turn."""

    indices: Any
    reach: Any
    turn: Any


# Its blocks are short-lived arrays, for which PyTorch asks the system for memory each time.
@program("nd n w", "k:index", by_numpy=True)
def choose_kmeans_plusplus(x, weights, key, *, k, metric, n_trials, trim=0.0, reduce=None):
    """D-squared sampling, keeping of every turn's trials the one that helps most.

    The share ``trim`` of the weight that is farthest from the rows so far neither is drawn
    nor counts. As nothing is far before the first row, that is then the most central trial.
    """
    xp = array_namespace(x=x)
    space = centred_space(x, weights, as_metric(metric), None, reduce)
    ranks = ranks_of(x, reduce)
    draws = uniforms(space.origin, key, k, n_trials)
    plain = space.metric.embed is not None and not trim and reduce is None
    mass = mass_of(x, weights, key)
    task = "gains" if mass.ndim == 1 else "sample_each"
    kernels = kernels_for(x, x.dtype, task) if plain else None
    if kernels is not None and task == "sample_each":
        return (kernels.sample_each(space.mapped(x), weights, draws),)
    first = ranks.draw(mass, draws[..., 0, :1, :])[..., 0]
    if kernels is not None:
        return (_sample_pruned(kernels, x, weights, first, draws, space),)
    # |x|^2 of the centred rows. A distance that is not expanded has no use for it, and
    # a caller's may not be defined at the origin.
    norms = None if space.metric.embed is None else reach_from(x, space.origin, space)
    if trim:
        first = _most_central(x, norms, weights, key, draws[..., 0, :, :], space)

    def body(state):
        mass = left_in(state.reach, weights, trim) if trim else weights
        p = state.reach if mass is None else state.reach * mass
        trials = ranks.draw(p, _turn(draws, state.turn), state.indices[..., :1])
        candidates = space.relative(ranks.take(x, trials))
        left = ranks.total(_potentials(x, norms, mass, state.reach, candidates, space))
        best = xp.take_along_axis(trials, xp.argmin(left, axis=-1)[..., None], axis=-1)[..., 0]
        return _Sampling(
            _put(state.indices, state.turn, best),
            xp.minimum(state.reach, _reach_of(x, best, space, ranks)),
            state.turn + 1,
        )

    return (_sample(x, first, k, body, space, ranks).indices,)


def _most_central(x, norms, weights, key, draws, space):
    """The row of least total reach among trials in proportion to the weights."""
    xp = array_namespace(x=x)
    mass = mass_of(x, weights, key)
    trials = _HERE.draw(mass, draws)
    candidates = space.relative(take_rows(xp, x, trials))
    far = xp.full_like(mass, xp.inf)
    left = _potentials(x, norms, mass, far, candidates, space)
    return xp.take_along_axis(trials, xp.argmin(left, axis=-1)[..., None], axis=-1)[..., 0]


def _sample_pruned(kernels, x, weights, first, draws, space):
    """The loop of `choose_kmeans_plusplus` with kernels."""
    xp = array_namespace(x=x)
    state = PrunedReach(kernels, x, weights, space, _reach_of(x, first, space, _HERE))

    def loop():
        indices = first[None]
        for turn in range(1, draws.shape[0]):
            p = state.reach if weights is None else state.reach * weights
            trials = _HERE.draw(p, draws[turn, ...], indices[:1])
            chosen, candidates = (space.mapped(take_rows(xp, x, i)) for i in (indices, trials))
            best = int(xp.argmax(state.gains(candidates, chosen)))
            state.shrink(candidates[best, :], turn, best)
            indices = xp.concat((indices, trials[best : best + 1]))
        return indices

    k, t, _ = draws.shape
    return state.assisted(k, t, loop)


@program("nd n w", "k:index")
def choose_farthest_first(x, weights, key, *, k, metric, reduce=None):
    """The row of the largest reach, again and again."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, as_metric(metric), None, reduce)
    ranks = ranks_of(x, reduce)
    draws = uniforms(space.origin, key, 1, 1)
    first = ranks.draw(mass_of(x, weights, key), draws[..., 0, :, :])[..., 0]

    def body(state):
        reach = state.reach
        if weights is not None:
            reach = xp.where(weights > 0, reach, xp.zeros_like(reach))
        farthest, most = ranks.argmax(reach)
        farthest = xp.where(most == 0, state.indices[..., 0], farthest)
        return _Sampling(
            _put(state.indices, state.turn, farthest),
            xp.minimum(state.reach, _reach_of(x, farthest, space, ranks)),
            state.turn + 1,
        )

    return (_sample(x, first, k, body, space, ranks).indices,)


@program("nd n w", "k:index")
def choose_kmeans_parallel(x, weights, key, *, k, metric, rounds, batch, reduce=None):
    """Algorithm 2 of Bahmani et al.: oversample in rounds, weigh, recluster."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, as_metric(metric), None, reduce)
    ranks = ranks_of(x, reduce)
    draws = uniforms(space.origin, key, rounds + 1, batch)
    first = ranks.draw(mass_of(x, weights, key), draws[..., 0, :1, :])
    candidates, reach = first, _reach_of(x, first[..., 0], space, ranks)
    for turn in range(1, rounds + 1):
        p = reach if weights is None else reach * weights
        fresh = ranks.draw(p, draws[..., turn, :, :], first)
        candidates = xp.concat([candidates, fresh], axis=-1)
        reach = xp.minimum(reach, reach_of_nearest(x, ranks.take(x, fresh), space))
    rows = ranks.take(x, candidates)
    counts = ranks.total(partition(x, space.relative(rows), weights, space).stats.counts)
    chosen = choose_among_candidates(rows, counts, key, k, metric)
    return (xp.take_along_axis(candidates, chosen, axis=-1),)


def choose_among_candidates(rows, counts, key, k, metric, portable=True):
    """The last step of k-means||: k of the candidates, by weighted k-means++."""
    options = {"k": k, "metric": metric, "n_trials": 2 + int(math.log(k)), "portable": portable}
    return choose_kmeans_plusplus(rows, counts, *next_key(key), **options)[0]


def uniforms(like, key, turns, trials):
    """Draws (..., turns, trials, 2), in the dtype of ``like``."""
    xp = array_namespace(key=key)
    like = xp.zeros((), dtype=like.dtype, device=device(key))
    return _uniform_program(like, key, r=turns, t=trials, p=2)[0]


# Programs of their own, because with a caller's Metric a sampling runs in the open, and
# torch.compile takes minutes over the arithmetic of a key.
@program(". w", "rtp")
def _uniform_program(like, key, *, r, t, p):
    return (uniform(key, (r, t, p), like.dtype),)


@program("w", "w:index")
def next_key(key):
    return (fold_in(key, 1),)


@program("nd n w", "k:index")
def choose_random_points(x, weights, key, *, k, reduce=None):
    """Draw a row; if it equals one that was drawn, rule out its copies and draw again."""
    xp = array_namespace(x=x)
    ranks = ranks_of(x, reduce)
    p = mass_of(x, weights, key)
    # Every turn takes a row or rules a value out, so 2 k turns are enough.
    draws = uniform(key, (2 * k, 2), p.dtype)
    index = xp.arange(x.shape[-2], device=device(x)) + ranks.start

    def body(state):
        draw = take_rows(xp, draws, state.turn[..., None])
        row = ranks.draw(state.reach, draw, state.indices[..., :1])[..., 0]
        value = ranks.take(x, row[..., None])
        again = _equals_chosen(xp, ranks.take(x, state.indices), value, state)
        again = again & ranks.any(state.reach > 0)
        spent = index == row[..., None]
        same = cond(
            again, lambda _: _Mask(_equal_rows(x, value)), lambda _: _Mask(spent), None
        ).rows
        return _Points(
            xp.where(again[..., None], state.indices, _put(state.indices, state.count, row)),
            xp.where(same, xp.zeros_like(state.reach), state.reach),
            state.turn + 1,
            xp.where(again, state.count, state.count + 1),
        )

    zero = xp.zeros(p.shape[:-1], dtype=index_dtype(xp, x), device=device(x))
    indices = xp.zeros((*p.shape[:-1], k), dtype=zero.dtype, device=device(x))
    state = _Points(indices, p, zero, zero)
    state = while_loop(lambda s: s.count < k, body, state, max_steps=2 * k)
    return (state.indices,)


@program("nd n w", "n:index k:index")
def choose_random_partition(x, weights, key, *, k):
    """A random label for every row, and a row for every label that no row gets."""
    xp = array_namespace(x=x)
    p = mass_of(x, weights, key)
    labels = xp.astype(randint(key, x.shape[-2:-1], k), index_dtype(xp, x))
    spare = choice(uniform(fold_in(key, 1), (k, 2), p.dtype), p)
    return xp.broadcast_to(labels, p.shape), spare


class _Points(NamedTuple):
    """As _Sampling, with the turn and the number of rows so far of each member of the batch."""

    indices: Any
    reach: Any
    turn: Any
    count: Any


class _Mask(NamedTuple):
    rows: Any


def _equals_chosen(xp, chosen, new, state):
    place = xp.arange(chosen.shape[-2], dtype=state.count.dtype, device=device(chosen))
    equal = xp.all(chosen == new, axis=-1) & (place < state.count[..., None])
    return xp.any(equal, axis=-1)


def _equal_rows(x, value):
    xp = array_namespace(x=x)

    def block(part):
        return (xp.all(part == value, axis=-1),), ()

    return map_rows(block, (x,), value, x.shape[-1], None)[0][0]


def _sample(x, first, k, body, space, ranks):
    """K - 1 turns after the first row."""
    xp = array_namespace(x=x)
    indices = xp.broadcast_to(first[..., None], (*first.shape, k))
    turn = xp.ones((), dtype=first.dtype, device=device(x))
    state = _Sampling(indices, _reach_of(x, first, space, ranks), turn)
    return while_loop(lambda state: state.turn < k, body, state, max_steps=k - 1, min_steps=k - 1)


def mass_of(x, weights, key):
    """Weights, or ones, with the batch dimensions of all three."""
    xp = array_namespace(x=x)
    if weights is None:
        dtype = accumulation_dtype(xp, x.dtype)
        weights = xp.ones(x.shape[-2:-1], dtype=dtype, device=device(x))
    batch = broadcast_shapes(x.shape[:-2], key.shape[:-1], weights.shape[:-1])
    return xp.broadcast_to(weights, (*batch, x.shape[-2]))


def _turn(draws, turn):
    """The draws (..., t, 2) of one turn."""
    xp = array_namespace(draws=draws)
    return xp.take(draws, turn[None], axis=-3)[..., 0, :, :]


def _put(indices, place, new):
    """``indices`` (..., k) with the entry at ``place`` replaced."""
    xp = array_namespace(indices=indices)
    position = xp.arange(indices.shape[-1], dtype=place.dtype, device=device(indices))
    return xp.where(position == place[..., None], new[..., None], indices)


def _reach_of(x, row, space, ranks):
    """The reach from the row of one number (...)."""
    return reach_from(x, space.mapped(ranks.take(x, row[..., None]))[..., 0, :], space)


def reach_from(x, row, space):
    """How far all rows are from a mapped one (..., d), as the sampling counts it.

    Differences of rows that are not centred, which would round near ones together:
    0 for the copies of the row, and else only where a square vanishes.
    """

    def block(part):
        rows = space.mapped(part)
        if space.metric.embed is None:
            return (space.metric.distance(rows, row[..., None, :]),), ()
        return (squared_norms(rows - row[..., None, :]),), ()

    return map_rows(block, (x,), row[..., None, :], 3 * x.shape[-1], space.chunk_size)[0][0]


def reach_of_nearest(x, rows, space):
    """The reach from the nearest of other rows (..., m, d)."""
    xp = array_namespace(x=x)
    centroids = space.mapped(rows)
    labels = partition(x, space.relative(centroids), None, space, stats=False).labels

    def block(part, own):
        rows, nearest = space.mapped(part), take_rows(xp, centroids, own)
        if space.metric.embed is None:
            return (space.metric.distance(rows, nearest),), ()
        return (squared_norms(rows - nearest),), ()

    return map_rows(block, (x, labels), centroids, 4 * x.shape[-1], space.chunk_size)[0][0]


def _potentials(x, norms, weights, reach, candidates, space):
    """The total reach that each candidate (..., t, d) would leave, (..., t)."""
    xp = array_namespace(x=x)
    operand = candidates * -2.0
    squares = xp.sum(candidates * candidates, axis=-1)[..., None]

    def block(part, norm, near, share):
        rows = space.rows(part)
        if space.metric.embed is None:
            far = space.metric.distance(rows[..., None, :, :], candidates[..., None, :])
        else:
            # |x|^2 - 2 x.c + |c|^2: its rounding can only change which trial is kept.
            far = xp.matmul(operand, xp.matrix_transpose(rows)) + squares + norm[..., None, :]
        left = xp.minimum(far, near[..., None, :])
        mass = xp.ones_like(near) if share is None else share
        return (), (xp.matmul(left, mass[..., None])[..., 0],)

    columns = x.shape[-1] + 3 * candidates.shape[-2]
    rows = (x, norms, reach, weights)
    return map_rows(block, rows, candidates, columns, space.chunk_size)[1][0]
