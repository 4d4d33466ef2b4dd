"""The kernels on blocks of rows: NumPy arrays of any layout in, new arrays out."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from kmeans_fx._backend.kernels import assignment, cpu, member_seeding, members, search, seeding
from kmeans_fx._backend.kernels.ahead import Shared, assist, lead
from kmeans_fx._backend.kernels.board import dismiss, new_board
from kmeans_fx._backend.kernels.bounds import steps_at_once
from kmeans_fx._backend.kernels.drift import drift as compiled_drift
from kmeans_fx._backend.kernels.plain import (
    members_of,
    narrowed,
    plain,
    plain_all,
    share_of,
    zeros,
)
from kmeans_fx._backend.kernels.seeding_passes import (
    SharedRows,
    assist_seeding,
    gains_of_all,
    shrink_all,
)
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.threads import fewest_rows

__all__ = [
    "Packed",
    "assign",
    "assist",
    "assist_seeding",
    "candidates_of",
    "dismiss",
    "drift",
    "gains",
    "gains_of_all",
    "lead",
    "lead_alone",
    "lead_each",
    "own_squares",
    "pack",
    "rows_per_call",
    "sample_each",
    "segment_stats",
    "shared_of",
    "shared_rows",
    "shrink_all",
    "shrink_reach",
    "update_bounds",
]


class Packed(NamedTuple):
    """Centroids as the search reads them: -2 c in blocks of eight, column by column, and |c|^2.

    Attributes
    ----------
    operand : ((m,) k' d)
        Of every block the first column of its eight centroids, then the second.
    bias : ((m,) k')
        Infinite where there is no centroid; k' is a multiple of four.
    k : int
    """

    operand: Any
    bias: Any
    k: int


def rows_per_call(n, d):
    """Into how many of n rows of d columns a pass is cut, for threads to share."""
    return max(fewest_rows(4096, d), min(65536, n // 32))


def pack(centroids, dropped=None):
    """The Packed centroids ((m,) k, d); those marked in ``dropped`` are never the nearest."""
    *members, k, d = centroids.shape
    m = prod(members)
    operand = np.zeros((m, -(-k // 8) * 8 * d), centroids.dtype)
    bias = np.full((m, -(-k // 4) * 4), np.inf, centroids.dtype)
    cpu.pack_each(plain(centroids).reshape(m, k, d), operand, bias)
    operand, bias = operand.reshape(*members, -1), bias.reshape(*members, -1)
    if dropped is not None:
        bias[..., :k][np.broadcast_to(dropped, (*members, k))] = np.inf
    return Packed(operand, bias, k)


def assign(rows, origin, centroids, share, stats=True):
    """Labels, sums and counts of rows ((m,) n, d) less the origin, by the Packed centroids."""
    del stats  # the search makes them by the way
    share = share_of(share, rows)
    given = ((rows, 2), (origin, 1), (centroids.operand, 1), (centroids.bias, 1), (share, 1))
    batched = any(array.ndim > rank for array, rank in given)
    x, origin, operand, bias, share = members_of(*given)
    m = max(a.shape[0] for a in (x, origin, operand, share))
    labels = np.empty((m, x.shape[1]), np.intp)
    sums, counts = zeros(m, centroids.k, x.shape[2])
    assignment.assign_rows(x, origin, operand, bias, share, labels, sums, counts)
    sums, counts = narrowed(rows, sums, counts)
    return (labels, sums, counts) if batched else (labels[0], sums[0], counts[0])


def segment_stats(rows, labels, k, weights):
    """Weighted sums (..., k, d) and counts (..., k) of the rows (..., n, d) by label (..., n)."""
    given = (rows, 2), (labels, 1), (share_of(weights, rows), 1)
    batch = broadcast_shapes(*(a.shape[: a.ndim - rank] for a, rank in given))
    x, label, share = members_of(*given)
    sums, counts = zeros(prod(batch), k, rows.shape[-1])
    cpu.sum_each(x, np.zeros(x.shape[-1], x.dtype), label, share, sums, counts)
    sums, counts = narrowed(rows, sums, counts)
    return sums.reshape(*batch, *sums.shape[1:]), counts.reshape(*batch, k)


def own_squares(rows, centroids, labels):
    """Squared distances ((m,) n) of the rows to the centroids ((m,) k, d) of their labels."""
    squares = np.empty(labels.shape, rows.dtype)
    cpu.own_squares(*members_of((rows, 2), (centroids, 2), (labels, 1), (squares, 1)))
    return squares


def lead_alone(bounds, still, steps, centroids, counts):
    """`members.lead_alone` of a `kmeans_fx._backend.kernels.bounds.Bounds`."""
    return members.lead_alone(
        plain(bounds.x),
        bounds.origin,
        bounds.share,
        still,
        bounds.turn + 1,
        steps,
        centroids,
        bounds.labels,
        counts,
        bounds.before,
        bounds.turns,
        bounds.sums,
        bounds.weights[0],
    )


def lead_each(rows, origin, share, still, steps, centroids, labels, counts):
    """`members.lead_each`: the centroids, labels and counts, and what it says of its steps."""
    share = share_of(share, rows)
    read = members_of((rows, 2), (origin, 1), (share, 1))
    written = np.array(centroids), np.array(labels, np.intp), np.array(counts)
    made, moved = np.empty((2, *centroids.shape[:1]), np.intp)
    steps = np.minimum(steps, steps_at_once(labels.size * prod(centroids.shape[1:])))
    members.lead_each(*read, *plain_all(still, steps), *written, made, moved)
    return *written, made, moved


def drift(centroids, previous, packed, slack):
    """`kmeans_fx._backend.drift.drift`, of the Packed centroids."""
    ways = np.zeros((3, packed.k), centroids.dtype)
    if previous is not None:
        compiled_drift(*plain_all(centroids, previous), *packed[:2], slack, ways)
    return ways


def update_bounds(rows, *arguments):
    """`search.bounded_blocks` of rows of any layout."""
    search.bounded_blocks(*plain_all(rows), *arguments)


def shared_of(bounds, centroids):
    """What threads share that take the passes of a `kmeans_fx._backend.kernels.bounds.Bounds`."""
    packed, bias, _ = pack(centroids)
    return Shared(
        x=plain(bounds.x),
        origin=bounds.origin,
        share=bounds.share,
        labels=bounds.labels,
        before=bounds.before,
        turns=bounds.turns,
        upper=bounds.upper,
        gap=bounds.gap,
        centroids=np.array(centroids),
        previous=np.array(centroids if bounds.centroids is None else bounds.centroids),
        packed=packed,
        bias=bias,
        path=bounds.path,
        drift=np.zeros((3, len(centroids)), centroids.dtype),
        parts=bounds.parts,
        weights=bounds.weights,
        tally=bounds.tally,
        change=np.empty_like(bounds.sums),
        sums=bounds.sums,
        counts=np.zeros((2, len(centroids))),
        board=new_board(),
    )


def candidates_of(rows, chosen):
    """Candidates (t, d) as the loops of `seeding` read them, of which they make a multiple of 8.

    And the squared distance from each row that is chosen (m, d) to the next candidate.
    """
    t, d = rows.shape
    groups = -(-t // seeding.LANES)
    filled = np.full((groups * seeding.LANES, d), np.inf, rows.dtype)
    filled[:t] = rows
    lanes = filled.reshape(groups, seeding.LANES, d).transpose(0, 2, 1)
    candidates = np.ascontiguousarray(lanes).reshape(-1), groups
    near = np.empty(chosen.shape[0], rows.dtype)
    seeding.nearest_squares(plain(chosen), *candidates, near)
    return candidates, near


def shared_rows(x, weights, reach, owner, closer, blocks, k, t):
    """What threads share in the passes of k-means++: of k rows, with t candidates a turn."""
    lanes = -(-t // seeding.LANES) * seeding.LANES
    return SharedRows(
        x=plain(x),
        share=plain(share_of(weights, x)),
        reach=reach,
        owner=owner,
        closer=closer,
        candidates=np.empty(lanes * x.shape[1], x.dtype),
        near=np.empty(k, x.dtype),
        gain=np.empty((blocks, lanes)),
        row=np.empty(x.shape[1], x.dtype),
        board=new_board(),
    )


def sample_each(x, weights, draws):
    """`member_seeding.sample_each`: the indices (m, k)."""
    read = members_of((x, 2), (share_of(weights, x), 1), (draws, 3))
    indices = np.empty((max(len(array) for array in read), draws.shape[-3]), np.intp)
    member_seeding.sample_each(*read, indices)
    return indices


def gains(rows, candidates, share, lengths, reach, owner, near, closer):
    """`seeding.gains` of a block, with those of what fills up the candidates."""
    del lengths  # of rows less the first: for products
    packed, groups = candidates
    gain = np.zeros(groups * seeding.LANES)
    share = share_of(share, rows)
    seeding.gains(*plain_all(rows, packed, share, reach, owner, near, closer), gain)
    return gain


def shrink_reach(rows, row, turn, trial, closer, reach, owner):
    """`seeding.shrink_reach` of a block for a trial: ``reach`` and ``owner`` are written over."""
    bit = 1 << trial % seeding.LANES
    seeding.shrink_reach(*plain_all(rows, row), turn, bit, closer, reach, owner)
