"""K-means++ on small problems, one after the other on one thread of a CPU, compiled by Numba."""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled, with_scratch
from kmeans_fx._backend.kernels.cpu import square_between, weight_of
from kmeans_fx._backend.kernels.seeding import LANES, gains, shrink_reach

__all__ = ["sample_each"]


class _Scratch(NamedTuple):
    """What a member is sampled in: `kmeans_fx._backend.kernels.seeding` says what it is.

    Attributes
    ----------
    mass : (n,)
        In proportion to which rows are drawn.
    sums : (b,)
        Those of blocks of it.
    trials : (t,)
        Rows that were drawn.
    """

    reach: Any
    owner: Any
    closer: Any
    near: Any
    candidates: Any
    gain: Any
    mass: Any
    sums: Any
    trials: Any


@with_scratch
def sample_each(x, share, draws, indices):
    """Indices (m, k) of rows (m, n, d) by greedy D-squared sampling, from draws (m, k, t, 2).

    Of every array that is read there may be one for all members. ``share`` is empty where
    there are no weights.
    """
    n, d = x.shape[1:]
    k, t = draws.shape[1:3]
    blocks, lanes = -(-n // _block_size(n)), -(-t // LANES) * LANES
    scratch = _Scratch(
        np.zeros(n, x.dtype),
        np.zeros(n, np.int32),
        np.zeros(n, np.uint8),
        np.zeros(k, x.dtype),  # no row is skipped
        np.full(lanes * d, np.inf, x.dtype),
        np.zeros(lanes),
        np.zeros(n, x.dtype),
        np.zeros(blocks, x.dtype),
        np.zeros(t, np.intp),
    )
    for member in range(indices.shape[0]):
        _sample(
            scratch,
            x[member % x.shape[0]],
            share[member % share.shape[0]],
            draws[member % draws.shape[0]],
            indices[member],
        )


@compiled
def _sample(scratch, x, share, draws, indices):
    reach, owner, closer, near, candidates, gain, mass, sums, trials = scratch
    for i in range(x.shape[0]):
        mass[i] = weight_of(share, i)
    _sum_blocks(mass, sums)
    indices[0] = _draw(mass, sums, draws[0, 0])
    for i in range(x.shape[0]):
        reach[i] = square_between(x[i], x[indices[0]])
    for turn in range(1, indices.shape[0]):
        for i in range(x.shape[0]):
            mass[i] = reach[i] * weight_of(share, i)
        _sum_blocks(mass, sums)
        for j in range(trials.shape[0]):
            drawn = _draw(mass, sums, draws[turn, j])
            trials[j] = drawn if mass[drawn] > 0 else indices[0]
            for f in range(x.shape[1]):
                place = (j // LANES * x.shape[1] + f) * LANES + j % LANES
                candidates[place] = x[trials[j], f]
        for j in range(gain.shape[0]):
            gain[j] = 0
        gains(x, candidates, share, reach, owner, near, closer, gain)
        best = 0
        for j in range(trials.shape[0]):
            best = j if gain[j] > gain[best] else best
        indices[turn] = trials[best]
        shrink_reach(x, x[trials[best]], turn, 1 << best % LANES, closer, reach, owner)


@compiled
def _block_size(n):
    """The root of n, rounded up."""
    size = 1
    while size * size < n:
        size += 1
    return size


@compiled
def _sum_blocks(mass, sums):
    """`kmeans_fx._backend.random.block_sums`."""
    size = _block_size(mass.shape[0])
    for b in range(sums.shape[0]):
        sums[b] = 0
        for i in range(b * size, min(mass.shape[0], (b + 1) * size)):
            sums[b] += mass[i]


@compiled
def _draw(mass, sums, draw):
    """`kmeans_fx._backend.random.choice`, of one."""
    size = _block_size(mass.shape[0])
    start = _invert(sums, draw[0]) * size
    return start + _invert(mass[start : start + size], draw[1])


@compiled
def _invert(mass, draw):
    """`kmeans_fx._backend.random.invert`."""
    total, reached, last = mass.dtype.type(0), mass.dtype.type(0), 0
    for i in range(mass.shape[0]):
        total += mass[i]
    for i in range(mass.shape[0]):
        reached += mass[i]
        if mass[i] > 0:
            last = i
            if reached > draw * total:
                return i
    return last
