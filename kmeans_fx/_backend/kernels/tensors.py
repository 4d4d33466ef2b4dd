"""The kernels on tensors of PyTorch, by the names of those for NumPy in `fused`.

Nothing here reads a value: shapes alone decide what is launched, and with which tiles, so
that the same call has the same bits every time.
"""

from typing import Any, NamedTuple

import torch

from kmeans_fx._backend.kernels import cuda, cuda_sums
from kmeans_fx._backend.kernels.launching import (
    as_batches,
    on_device_of,
    power_of_two,
    step,
    strides,
)
from kmeans_fx._backend.kernels.segments import segment_sums, sums_by_label

__all__ = ["Packed", "assign", "own_squares", "pack", "segment_stats", "smallest_problem"]

# The tile of scores that a program holds, and how it is worked on.
_ROWS, _CENTROIDS, _WARPS, _STAGES = 128, 64, 8, 2
# So few that the registers of one program hold the sums of all, and the rows that it goes over.
_FEW_CENTROIDS, _FEW_SUMS, _FEW_ROWS, _TURNS = 128, 2048, 64, 64
# Columns that a tile of rows holds at most, so that three tiles fit a small shared memory.
_MOST_COLUMNS = {torch.float32: 32, torch.float16: 128, torch.bfloat16: 128}
# What PyTorch's precision of float32 products means here: how a product of float32 is
# computed, and by how many numbers in half precision a centroid stands beside rows in it.
_PRECISIONS = {"highest": ("ieee", 2), "high": ("tf32x3", 2), "medium": ("tf32", 1)}


class Packed(NamedTuple):
    """Centroids as the search reads them: -2 c ((m,) k, d) and |c|^2 ((m,) k)."""

    operand: Any
    bias: Any


def pack(centroids, dropped=None):
    """The Packed centroids ((m,) k, d); those marked in ``dropped`` are never the nearest."""
    bias = torch.sum(centroids * centroids, dim=-1)
    if dropped is not None:
        bias = torch.where(dropped, torch.inf, bias)
    return Packed(centroids * -2.0, bias)


def assign(rows, origin, centroids, share, stats=True):
    """Labels, sums and counts of rows ((m,) n, d) less the origin, by the Packed centroids."""
    operand, bias = centroids
    k, d = operand.shape[-2:]
    few = k <= _FEW_CENTROIDS and _tile_of(k) * _tile_of(d) <= _FEW_SUMS
    if stats and few and rows.dtype == torch.float32:
        return _nearest_and_sums(rows, origin, operand, bias, share)
    labels = _nearest(rows, origin, operand, bias)
    return (labels, *sums_by_label(rows, origin, labels, k, share)) if stats else (labels,)


def segment_stats(rows, labels, k, weights):
    """Weighted sums (..., k, d) and counts (..., k) of the rows (..., n, d) by label."""
    n, d = rows.shape[-2:]
    if labels.ndim > 2:
        rows = rows.reshape(-1, n, d)
        weights = None if weights is None else weights.reshape(-1, n)
    return sums_by_label(rows, None, labels, k, weights)


