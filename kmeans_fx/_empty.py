"""What becomes of clusters without rows: policies of fixed shape, usable under jit.

Each places the centroids marked in ``missing`` (..., k). All weigh rows by position
only or in proportion to their weight, so that a row of weight m acts as m copies of
it and a row of weight 0 as none.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.loop import cond, while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import nearest, score_table
from kmeans_fx._backend.random import choice, fold_in, randint, uniform
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._partition import own_distances

__all__ = ["POLICIES", "copy_nearest", "fill_empty", "halve_largest"]

# No counter of random_bits reaches this: these draws are not those of an init.
_STREAM = 1 << 32

POLICIES = ("farthest", "random", "split", "merge", "keep")


def fill_empty(policy, x, weights, key, labels, counts, centroids, state, space, present=None):
    """The new ``centroids`` with those of empty clusters placed by the policy.

    ``labels`` and ``counts`` are the assignment that gave them, and ``state`` holds
    the centroids before it. A cluster that is not ``present`` (..., k) may be empty.
    """
    xp = array_namespace(counts=counts)
    missing = counts == 0 if present is None else (counts == 0) & present

    def place(_):
        if policy == "farthest":
            return farthest(x, labels, weights, centroids, state.centroids, missing, space)
        if policy == "random":
            return random(x, weights, key, centroids, missing, state.n_iter, space)
        return split(centroids, counts, missing, state.variance)

    if policy in ("merge", "keep"):
        # "keep" leaves them where they are; "merge" drops them until the end.
        return centroids
    return cond(xp.any(missing, axis=-1), place, lambda placed: placed, Placed(centroids)).centroids


class Placed(NamedTuple):
    """Centroids, those of empty clusters in their place."""

    centroids: Any


class _Filling(NamedTuple):
    """Centroids so far, those still missing, and what the next place depends on.

    The reach is each row's distance to the centroids just placed, or, for ``split``,
    each cluster's count.
    """

    centroids: Any
    missing: Any
    reach: Any


def farthest(x, labels, weights, centroids, previous, missing, space):
    """Move each missing centroid to the row farthest from its own centroid.

    As scikit-learn does, but one after the other: a row near to one that was just
    taken is not taken again. The means of the clusters that lose a row are left to
    the next update, so the inertia still cannot rise.
    """
    xp = array_namespace(x=x)

    def body(state):
        distances = xp.minimum(own_distances(x, labels, previous, space), state.reach)
        if weights is not None:
            # An absent row is nowhere, not even at distance 0.
            distances = xp.where(weights > 0, distances, -xp.ones_like(distances))
        row = take_rows(xp, x, xp.argmax(distances, axis=-1)[..., None])
        first, missing = _first(xp, state.missing)
        centroids = xp.where(first[..., None], space.relative(row), state.centroids)
        zeros = xp.zeros_like(labels)
        away = own_distances(x, zeros, space.relative(row), space)
        return _Filling(centroids, missing, xp.minimum(state.reach, away))

    infinite = xp.full(labels.shape, xp.inf, dtype=centroids.dtype, device=device(x))
    state = _Filling(centroids, missing, infinite)
    return Placed(_fill(body, state).centroids)


def random(x, weights, key, centroids, missing, n_iter, space):
    """Move the missing centroids to rows drawn in proportion to their weights."""
    xp = array_namespace(x=x)
    k = centroids.shape[-2]
    key = fold_in(fold_in(key, _STREAM), n_iter)
    if weights is None:
        rows = xp.astype(randint(key, (k,), x.shape[-2]), n_iter.dtype)
    else:
        rows = choice(uniform(key, (k, 2), weights.dtype), weights)
    placed = xp.where(missing[..., None], space.relative(take_rows(xp, x, rows)), centroids)
    return Placed(placed)


def split(centroids, counts, missing, variance):
    """Halve the largest cluster: a second centroid a small step from its own.

    The step is 1/1024 of the data's standard deviation, alternately up and down over
    the columns, and as many times that as clusters are still missing, so that no two
    fall together. Needs no rows, so it also works where each process sees its own.
    The mean stays in its place: the inertia cannot rise.
    """
    return Placed(halve_largest(centroids, counts, missing, variance).centroids)


def halve_largest(centroids, counts, missing, variance):
    """What `split` does; the reach of the result is the counts after it."""
    xp = array_namespace(centroids=centroids)
    k, d = centroids.shape[-2:]
    sign = 1 - 2 * (xp.arange(d, device=device(centroids)) % 2)
    step = xp.sqrt(variance)[..., None, None] / 1024 * xp.astype(sign, centroids.dtype)

    def body(state):
        first, missing = _first(xp, state.missing)
        index = xp.argmax(state.reach, axis=-1)[..., None]
        largest = xp.arange(k, device=device(centroids), dtype=index.dtype) == index
        turn = xp.sum(xp.astype(state.missing, centroids.dtype), axis=-1)[..., None, None]
        placed = take_rows(xp, state.centroids, index) + turn * step
        halved = xp.max(state.reach, axis=-1, keepdims=True) / 2
        return _Filling(
            xp.where(first[..., None], placed, state.centroids),
            missing,
            xp.where(first | largest, halved, state.reach),
        )

    return _fill(body, _Filling(centroids, missing, counts))


def copy_nearest(centroids, missing):
    """Each missing centroid as a copy of the nearest one that has rows (``merge``)."""
    xp = array_namespace(centroids=centroids)
    kept = take_rows(xp, centroids, nearest(centroids, score_table(centroids, missing)))
    return xp.where(missing[..., None], kept, centroids)


def _fill(body, state):
    xp = array_namespace(missing=state.missing)
    k = state.missing.shape[-1]
    return while_loop(lambda s: xp.any(s.missing, axis=-1), body, state, max_steps=k)


def _first(xp, missing):
    """The first marked place alone, and the others."""
    rank = xp.cumulative_sum(xp.astype(missing, xp.int32), axis=-1)
    first = missing & (rank == 1)
    return first, missing & ~first
