"""Sums of the rows of tensors by label, in an order that depends on nothing but the labels."""

import torch

from kmeans_fx._backend.kernels import cuda_sums
from kmeans_fx._backend.kernels.launching import (
    as_batches,
    on_device_of,
    power_of_two,
    step,
    strides,
)

__all__ = ["segment_sums", "sums_by_label"]

# Rows that one program sums: a cluster of more is summed in pieces, and those in turn.
_PIECE = 1024


def sums_by_label(rows, origin, labels, k, share):
    """Sums (..., k, d) and counts (..., k) of the rows less the origin by their labels (..., n)."""
    n, d = labels.shape[-1], rows.shape[-1]
    members = labels.numel() // n
    _, (x, origin, share) = as_batches((rows, 2), (origin, 1), (share, 1))
    order, ends = _by_label(labels.reshape(members, n), k)
    starts = torch.cat((torch.zeros_like(ends[:1]), ends[:-1]))
    # Sums of pieces first: clusters differ in size, and there may be only a few.
    pieces = (ends - starts + _PIECE - 1) // _PIECE
    stops = torch.cumsum(pieces, 0)
    piece = torch.arange(members * n // _PIECE + members * k, device=rows.device)
    owner = torch.searchsorted(stops, piece, right=True).clamp(max=members * k - 1)
    # Pieces beyond the last one begin where their cluster has ended.
    first = starts[owner] + (piece - (stops - pieces)[owner]) * _PIECE
    last = torch.minimum(first + _PIECE, ends[owner])
    partial = segment_sums(x, origin, share, order, (first, last), torch.float32)
    total = segment_sums(partial[None], None, None, None, (stops - pieces, stops), torch.float64)
    total = total.to(torch.float32).reshape(*labels.shape[:-1], k, d + 1)
    return total[..., :d], total[..., d]


def _by_label(labels, k):
    """The order of all rows (m, n) by member and label, and where each pair of those ends."""
    members, n = labels.shape
    if members * k == 1:
        return None, torch.full((1,), n, device=labels.device)
    own = labels + k * torch.arange(members, device=labels.device)[:, None]
    # A radix sort of short words has fewer turns.
    narrow = torch.int16 if members * k < 1 << 15 else torch.int32
    ordered, order = torch.sort(own.reshape(-1).to(narrow), stable=True)
    every = torch.arange(members * k, dtype=narrow, device=labels.device)
    return order, torch.searchsorted(ordered, every, right=True)


def segment_sums(x, origin, share, order, segments, dtype):
    """Sums of segments of the rows (m, n, d), with the counts as a last column in float32."""
    n, d = x.shape[1:]
    counted = dtype == torch.float32
    (size,) = segments[0].shape
    sums = x.new_empty((size, d + counted), dtype=dtype)
    block_d = min(power_of_two(d), 128)
    tiles = -(-d // block_d)
    with on_device_of(x):
        cuda_sums.segment_sums[(size * tiles,)](
            *(x if a is None else a for a in (x, origin, share, order)),
            *(*segments, sums),
            *(n, d, tiles),
            *strides(x),
            *(step(origin), step(share)),
            ORDERED=order is not None,
            CENTRED=origin is not None,
            WEIGHED=share is not None,
            COUNTED=counted,
            BLOCK_N=min(4096 // block_d, 512),
            BLOCK_D=block_d,
        )
    return sums
