"""Greedy k-means++ with less work: rows that no candidate can come near to are skipped.

The same draws and the same choices as the plain form, to rounding, in passes that read a
number or two of most rows. For kernels.

References
----------
.. [1] E. Raff, "Exact acceleration of k-means++ and k-means||", IJCAI 2021 (section 3).
"""

from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import squared_norms
from kmeans_fx._partition import map_rows

__all__ = ["PrunedReach"]


class PrunedReach:
    """How far every row is from the nearest chosen one, and which one that is.

    By the triangle inequality a candidate is no nearer to a row than the row's own
    chosen one, if the two are twice as far from each other as the row is from its own.

    Attributes
    ----------
    reach : (n,)
        Squared distances.
    """

    def __init__(self, kernels, x, norms, weights, space, reach):
        xp = array_namespace(x=x)
        self.kernels, self.x, self.weights, self.space = kernels, x, weights, space
        self.mapped = space.mapping(x)
        self.norms, self.reach = norms, reach
        self.owner = xp.zeros(reach.shape, dtype=xp.int32, device=device(reach))
        self.closer = xp.zeros(reach.shape, dtype=xp.uint8, device=device(reach))
        # Relative error of a square. No rounding must skip a row.
        self.error = 4 * float(xp.finfo(reach.dtype).eps) * (8 + x.shape[1] ** 0.5)

    def potentials(self, candidates, chosen):
        """The total reach that each candidate (t, d) would leave, (t,)."""
        xp, origin, error = array_namespace(x=self.x), self.space.origin, self.error
        # Expanded squares: their rounding can only change which trial is kept.
        table = self.kernels.table(candidates - origin)
        between = squared_norms(chosen[:, None, :] - candidates[None, :, :])
        near = xp.min(between, axis=1) * ((1 - 2 * error) / 4)

        def block(part, norms, share, reach, owner, closer):
            rows = self.mapped(part)
            return (), (
                self.kernels.potentials(
                    rows, origin, table, norms, share, reach, owner, near, error, closer
                ),
            )

        return self._pass(block, self.norms, self.weights, self.reach, self.owner, self.closer)[0]

    def shrink(self, row, turn, trial):
        """Choose ``row`` (d,), which was the candidate ``trial`` of the last potentials."""

        def block(part, closer, reach, owner):
            rows = self.mapped(part)
            self.kernels.shrink_reach(rows, row, turn, trial, closer, reach, owner)
            return (), ()

        self._pass(block, self.closer, self.reach, self.owner)

    def _pass(self, block, *arrays):
        x = self.x
        return map_rows(block, (x, *arrays), x[:1, :], 1, self.space.kernel_rows(x))[1]
