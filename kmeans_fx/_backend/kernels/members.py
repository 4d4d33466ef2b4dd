"""Small problems, alone or one after the other, on one thread of a CPU: compiled by Numba.

The rows of each are transposed once, and stay in the cache.

Of every array (m, ...) that is read there may be one for all members. ``share`` is empty where
there are no weights.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.bounds import REFRESH
from kmeans_fx._backend.kernels.compiled import compiled, with_scratch
from kmeans_fx._backend.kernels.cpu import pack
from kmeans_fx._backend.kernels.means import goes_on, move_to_means, way_to_means
from kmeans_fx._backend.kernels.registers import width
from kmeans_fx._backend.kernels.search import add_up, move
from kmeans_fx._backend.kernels.tiles import nearest_of_tile, room_for_sums
from kmeans_fx._backend.kernels.transpose import fill_tile

__all__ = ["lead_alone", "lead_each"]


class _Scratch(NamedTuple):
    """What the iterations of a member are done in.

    Attributes
    ----------
    tiles : (t, d, s)
        Its rows.
    place : (t, s)
        Which rows those are; the last tile is filled up.
    label : (s,)
    packed, bias
        Those of a `kmeans_fx._backend.kernels.fused.Packed`.
    scores
        See `tiles`.
    before, turns : (n,)
        The label of a row before it moved last, and the turn in which it did.
    change, sums, weights : (k, d), (k, d), (k,)
        By how much the last pass changed the sums; those of all rows.
    """

    tiles: Any
    place: Any
    label: Any
    packed: Any
    bias: Any
    scores: Any
    before: Any
    turns: Any
    change: Any
    sums: Any
    weights: Any


@with_scratch
def lead_each(x, origin, share, still, steps, centroids, labels, counts, made, moved):
    """`lead_alone` for every member of (m, n, d), beginning with turn 0.

    Parameters
    ----------
    still, steps : (m,)
    centroids, labels, counts : (m, k, d), (m, n), (m, k); written over
        The labels become those that gave the centroids, not those of the pass that ended it.
    made, moved : (m,), written over
    """
    n, (k, d) = x.shape[1], centroids.shape[1:]
    before, turns = np.zeros(n, np.int32), np.zeros(n, np.int32)
    scratch = _scratch_for(x[0], k, before, turns, np.zeros((k, d)), np.zeros(k))
    for member in range(centroids.shape[0]):
        turns[:] = -1
        made[member], moved[member] = _lead(
            scratch,
            x[member % x.shape[0]],
            origin[member % origin.shape[0]],
            share[member % share.shape[0]],
            still[member],
            0,
            steps[member],
            centroids[member],
            labels[member],
            counts[member],
        )
        for i in range(n):
            back = moved[member] >= 0 and turns[i] == made[member]
            labels[member, i] = before[i] if back else labels[member, i]


@with_scratch
def lead_alone(
    x, origin, share, still, turn, steps, centroids, labels, counts, before, turns, sums, weights
):
    """What `kmeans_fx._backend.kernels.ahead.lead` does, in passes over all rows (n, d).

    Parameters
    ----------
    centroids : (k, d), relative to the origin; written over
    labels, before, turns, sums, weights
        Of a `kmeans_fx._backend.kernels.bounds.Bounds` without bounds, of one block.
    counts : (k,), written over
        Those of the last iteration, if there was one.
    """
    scratch = _scratch_for(x, centroids.shape[0], before, turns, sums, weights)
    return _lead(scratch, x, origin, share, still, turn, steps, centroids, labels, counts)


@with_scratch
def _scratch_for(x, k, before, turns, sums, weights):
    (n, d), size, most = x.shape, 3 * width(x), -(-k // 4) * 4
    tiles = -(-n // size)
    place = np.zeros((tiles, size), np.uintp)
    for h in range(place.size):
        place[h // size, h % size] = min(h, n - 1)
    return _Scratch(
        np.zeros((tiles, d, size), x.dtype),
        place,
        np.zeros(size, np.int32),
        np.zeros(-(-k // 8) * 8 * d, x.dtype),
        np.full(most, np.inf, x.dtype),
        np.zeros(room_for_sums(x, most, width(x)), x.dtype),
        before,
        turns,
        np.zeros((k, d)),
        sums,
        weights,
    )


@compiled
def _lead(scratch, x, origin, share, still, turn, steps, centroids, labels, counts):
    sums, weights = scratch.sums, scratch.weights
    if steps > 0:
        _fill(scratch, x, origin)
    for step in range(steps):
        pack(centroids, scratch.packed, scratch.bias)
        moved = _pass(scratch, x, origin, share, labels, turn + step)
        if not goes_on(moved, way_to_means(sums, weights, centroids), still):
            return step, moved
        move_to_means(sums, weights, centroids)
        for j in range(counts.shape[0]):
            counts[j] = weights[j]
    return steps, -1


@compiled
def _fill(scratch, x, origin):
    tiles, place, size = scratch.tiles, scratch.place, scratch.label.shape[0]
    for t in range(tiles.shape[0]):
        fill_tile(x, origin, place[t], min(size, x.shape[0] - t * size), tiles[t])


@compiled
def _pass(scratch, x, origin, share, labels, turn):
    """Labels, sums and weights are brought up to date; returns how many rows moved."""
    tiles, place, label, packed, bias, scores, before, turns, change, sums, weights = scratch
    moved, d, w = 0, x.shape[1], width(x)
    change[:] = 0
    for t in range(tiles.shape[0]):
        flat, held = tiles[t].reshape(tiles[t].size), min(3 * w, x.shape[0] - 3 * w * t)
        nearest_of_tile(flat, packed, bias, scores, d, w, label, x, place[t, :0])
        moved += move(
            x, origin, held, place[t], label, labels, before, turns, turn, share, change, weights
        )
    anew = turn % REFRESH == 0
    add_up(x, origin, labels, share, anew, change, weights)
    for j in range(sums.shape[0]):
        for f in range(d):
            sums[j, f] = change[j, f] + (0.0 if anew else sums[j, f])
    return moved