def own_squares(rows, centroids, labels):
    """Squared distances (n,) of the rows (n, d) to the centroids (k, d) of their labels."""
    n, d = rows.shape
    squares = rows.new_empty(n, dtype=torch.float32)
    block_d = min(power_of_two(d), 64)
    block_n = min(2048 // block_d, 256)
    with on_device_of(rows):
        cuda_sums.own_squares[(-(-n // block_n),)](
            *(rows, centroids.contiguous(), labels.contiguous(), squares),
            *(n, d, *rows.stride()),
            BLOCK_N=block_n,
            BLOCK_D=block_d,
        )
    return squares


def smallest_problem(place):
    """Arguments of `assign` for a single row on a device."""
    row = torch.zeros((1, 1), device=place)
    return row, row[0], pack(row), None


def _tile_of(size):
    """The side of a tile that holds so many: a product of tiles wants 16 at least."""
    return max(16, power_of_two(size))


def _nearest(rows, origin, operand, bias):
    precision, terms = _PRECISIONS[torch.get_float32_matmul_precision()]
    centred = rows.dtype == torch.float32
    if centred:
        operand, terms = operand[..., None, :, :], 1
    else:
        operand, bias = _halves(operand, bias, origin, rows.dtype, terms)
    batched, (x, origin, operand, bias) = as_batches(
        (rows, 2), (origin, 1), (operand, 3), (bias, 1)
    )
    members = max(a.shape[0] for a in (x, origin, operand))
    (n, d), k = x.shape[1:], bias.shape[1]
    labels = rows.new_empty((members, n), dtype=torch.int64)
    block_d = min(_tile_of(d), _MOST_COLUMNS[rows.dtype])
    block_n, block_k = _ROWS, min(_tile_of(k), _CENTROIDS)
    tiles = -(-n // block_n)
    with on_device_of(rows):
        cuda.nearest[(tiles * members,)](
            *(x, origin, operand, bias, labels),
            *(n, k, d, tiles),
            *strides(x),
            *(step(origin), step(operand), step(bias)),
            CENTRED=centred,
            TERMS=terms,
            PRECISION=precision,
            WHOLE=d <= block_d,
            BLOCK_N=block_n,
            BLOCK_K=block_k,
            BLOCK_D=block_d,
            num_warps=_WARPS,
            num_stages=_STAGES,
        )
    return labels if batched else labels[0]


def _nearest_and_sums(rows, origin, operand, bias, share):
    precision, _ = _PRECISIONS[torch.get_float32_matmul_precision()]
    given = (rows, 2), (origin, 1), (operand, 2), (bias, 1), (share, 1)
    batched, (x, origin, operand, bias, shares) = as_batches(*given)
    members = max(a.shape[0] for a in (x, origin, operand, shares) if a is not None)
    (n, d), k = x.shape[1:], bias.shape[1]
    labels = rows.new_empty((members, n), dtype=torch.int64)
    turns = min(_TURNS, -(-n // _FEW_ROWS))
    spans = -(-n // (turns * _FEW_ROWS))
    sums = rows.new_empty((members * spans, k * (d + 1)))
    with on_device_of(rows):
        cuda.nearest_and_sums[(members * spans,)](
            *(x, origin, operand, bias, x if share is None else shares, labels, sums),
            *(n, k, d, spans, turns),
            *strides(x),
            *(step(origin), step(operand), step(bias), step(shares)),
            WEIGHED=share is not None,
            PRECISION=precision,
            BLOCK_N=_FEW_ROWS,
            BLOCK_K=_tile_of(k),
            BLOCK_D=_tile_of(d),
            num_warps=_WARPS,
            num_stages=_STAGES,
        )
    starts = spans * torch.arange(members, device=rows.device)
    total = segment_sums(sums[None], None, None, None, (starts, starts + spans), torch.float64)
    total = total.to(torch.float32).reshape(members, k, d + 1)
    found = labels, total[..., :d], total[..., d]
    return found if batched else tuple(a[0] for a in found)


def _halves(operand, bias, origin, dtype, terms):
    """The operand for rows in half precision that are not centred, and the bias for that.

    ``terms`` numbers stand for one of float32, which is brought below 1 for all to be normal:
    all scores of a problem may have a factor.
    """
    bias = bias - torch.sum(origin[..., None, :] * operand, dim=-1)
    largest = torch.amax(torch.abs(operand), dim=(-2, -1))
    _, exponent = torch.frexp(largest)
    operand = torch.ldexp(operand, -exponent[..., None, None])
    parts = []
    for _ in range(terms):
        parts.append(operand.to(dtype))
        operand = operand - parts[-1].to(operand.dtype)
    return torch.stack(parts, dim=-3), torch.ldexp(bias, -exponent[..., None])
