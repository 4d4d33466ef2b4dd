"""Passes of k-means++ over all rows, whose threads wait awake: compiled by Numba.

One thread draws the candidates, in Python, and offers the blocks of a pass on a
`kmeans_fx._backend.kernels.board`. Others assist, as many as come.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.kernels.board import NOTES, await_all, is_over, offer, pause, report, take
from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.seeding import gains, shrink_reach

__all__ = ["SharedRows", "assist_seeding", "gains_of_all", "shrink_all"]

# Notes on the board: which of the two passes it is, and the numbers that the second one wants.
_SHRINKS, _TURN, _BIT = NOTES, NOTES + 1, NOTES + 2


class SharedRows(NamedTuple):
    """What the threads share: `kmeans_fx._backend.kernels.seeding` says what most of it is.

    Attributes
    ----------
    near : (k,)
        Of the rows that are chosen, which come first.
    gain : (b, t)
        Of every block.
    row : (d,)
        The new one.
    board : (48,)
    """

    x: Any
    share: Any
    reach: Any
    owner: Any
    closer: Any
    candidates: Any
    near: Any
    gain: Any
    row: Any
    board: Any


@compiled
def gains_of_all(shared, size):
    """`gains` of all blocks of so many rows."""
    shared.board[_SHRINKS] = 0
    _work_off(shared, size)


@compiled
def shrink_all(shared, size, turn, bit):
    """`shrink_reach` of all blocks of so many rows."""
    shared.board[_SHRINKS], shared.board[_TURN], shared.board[_BIT] = 1, turn, bit
    _work_off(shared, size)


@compiled
def assist_seeding(shared, size):
    """Takes blocks until it is over."""
    looks = 0
    while not is_over(shared.board, 0):
        looks = 0 if _take_block(shared, size) else pause(looks)


@compiled
def _work_off(shared, size):
    offer(shared.board, shared.gain.shape[0])
    while _take_block(shared, size):
        pass
    await_all(shared.board)


@compiled
def _take_block(shared, size):
    """Whether there was a block to work on."""
    board = shared.board
    b = take(board, shared.gain.shape[0])
    if b < 0:
        return False
    here = slice(b * size, min(shared.x.shape[0], (b + 1) * size))
    x, share = shared.x[here], shared.share[here]
    reach, owner, closer = shared.reach[here], shared.owner[here], shared.closer[here]
    if board[_SHRINKS]:
        shrink_reach(x, shared.row, board[_TURN], board[_BIT], closer, reach, owner)
    else:
        for j in range(shared.gain.shape[1]):
            shared.gain[b, j] = 0
        gains(x, shared.candidates, share, reach, owner, shared.near, closer, shared.gain[b])
    report(board)
    return True
