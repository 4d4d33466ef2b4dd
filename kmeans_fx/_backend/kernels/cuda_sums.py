"""Sums of rows and of squares on a GPU, compiled by Triton: arguments as in `cuda`."""

import triton
import triton.language as tl

from kmeans_fx._backend.kernels.cuda import centred, load_tile

__all__ = ["own_squares", "segment_sums"]


@triton.jit
def own_squares(
    x,
    centroids,
    labels,
    squares,
    n,
    d,
    x_row,
    x_column,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Squared distances (n,) of the rows to the centroids of their labels, by differences."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    own = tl.load(labels + rows, mask=rows < n, other=0)
    total = tl.zeros((BLOCK_N,), tl.float32)
    for feature in range(0, d, BLOCK_D):
        features = feature + tl.arange(0, BLOCK_D)
        tile = load_tile(x, rows, features, n, d, x_row, x_column).to(tl.float32)
        there = (rows < n)[:, None] & (features < d)[None, :]
        centre = tl.load(centroids + own[:, None] * d + features[None, :], mask=there, other=0.0)
        total += tl.sum((tile - centre) * (tile - centre), axis=1)
    tl.store(squares + rows, total, mask=rows < n)


@triton.jit
def segment_sums(
    x,
    origin,
    shares,
    order,
    starts,
    stops,
    sums,
    n,
    d,
    tiles,
    x_member,
    x_row,
    x_column,
    origin_member,
    share_member,
    ORDERED: tl.constexpr,
    CENTRED: tl.constexpr,
    WEIGHED: tl.constexpr,
    COUNTED: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Sums (s, d) of the rows from ``starts`` to ``stops`` in ``order``, always in that order.

    The rows of a segment belong to one member. COUNTED: a last column gets their weight.
    """
    wide: tl.constexpr = sums.dtype.element_ty
    segment = tl.program_id(0).to(tl.int64) // tiles
    features = (tl.program_id(0) % tiles) * BLOCK_D + tl.arange(0, BLOCK_D)
    start, stop = tl.load(starts + segment), tl.load(stops + segment)
    member = start * 0
    if ORDERED:
        member = tl.load(order + start, mask=start < stop, other=0) // n
    x += member * x_member
    origin += member * origin_member
    shares += member * share_member

    total = tl.zeros((BLOCK_D,), wide)
    weight = tl.zeros((BLOCK_N,), wide)
    for i in range(start, stop, BLOCK_N):
        rows = i + tl.arange(0, BLOCK_N)
        there = rows < stop
        if ORDERED:
            rows = tl.load(order + rows, mask=there, other=0) - member * n
        at = x + rows[:, None] * x_row + features[None, :] * x_column
        tile = tl.load(at, mask=there[:, None] & (features < d)[None, :], other=0.0).to(wide)
        tile = centred(tile, origin, features, d, CENTRED)
        share = there.to(wide)
        if WEIGHED:
            share = tl.load(shares + rows, mask=there, other=0.0).to(wide)
        tile = tl.where(there[:, None], tile, 0.0) * share[:, None]
        total += tl.sum(tile, axis=0)
        weight += share
    sums += segment * (d + COUNTED)
    tl.store(sums + features, total, mask=features < d)
    if COUNTED:
        tl.store(sums + d, tl.sum(weight, axis=0), mask=tl.program_id(0) % tiles == 0)
