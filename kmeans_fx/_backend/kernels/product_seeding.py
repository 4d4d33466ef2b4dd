"""The loops of k-means++ over rows as array programs of NumPy.

Each function does what its namesake in `kmeans_fx._backend.kernels.fused` does. Squared distances
to candidates are expanded about the first chosen row, from which every row's is known. What they
round can change which candidate is kept, and nothing else: they are made less by it where they
skip rows, and the reach comes from differences.
"""

from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels.product_tiles import taken, tiles
from kmeans_fx._backend.scratch import scratch

__all__ = ["Candidates", "candidates_of", "gains", "shrink_reach"]

# Up to so many times their spread, squared, products may be of rows that are not centred.
_NEAR_ZERO = 4


class Candidates(NamedTuple):
    """Candidates (t, d) as a product takes them.

    Attributes
    ----------
    origin : (d,) or None
        What rows are to be centred by.
    operand : (d, t)
    bias : (t, 1)
    scale : float
        The square of the largest number in a product, but for those of a row.
    error : float
        Of a squared distance, relative to the sum of ``scale`` and the row's own length.
    """

    origin: Any
    operand: Any
    bias: Any
    scale: float
    error: float


def candidates_of(rows, chosen):
    """The Candidates ``rows``, and at most the square from each chosen row (m, d) to the next."""
    first, ways = chosen[0].astype(np.float64), rows.astype(np.float64) - chosen[0]
    squares, offset = np.einsum("ij,ij->i", ways, ways), first @ first
    scale, origin = squares.max(), chosen[0]
    if offset <= _NEAR_ZERO * scale:
        # |x - f|^2 - 2 (x - f).(c - f) + |c - f|^2, with the part of f taken out of the product.
        squares, scale, origin = squares + 2 * (ways @ first), scale + offset, None
    operand, bias = (a.astype(rows.dtype) for a in (-2 * ways.T, squares[:, None]))
    error = 4 * (rows.shape[1] + 2) * float(np.finfo(rows.dtype).eps)
    candidates = Candidates(origin, operand, bias, scale, error)
    return candidates, _least_squares(candidates, chosen)


def _least_squares(candidates, chosen):
    ways = chosen - chosen[0]
    lengths = np.einsum("ij,ij->i", ways, ways)
    least = _squares(candidates, chosen, lengths).min(axis=0)
    return least - _error(candidates, lengths)


def _error(candidates, lengths):
    return candidates.error * (lengths + lengths.dtype.type(candidates.scale))


def _squares(candidates, rows, lengths):
    """Squared distances (t, n) of rows (n, d), of which ``lengths`` are those to the first row."""
    if candidates.origin is not None:
        out = scratch("centred", rows.shape, rows.dtype)
        rows = np.subtract(rows, candidates.origin, out=out)
    n, t = rows.shape[0], candidates.bias.shape[0]
    out = scratch("scores", (n, t), rows.dtype)
    scores = np.matmul(rows, candidates.operand, out=out)
    squares = scratch("across", (t, n), rows.dtype)
    return np.add(np.add(scores.T, candidates.bias, out=squares), lengths, out=squares)


def gains(rows, candidates, share, lengths, reach, owner, near, closer):
    """Adds up by how much every candidate would lower the total reach."""
    gain = np.zeros(candidates.bias.shape[0])
    (wanted,) = np.nonzero(reach > taken("near", near, owner))
    # Where most are wanted, the work on the others costs less than to take rows out.
    some = 2 * wanted.shape[0] < rows.shape[0]
    closer[:] = 0
    for here in tiles(wanted.shape[0] if some else rows.shape[0], *candidates.operand.shape):
        place = wanted[here] if some else here
        part = taken("rows", rows, place) if some else rows[place]
        length, own = lengths[place], reach[place]
        squares = _squares(candidates, part, length)
        closer[place] = _bits(squares < own + _error(candidates, length))
        won = np.maximum(np.subtract(own, squares, out=squares), 0, out=squares)
        gain += won.sum(axis=1) if share is None else won @ share[place]
    return gain


def _bits(flags):
    """Flags (t, n) as bytes (n,), in which the bit j % 8 says whether one of such j is set."""
    place = np.arange(flags.shape[0], dtype=np.uint8) % 8
    return np.bitwise_or.reduce(flags.view(np.uint8) << place[:, None], axis=0)


def shrink_reach(rows, row, turn, trial, closer, reach, owner):
    """Rows that are nearer to the new ``row`` (d,) get their reach, and the owner ``turn``."""
    (wanted,) = np.nonzero(closer & (1 << trial % 8) != 0)  # of bytes it is slow
    for here in tiles(wanted.shape[0], rows.shape[1], 1):
        place = wanted[here]
        ways = taken("rows", rows, place)
        np.subtract(ways, row, out=ways)
        squares = np.einsum("ij,ij->i", ways, ways)
        less = squares < reach[place]
        place = place[less]
        reach[place], owner[place] = squares[less], turn
