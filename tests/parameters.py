"""Parameters of tests that many files share."""

import numpy as np
import pytest

# Ties, duplicates, clusters that empty, huge offsets, rows that all are one.
HARD_KINDS = ["grid", "copies", "far", "one", "tiny", "huge"]


def hard_rows(kind, n, d, seed):
    """Rows (n, d) of a kind of `HARD_KINDS`, or normal ones; ``seed`` may be a generator."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d))
    if kind == "grid":
        rows = rng.integers(-2, 3, size=(n, d))
    if kind == "copies":
        rows = rows[rng.integers(max(1, n // 8), size=n)]
    if kind == "one":
        rows = np.broadcast_to(rows[:1], (n, d))
    scale, offset = {"far": (1, 1e4), "tiny": (1e-12, 0), "huge": (1e12, 0)}.get(kind, (1, 0))
    return rows * scale + offset


def excess(rows, centroids, labels):
    """By how much the squares of the rows' own centroids are above the least, and their size."""
    far = ((rows[:, None, :].astype(float) - centroids) ** 2).sum(-1)
    scale = (rows.astype(float) ** 2).sum(-1).max() + (centroids.astype(float) ** 2).sum(-1).max()
    return far[np.arange(len(rows)), labels] - far.min(1), scale


def uncompiled(*values):
    """Parameters that are not for JAX, which would compile anew for each, unless with ``-m ''``."""
    return [pytest.param(value, marks=pytest.mark.uncompiled) for value in values]
