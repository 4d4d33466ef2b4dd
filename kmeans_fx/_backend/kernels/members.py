"""Small problems, one after the other on one thread of a CPU, compiled by Numba.

Of every array that is read there may be one for all members. ``share`` is empty where there
are no weights.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled, with_scratch
from kmeans_fx._backend.kernels.cpu import pack, sum_rows
from kmeans_fx._backend.kernels.means import goes_on, move_to_means, way_to_means
from kmeans_fx._backend.kernels.registers import width
from kmeans_fx._backend.kernels.search import add_up, move
from kmeans_fx._backend.kernels.tiles import nearest_of_tile
from kmeans_fx._backend.kernels.transpose import fill_tile

__all__ = ["lead_each", "sum_each"]

# Sums are updated by the rows that moved, and made anew so often.
_REFRESH = 32


@with_scratch
def sum_each(x, labels, share, sums, counts):
    """Adds the weighted rows (m, n, d) to the sums (m, k, d) and counts (m, k) of their labels."""
    nothing = np.zeros(x.shape[2], x.dtype)
    for member in range(sums.shape[0]):
        sum_rows(
            x[member % x.shape[0]],
            nothing,
            labels[member % labels.shape[0]],
            share[member % share.shape[0]],
            sums[member],
            counts[member],
        )


class _Scratch(NamedTuple):
    """What the iterations of a member are done in.

    Attributes
    ----------
    tiles : (t, d, s)
        Its rows, which are transposed once.
    place : (t, s)
        Which rows those are.
    label : (s,)
    before, turns : (n,)
        The label of a row before it moved last, and the turn in which it did.
    packed, bias
        Those of a `kmeans_fx._backend.kernels.fused.Packed`.
    sums, counts : (k, d), (k,)
    """

    tiles: Any
    place: Any
    label: Any
    before: Any
    turns: Any
    packed: Any
    bias: Any
    sums: Any
    counts: Any


@with_scratch
def lead_each(x, origin, share, still, steps, centroids, labels, counts, made):
    """`kmeans_fx._backend.kernels.ahead.lead` for every member of (m, n, d).

    Parameters
    ----------
    still : (m,)
    steps : (m,)
        How many iterations there may be.
    centroids : (m, k, d), relative to the origin; written over
    labels, counts : (m, n), (m, k); written over
        Of the assignment that gave the centroids, if there was one: else they are left alone.
    made : (m,), written over
        How many iterations there were.
    """
    n, d = x.shape[1:]
    k, size = centroids.shape[1], 3 * width(x)
    scratch = _Scratch(
        np.zeros((-(-n // size), d, size), x.dtype),
        np.zeros((-(-n // size), size), np.uintp),
        np.zeros(size, np.int32),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.zeros(-(-k // 8) * 8 * d, x.dtype),
        np.full(-(-k // 4) * 4, np.inf, x.dtype),
        np.zeros((k, d)),
        np.zeros(k),
    )
    for h in range(scratch.place.size):
        scratch.place[h // size, h % size] = min(h, n - 1)
    for member in range(centroids.shape[0]):
        made[member] = _lead(
            scratch,
            x[member % x.shape[0]],
            origin[member % origin.shape[0]],
            share[member % share.shape[0]],
            still[member],
            steps[member],
            centroids[member],
            labels[member],
            counts[member],
        )


@compiled
def _lead(scratch, x, origin, share, still, steps, centroids, labels, counts):
    if steps > 0:
        _fill(scratch, x, origin)
    for turn in range(steps):
        pack(centroids, scratch.packed, scratch.bias)
        moved = _find(scratch, x, origin, share, labels, turn)
        if not goes_on(moved, way_to_means(scratch.sums, scratch.counts, centroids), still):
            for i in range(labels.shape[0]):
                labels[i] = scratch.before[i] if scratch.turns[i] == turn else labels[i]
            return turn
        move_to_means(scratch.sums, scratch.counts, centroids)
        for j in range(counts.shape[0]):
            counts[j] = scratch.counts[j]
    return steps


@compiled
def _fill(scratch, x, origin):
    tiles, place, size = scratch.tiles, scratch.place, scratch.label.shape[0]
    for t in range(tiles.shape[0]):
        fill_tile(x, origin, place[t], min(size, x.shape[0] - t * size), tiles[t])
    for i in range(x.shape[0]):
        scratch.turns[i] = -1


@compiled
def _find(scratch, x, origin, share, labels, turn):
    """A pass: how many rows moved."""
    tiles, place, label, before, turns, packed, bias, sums, counts = scratch
    moved, d, w = 0, x.shape[1], width(x)
    for t in range(tiles.shape[0]):
        flat, held = tiles[t].reshape(tiles[t].size), min(3 * w, x.shape[0] - 3 * w * t)
        nearest_of_tile(flat, packed, bias, d, w, label, x, place[t, :0])
        moved += move(
            x, origin, held, place[t], label, labels, before, turns, turn, share, sums, counts
        )
    add_up(x, origin, labels, share, turn % _REFRESH == 0, sums, counts)
    return moved
