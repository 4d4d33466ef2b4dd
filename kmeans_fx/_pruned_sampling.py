"""Greedy k-means++ with less work: rows that no candidate can come near to are skipped.

The same draws and the same choices as the plain form, to rounding, in passes that read a
number or two of most rows. For kernels.

References
----------
.. [1] E. Raff, "Exact acceleration of k-means++ and k-means||", IJCAI 2021 (section 3).
"""

from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import squared_norms
from kmeans_fx._partition import KERNEL_COLUMNS, map_rows

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
        self.norms, self.reach = norms, reach
        self.owner = xp.zeros(reach.shape, dtype=xp.int32, device=device(reach))
        # Squares are rounded, so that no rounding skips a row.
        self.trust = (1 - 8 * float(xp.finfo(reach.dtype).eps) * (8 + x.shape[1] ** 0.5)) / 4

    def potentials(self, candidates, chosen):
        """The total reach that each candidate (t, d) would leave, (t,)."""
        near, origin = self._near(candidates, chosen), self.space.origin
        # Expanded squares: their rounding can only change which trial is kept.
        table = self.kernels.table(candidates - origin)

        def block(part, norms, share, reach, owner):
            rows = self.space.mapped(part)
            return (), (
                self.kernels.potentials(rows, origin, table, norms, share, reach, owner, near),
            )

        return self._pass(block, (self.norms, self.weights, self.reach, self.owner))[0]

    def shrink(self, row, chosen):
        """Take ``row`` (d,) among the chosen (m, d)."""
        near = self._near(row[None, :], chosen)

        def block(part, reach, owner):
            rows = self.space.mapped(part)
            self.kernels.shrink_reach(rows, row, chosen.shape[0], near, reach, owner)
            return (), ()

        self._pass(block, (self.reach, self.owner))

    def _near(self, rows, chosen):
        """A quarter of the squared distance from every chosen row to the next of ``rows``."""
        xp = array_namespace(rows=rows)
        squares = squared_norms(chosen[:, None, :] - rows[None, :, :])
        return xp.min(squares, axis=1) * self.trust

    def _pass(self, block, arrays):
        x = self.x
        return map_rows(block, (x, *arrays), x[:1, :], KERNEL_COLUMNS, self.space.chunk_size)[1]
