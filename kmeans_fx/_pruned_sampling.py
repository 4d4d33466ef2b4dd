"""Greedy k-means++ with less work: rows that no candidate can come near to are skipped.

The same draws and the same choices as the plain form, to rounding, in passes that read a
number or two of most rows. For kernels.

References
----------
.. [1] E. Raff, "Exact acceleration of k-means++ and k-means||", IJCAI 2021 (section 3).
"""

from functools import partial

from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.pool import run_tasks, run_with_help
from kmeans_fx._backend.threads import fewest_rows, rows_per_long_call, threads
from kmeans_fx._backend.transform import quiet
from kmeans_fx.distances import identity

__all__ = ["PrunedReach"]

# Threads stay awake where a pass takes less time than to wake them costs. In as many blocks.
_MOST_ROWS, _FEWEST_ROWS, _BLOCKS = 1 << 18, 4096, 8


class PrunedReach:
    """How far every row is from the nearest chosen one, and which one that is.

    By the triangle inequality a candidate is no nearer to a row than the row's own
    chosen one, if the two are twice as far from each other as the row is from its own.

    Attributes
    ----------
    reach : (n,)
        Squared distances.
    """

    def __init__(self, kernels, x, weights, space, reach):
        xp, n = array_namespace(x=x), x.shape[0]
        self.kernels, self.mapped, self.reach = kernels, space.mapping(x), reach
        owner = xp.zeros(reach.shape, dtype=xp.int32, device=device(reach))
        closer = xp.zeros(reach.shape, dtype=xp.uint8, device=device(reach))
        lengths = xp.asarray(reach, copy=True)  # to the first row
        self.rows, size = (x, weights, lengths, reach, owner, closer), rows_per_long_call(*x.shape)
        # Cut once: the passes write to these views of the arrays.
        self.blocks = [
            tuple(a if a is None else a[start : start + size, ...] for a in self.rows)
            for start in range(0, n, size)
        ]
        # What threads that are awake share, and how many rows a block of theirs has.
        self.awake: tuple | None = None
        # Relative error of a sum of so many squares. No rounding must skip a row.
        self.shrunk = (1 - 4 * (x.shape[1] + 2) * float(xp.finfo(reach.dtype).eps)) / 4

    def gains(self, candidates, chosen):
        """By how much each candidate (t, d) would lower the total reach, (t,)."""
        packed, near = self.kernels.candidates_of(candidates, chosen)
        near = near * self.shrunk
        if self.awake is not None:
            shared, size = self.awake
            shared.candidates[:], shared.near[: near.shape[0]] = packed[0], near
            self.kernels.gains_of_all(shared, size)
            return shared.gain.sum(axis=0)[: candidates.shape[0]]

        def task(block):
            x, *rest = block
            return self.kernels.gains(self.mapped(x), packed, *rest[:-1], near, rest[-1])

        return sum(self._pass(task))[: candidates.shape[0]]

    def shrink(self, row, turn, trial):
        """Choose ``row`` (d,), which was the candidate ``trial`` of the last gains."""
        if self.awake is not None:
            shared, size = self.awake
            shared.row[:] = row
            self.kernels.shrink_all(shared, size, turn, 1 << trial % 8)
            return

        def task(block):
            x, _, _, reach, owner, closer = block
            self.kernels.shrink_reach(self.mapped(x), row, turn, trial, closer, reach, owner)

        self._pass(task)

    def assisted(self, k, t, loop):
        """``loop()``, which chooses k rows of t candidates a turn, with all threads.

        Those of compiled kernels stay awake from one pass to the next.
        """
        x, weights, _, *rest = self.rows
        short = hasattr(self.kernels, "shared_rows") and x.shape[0] <= _MOST_ROWS
        if not (short and self.mapped is identity and x.flags.c_contiguous):
            return loop()
        n, d = x.shape
        size = max(fewest_rows(_FEWEST_ROWS, d), -(-n // _BLOCKS))
        blocks = -(-n // size)
        shared = self.kernels.shared_rows(x, weights, *rest, blocks, k, t)
        self.awake = shared, size

        def lead():
            try:
                return loop()
            finally:
                self.kernels.dismiss(shared.board)

        assist = partial(self.kernels.assist_seeding, shared, size)
        return run_with_help(lead, assist, max(1, min(threads(), blocks)))

    def _pass(self, task):
        """The results of all blocks, in their order."""
        xp = array_namespace(reach=self.reach)

        def quietly(block):
            with quiet(xp):  # a thread does not inherit it
                return task(block)

        results: list = []
        workers = max(1, min(threads(), len(self.blocks)))
        run_tasks(quietly, self.blocks, workers, results.append)
        return results
