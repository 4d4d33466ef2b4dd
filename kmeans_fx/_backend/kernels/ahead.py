"""Iterations of Lloyd's algorithm that need nobody's attention, compiled by Numba.

One thread leads: it moves the centroids, and offers the blocks of a pass on a
`kmeans_fx._backend.kernels.board`. Others assist, as many as come.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.board import (
    NOTES,
    await_all,
    is_over,
    offer,
    pause,
    report,
    take,
)
from kmeans_fx._backend.kernels.bounds import REFRESH
from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.cpu import pack
from kmeans_fx._backend.kernels.drift import drift
from kmeans_fx._backend.kernels.means import goes_on, move_to_means, way_to_means
from kmeans_fx._backend.kernels.search import bounded_blocks

__all__ = ["Shared", "assist", "lead"]

# Notes on the board: the number of the turn, and whether sums are made anew.
_TURN, _ANEW = NOTES, NOTES + 1


class Shared(NamedTuple):
    """What the threads of a fit share: `bounded_blocks` says what most of it is.

    Attributes
    ----------
    previous : (k, d)
        Centroids of the pass before.
    path : (2, k)
        The first two rows of ``drift``, in float64.
    parts, weights, tally : (b, k, d), (b, k), (b, 3)
        The results of the blocks.
    change, sums, counts : (k, d), (k, d), (2, k)
        Of all rows: what a pass changed, and what it came to. The counts are those of the last
        iteration and of the last pass.
    board : (48,)
    """

    x: Any
    origin: Any
    share: Any
    labels: Any
    before: Any
    turns: Any
    upper: Any
    gap: Any
    centroids: Any
    previous: Any
    packed: Any
    bias: Any
    path: Any
    drift: Any
    parts: Any
    weights: Any
    tally: Any
    change: Any
    sums: Any
    counts: Any
    board: Any


@compiled
def assist(shared, size, slack, over):
    """Takes blocks until one call more of `lead` is over."""
    looks = 0
    while not is_over(shared.board, over):
        looks = 0 if _take_block(shared, size, slack) else pause(looks)


@compiled
def lead(shared, size, slack, turn, steps, still, budget):
    """Iterations from the shared centroids, for which the pass number ``turn`` is the next.

    They end before one with an empty cluster, or in which no row moves, or centroids by no
    more than ``still`` (squared, in all), after its pass was made; after so many ``steps``; or
    when rows were held against more numbers than the budget.

    Returns
    -------
    made : int
        Iterations: the centroids are those after the last.
    moved : int
        How many rows did in the pass that ended it; -1 if none did.
    """
    numbers = shared.centroids.size
    for step in range(steps):
        anew = (turn + step) % REFRESH == 0
        _prepare(shared, slack, turn + step)
        shared.board[_TURN], shared.board[_ANEW] = turn + step, anew
        offer(shared.board, shared.tally.shape[0])
        while _take_block(shared, size, slack):
            pass
        await_all(shared.board)
        searched, moved, way = _gather(shared, anew)
        if not goes_on(moved, way, still):
            return step, moved
        _step(shared)
        budget -= searched * numbers + shared.labels.shape[0]
        if budget < 0:
            return step + 1, -1
    return steps, -1


@compiled
def _take_block(shared, size, slack):
    """Whether there was a block to work on."""
    board = shared.board
    b = take(board, shared.tally.shape[0])
    if b < 0:
        return False
    here = slice(b * size, min(shared.labels.shape[0], (b + 1) * size))
    bounded_blocks(
        shared.x[here],
        size,
        shared.origin,
        shared.centroids,
        shared.packed,
        shared.bias,
        shared.share[here],
        shared.labels[here],
        shared.before[here],
        shared.turns[here],
        shared.upper[here],
        shared.gap[here],
        shared.drift,
        slack,
        board[_TURN],
        board[_ANEW] != 0,
        shared.parts[b : b + 1],
        shared.weights[b : b + 1],
        shared.tally[b : b + 1],
    )
    report(board)
    return True


@compiled
def _prepare(shared, slack, turn):
    """Packs the centroids, and adds to the ways that they have gone."""
    centroids, bias, path = shared.centroids, shared.bias, shared.path
    pack(centroids, shared.packed, bias)
    if turn == 0 or shared.gap.shape[0] == 0:
        return
    drift(centroids, shared.previous, shared.packed, bias, slack, shared.drift)
    for h in range(2):
        for j in range(centroids.shape[0]):
            path[h, j] += shared.drift[h, j]
            # Rounded up, so that no way is shorter than it was.
            shared.drift[h, j] = np.nextafter(bias.dtype.type(path[h, j]), bias.dtype.type(np.inf))


@compiled
def _gather(shared, anew):
    """How many rows were searched and moved, and how far the means are from the centroids."""
    # In loops: Numba takes seconds to compile an operation on whole arrays.
    searched, moved, (k, d) = 0, 0, shared.centroids.shape
    for j in range(k):
        shared.counts[1, j] = 0
        for f in range(d):
            shared.change[j, f] = 0
    for b in range(shared.tally.shape[0]):
        searched += shared.tally[b, 0]
        moved += shared.tally[b, 1]
        for j in range(k):
            shared.counts[1, j] += shared.weights[b, j]
            for f in range(d):
                shared.change[j, f] += shared.parts[b, j, f]
    for j in range(k):
        for f in range(d):
            last = 0.0 if anew else shared.sums[j, f]
            shared.sums[j, f] = last + shared.change[j, f]
    return searched, moved, way_to_means(shared.sums, shared.counts[1], shared.centroids)


@compiled
def _step(shared):
    """Moves the centroids to the means."""
    for j in range(shared.centroids.shape[0]):
        shared.counts[0, j] = shared.counts[1, j]
        for f in range(shared.centroids.shape[1]):
            shared.previous[j, f] = shared.centroids[j, f]
    move_to_means(shared.sums, shared.counts[1], shared.centroids)
