"""Passes over rows so few that they stay in the cache, as products of whole matrices: NumPy.

The clusters of all rows are one matrix of zeros and ones. So a pass is some ten calls, and Python
takes little of its time.
"""

import numpy as np

from kmeans_fx._backend.kernels.bounds import means_ahead

__all__ = ["OneTile"]

# Products of at most so many pairs of numbers OpenBLAS makes without copies of its operands, on
# processors with AVX-512: in half of the time.
_SMALL = 1_000_000


class OneTile:
    """Labels and sums of the rows x (n, d), as `kmeans_fx._backend.kernels.bounds.Bounds`.

    There are no bounds: every pass searches for all rows.
    """

    def __init__(self, x, mapping, weights, origin, k):
        (n, d), dtype = x.shape, origin.dtype
        self.rows = np.ones((n, d + 1), dtype)
        np.subtract(x if mapping is None else mapping(x), origin, out=self.rows[:, :-1])
        # BLAS takes sums from rows, and scores from columns, twice as fast as the other way round.
        self.columns = np.ascontiguousarray(self.rows.T)
        if weights is not None:
            self.rows *= weights[:, None]
        self.member, self.before = np.zeros((2, k, n), bool)
        self.operand, self.stats = np.empty((2, k, d + 1), dtype)
        self.scores = np.empty((k, n), dtype)
        size = max(1, _SMALL // (k * (d + 1)))
        self.pieces = [slice(start, start + size) for start in range(0, n, size)]
        self.turn = -1

    def update(self, centroids):
        """A pass for centroids (k, d): its sums (k, d), counts (k,), and how many rows moved."""
        self.turn += 1
        self.member, self.before = self.before, self.member
        np.multiply(centroids, -2, out=self.operand[:, :-1])
        np.einsum("ij,ij->i", centroids, centroids, out=self.operand[:, -1])
        scores = self.scores
        for piece in self.pieces:
            np.matmul(self.operand, self.columns[:, piece], out=scores[:, piece])
        np.equal(scores, scores.min(axis=0), out=self.member)
        if np.count_nonzero(self.member) != self.member.shape[1]:  # ties, or NaN
            np.equal(scores.argmin(axis=0), np.arange(len(scores))[:, None], out=self.member)
        # Textbook form: sums of the rows by label. The scores have served.
        np.copyto(scores, self.member)
        self.stats[:] = 0
        for piece in self.pieces:
            self.stats += np.matmul(scores[:, piece], self.rows[piece])
        changes = np.count_nonzero(self.member != self.before)
        # A row that moves leaves one cluster for another; at first there is none to leave.
        return *self.totals(), changes // 2 if self.turn else changes

    @property
    def labels(self):
        """Those of the last pass, (n,); -1 if there was none."""
        return _labels(self.member, self.turn >= 0)

    def labels_before(self):
        """Those of the pass before the last one, (n,); -1 if there was none."""
        return _labels(self.before, self.turn > 0)

    def totals(self):
        """Sums and counts of the last pass."""
        return self.stats[:, :-1].copy(), self.stats[:, -1].copy()

    def ahead(self, centroids, still, steps):
        """Iterations that nobody has to look at: `Bounds.ahead`."""
        return means_ahead(self, centroids, still, steps)


def _labels(member, known):
    return member.argmax(axis=0) if known else np.full(member.shape[1], -1)
