"""The best one-to-one assignment of rows to columns, by shortest augmenting paths.

References
----------
.. [1] R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse
   linear assignment problems", Computing 38, 1987.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import select, while_loop
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.segment import take_one

__all__ = ["best_assignment"]


class _Search(NamedTuple):
    """Shortest augmenting paths: the row on its way, prices and owners of the columns."""

    row: Any
    prices: Any
    owner: Any
    reach: Any
    via: Any
    scanned: Any
    end: Any


@program("kk", "k:index")
def best_assignment(profit):
    """The row (..., k) that each column of ``profit`` (..., k, k) gets; their sum is largest."""
    xp = array_namespace(profit=profit)
    k = profit.shape[-1]
    place = xp.arange(k, dtype=index_dtype(xp, profit), device=device(profit))
    zeros = xp.zeros(profit.shape[:-1], dtype=place.dtype, device=device(profit))
    none = zeros - 1
    start = _Search(
        row=zeros[..., 0],
        prices=xp.zeros_like(profit[..., 0]),
        owner=none,
        reach=-profit[..., 0, :],
        via=none,
        scanned=zeros > 0,
        end=none[..., 0],
    )

    def body(state):
        return select(state.end < 0, _scan(profit, place, state), _augment(profit, place, state))

    done = while_loop(lambda state: state.row < k, body, start, max_steps=2 * k * k + k)
    return (done.owner,)


def _scan(profit, place, state):
    """Take the nearest column: the path ends there if it is free, else goes on by its owner."""
    xp = array_namespace(profit=profit)
    open_reach = xp.where(state.scanned, xp.full_like(state.reach, xp.inf), state.reach)
    nearest = xp.argmin(open_reach, axis=-1)
    here = place == nearest[..., None]
    far = take_one(state.reach, nearest)[..., None]
    owner = take_one(state.owner, nearest)
    free = owner < 0
    prices = state.prices + xp.where(state.scanned & free[..., None], state.reach - far, 0.0 * far)
    reduced = -_row(profit, xp.clip(owner, 0, None)) - state.prices
    # The owner's own column has distance 0 from it.
    reach = far + reduced - take_one(reduced, nearest)[..., None]
    scanned = state.scanned | here
    closer = ~scanned & (reach < state.reach) & ~free[..., None]
    nearest = xp.astype(nearest, place.dtype, copy=False)
    return state._replace(
        prices=prices,
        reach=xp.where(closer, reach, state.reach),
        via=xp.where(closer, nearest[..., None], state.via),
        scanned=scanned,
        end=xp.where(free, nearest, state.end),
    )


def _augment(profit, place, state):
    """Hand the last column to the owner of the one before it; at the start take the next row."""
    xp = array_namespace(profit=profit)
    end = xp.clip(state.end, 0, None)
    before = take_one(state.via, end)
    first = before < 0
    owner = xp.where(first, state.row, take_one(state.owner, xp.clip(before, 0, None)))
    row = xp.where(first, state.row + 1, state.row)
    fresh = -_row(profit, xp.clip(row, None, place.shape[0] - 1)) - state.prices
    again = first[..., None]
    return state._replace(
        row=row,
        owner=xp.where(place == end[..., None], owner[..., None], state.owner),
        reach=xp.where(again, fresh, state.reach),
        via=xp.where(again, xp.full_like(state.via, -1), state.via),
        scanned=state.scanned & ~again,
        end=before,
    )


def _row(matrix, index):
    """``matrix[..., index, :]`` for one index a member of the batch."""
    xp = array_namespace(matrix=matrix)
    index = xp.broadcast_to(index[..., None, None], (*matrix.shape[:-2], 1, matrix.shape[-1]))
    return xp.take_along_axis(matrix, index, axis=-2)[..., 0, :]
