"""The exact silhouette score of given labels: all pairs of rows. For inertia read score.

Row i has the label i % k, so that every contender scores the same clusters.
"""

from ..data import Workload, blobs_in_turn
from ..measure import Plan

REPEATS = 3


def score(x, result):
    """Return the score itself, by which contenders must agree."""
    return float(result)


def plan(x, start):
    """Time the score alone."""
    return Plan("silhouette", lambda repeat: [{}], inertia_within=1e-4, ruler=score)


SHAPES = ((20_000, 16, 10), (50_000, 16, 10))
CASES = [
    (Workload(f"blobs {n} x {d}, k={k}", blobs_in_turn(n, d, k, spread=1.0), k), plan)
    for n, d, k in SHAPES
]
