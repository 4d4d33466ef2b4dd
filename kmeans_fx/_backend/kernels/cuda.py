"""The search of the nearest centroid on a GPU, compiled by Triton: a program for a tile of rows.

Rows x (m, n, d) come with a stride for each axis, other arrays with one for the members of
the batch: 0 where all share one. Numbers of rows and members are 64 bits wide where they
are multiplied. A grid has one axis, because the others end at 65,535.
"""

import triton
import triton.language as tl

__all__ = ["centred", "load_tile", "nearest", "nearest_and_sums"]


@triton.jit
def load_tile(x, rows, features, n, d, x_row, x_column):
    """A tile of x, zero outside."""
    there = (rows < n)[:, None] & (features < d)[None, :]
    return tl.load(x + rows[:, None] * x_row + features[None, :] * x_column, mask=there, other=0.0)


@triton.jit
def centred(tile, origin, features, d, CENTRED: tl.constexpr):
    if CENTRED:
        tile = tile - tl.load(origin + features, mask=features < d, other=0.0)[None, :]
    return tile


@triton.jit
def nearest(
    x,
    origin,
    operand,
    bias,
    labels,
    n,
    k,
    d,
    tiles,
    x_member,
    x_row,
    x_column,
    origin_member,
    operand_member,
    bias_member,
    CENTRED: tl.constexpr,
    TERMS: tl.constexpr,
    PRECISION: tl.constexpr,
    WHOLE: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Labels (m, n): the first j of the least bias_j + x . operand_j.

    The best so far stays in registers while tiles of centroids pass: nothing is n x k.
    ``operand`` (m, TERMS, k, d) holds numbers whose sum is meant. WHOLE: a tile has all
    features, and is loaded once.
    """
    tile_number = tl.program_id(0).to(tl.int64)
    member = tile_number // tiles
    rows = (tile_number - member * tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    x += member * x_member
    origin += member * origin_member
    operand += member * operand_member
    bias += member * bias_member

    best = tl.full((BLOCK_N,), float("inf"), tl.float32)
    place = tl.zeros((BLOCK_N,), tl.int32)
    if WHOLE:
        features = tl.arange(0, BLOCK_D)
        tile = load_tile(x, rows, features, n, d, x_row, x_column)
        tile = centred(tile, origin, features, d, CENTRED)
    for first in range(0, k, BLOCK_K):
        centroids = first + tl.arange(0, BLOCK_K)
        scores = tl.zeros((BLOCK_N, BLOCK_K), tl.float32)
        if WHOLE:
            scores = _add_products(
                scores, tile, operand, centroids, features, k, d, TERMS, PRECISION
            )
        else:
            for feature in range(0, d, BLOCK_D):
                features = feature + tl.arange(0, BLOCK_D)
                tile = load_tile(x, rows, features, n, d, x_row, x_column)
                tile = centred(tile, origin, features, d, CENTRED)
                scores = _add_products(
                    scores, tile, operand, centroids, features, k, d, TERMS, PRECISION
                )
        scores += tl.load(bias + centroids, mask=centroids < k, other=float("inf"))[None, :]
        low, at = tl.min(scores, axis=1, return_indices=True)
        closer = low < best
        place = tl.where(closer, first + at, place)
        best = tl.where(closer, low, best)
    tl.store(labels + member * n + rows, place.to(tl.int64), mask=rows < n)


@triton.jit
def _add_products(
    scores,
    tile,
    operand,
    centroids,
    features,
    k,
    d,
    TERMS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    there = (features < d)[:, None] & (centroids < k)[None, :]
    at = operand + centroids.to(tl.int64)[None, :] * d + features[:, None]
    for _ in tl.static_range(TERMS):
        part = tl.load(at, mask=there, other=0.0)
        scores = tl.dot(tile, part, scores, input_precision=PRECISION)
        at += tl.cast(k, tl.int64) * d
    return scores


@triton.jit
def nearest_and_sums(
    x,
    origin,
    operand,
    bias,
    shares,
    labels,
    sums,
    n,
    k,
    d,
    spans,
    turns,
    x_member,
    x_row,
    x_column,
    origin_member,
    operand_member,
    bias_member,
    share_member,
    WEIGHED: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """As `nearest`, of so few centroids and columns that a tile has all, in one reading of x.

    A program goes over ``turns`` tiles, and writes the sums (k, d + 1) of their rows by label,
    of which the last column is their weight.
    """
    span = tl.program_id(0).to(tl.int64)
    member = span // spans
    begin = (span - member * spans) * turns * BLOCK_N
    x += member * x_member
    centroids, features = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_D)
    at = operand + member * operand_member + centroids[None, :] * d + features[:, None]
    there = (features < d)[:, None] & (centroids < k)[None, :]
    products = tl.load(at, mask=there, other=0.0)
    at = bias + member * bias_member + centroids
    barrier = tl.load(at, mask=centroids < k, other=float("inf"))

    total = tl.zeros((BLOCK_K, BLOCK_D), tl.float32)
    weight = tl.zeros((BLOCK_K,), tl.float32)
    for turn in range(turns):
        rows = begin + turn * BLOCK_N + tl.arange(0, BLOCK_N)
        tile = load_tile(x, rows, features, n, d, x_row, x_column)
        tile = centred(tile, origin + member * origin_member, features, d, True)
        scores = tl.dot(tile, products, input_precision=PRECISION) + barrier[None, :]
        low, own = tl.min(scores, axis=1, return_indices=True)
        own = tl.where(low < float("inf"), own, 0)
        tl.store(labels + member * n + rows, own.to(tl.int64), mask=rows < n)
        share = (rows < n).to(tl.float32)
        if WEIGHED:
            share = tl.load(shares + member * share_member + rows, mask=rows < n, other=0.0)
        chosen = tl.where(centroids[:, None] == own[None, :], share[None, :], 0.0)
        total = tl.dot(chosen, tile, total, input_precision="ieee")
        weight += tl.sum(chosen, axis=1)
    at = sums + span * k * (d + 1) + centroids * (d + 1)
    there = (centroids < k)[:, None] & (features < d)[None, :]
    tl.store(at[:, None] + features[None, :], total, mask=there)
    tl.store(at + d, weight, mask=centroids < k)
