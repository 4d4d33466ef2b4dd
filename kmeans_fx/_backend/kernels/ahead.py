"""Iterations of Lloyd's algorithm that need nobody's attention, compiled by Numba.

One thread leads: it moves the centroids, and offers the blocks of a pass. Others help, as many
as come: each takes one block after the other, and waits awake for those of the next pass. Nobody
waits for a thread that has taken nothing. Python's lock is not needed meanwhile, and threads
that sleep after every pass end up on one core.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.cpu import pack
from kmeans_fx._backend.kernels.drift import drift
from kmeans_fx._backend.kernels.search import bounded_blocks
from kmeans_fx._backend.kernels.shared import add_to, pause, read_shared, replace

__all__ = ["Shared", "assist", "dismiss", "lead"]

# What is on the board, each in a line of the cache of its own: how many blocks were taken, offered
# and done since the beginning, and calls of `lead` ended; the turn; whether sums are made anew.
_TAKEN, _OFFERED, _DONE, _OVER, _TURN, _ANEW = range(0, 48, 8)


class Shared(NamedTuple):
    """What the threads of a fit share: `bounded_blocks` says what most of it is.

    Attributes
    ----------
    previous : (k, d)
        Centroids of the pass before.
    path : (2, k)
        The first two rows of ``drift``, in float64.
    parts, weights, tally : (b, k, d), (b, k), (b, 2)
        The results of the blocks.
    sums, counts : (k, d), (2, k)
        Of all rows. The counts are those of the last iteration and of the last pass.
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
    sums: Any
    counts: Any
    board: Any


@compiled
def assist(shared, size, slack, over):
    """Takes blocks until one call more of `lead` is over."""
    looks = 0
    while read_shared(shared.board, _OVER) == over:
        looks = 0 if _take_block(shared, size, slack) else pause(looks)


def dismiss(shared):
    """Those who assist, whatever has become of who led."""
    shared.board[_OVER] += 1


@compiled
def lead(shared, size, slack, turn, refresh, steps, still, budget):
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
        anew = (turn + step) % refresh == 0
        _prepare(shared, slack, turn + step)
        shared.board[_TURN], shared.board[_ANEW] = turn + step, anew
        add_to(shared.board, _OFFERED, shared.tally.shape[0])
        while _take_block(shared, size, slack):
            pass
        looks = 0
        while read_shared(shared.board, _DONE) < shared.board[_OFFERED]:
            looks = pause(looks)
        searched, moved, shift = _gather(shared, anew)
        if moved == 0 or not still < shift < np.inf:
            return step, moved
        _step(shared)
        budget -= searched * numbers + shared.labels.shape[0]
        if budget < 0:
            return step + 1, -1
    return steps, -1


@compiled
def _take_block(shared, size, slack):
    """Whether there was a block to work on."""
    board, blocks = shared.board, shared.tally.shape[0]
    taken = read_shared(board, _TAKEN)
    if taken >= read_shared(board, _OFFERED):
        return False
    if replace(board, _TAKEN, taken, taken + 1):
        b = taken % blocks
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
        add_to(board, _DONE, 1)
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
    counts, centroids, change = shared.counts, shared.centroids, np.zeros_like(shared.sums)
    counts[1] = 0
    searched, moved, shift = 0, 0, 0.0
    for b in range(shared.tally.shape[0]):
        change += shared.parts[b]
        counts[1] += shared.weights[b]
        searched += shared.tally[b, 0]
        moved += shared.tally[b, 1]
    shared.sums[:] = change if anew else shared.sums + change
    for j in range(centroids.shape[0]):
        if counts[1, j] == 0:
            return searched, moved, np.inf
        for f in range(centroids.shape[1]):
            shift += (_mean(shared, j, f) - centroids[j, f]) ** 2
    return searched, moved, shift


@compiled
def _step(shared):
    """Moves the centroids to the means."""
    shared.counts[0] = shared.counts[1]
    for j in range(shared.centroids.shape[0]):
        for f in range(shared.centroids.shape[1]):
            shared.previous[j, f] = shared.centroids[j, f]
            shared.centroids[j, f] = _mean(shared, j, f)


@compiled
def _mean(shared, j, f):
    number = shared.centroids.dtype.type
    return number(shared.sums[j, f]) / number(shared.counts[1, j])
