"""Seconds per Lloyd iteration, from the same start, on normal noise.

The figure is the slope between a short and a longer run, so that what a call costs once (checks,
centring, the last assignment) does not count. A run before them does not, either: it takes the
memory that went back to the system in the turns of others, for which one that copies the rows
waits long. Noise is far from its fixed point all the while.
"""

from ..data import Workload, normal
from ..measure import Plan

REPEATS = 7
SHORT, LONG = 2, 22
SHAPES = ((205_000, 64, 64), (1_000_000, 16, 100), (102_000, 128, 1024), (2_000_000, 3, 16))
# Two blockwise sums of one float32 problem may part at near-ties; few iterations keep that small.
SAME = 1e-4


def slope(replies: list[dict]) -> float:
    """Return seconds per iteration between the two calls of one repeat."""
    *_, short, long = replies
    steps = (long["n_iter"] or LONG) - (short["n_iter"] or SHORT)
    return (long["seconds"] - short["seconds"]) / steps if steps else 0.0


def plan(x, start):
    """Time a short and a longer run from one start."""
    calls = [{"max_iter": SHORT}, {"max_iter": SHORT}, {"max_iter": LONG}]
    return Plan("iterate", lambda repeat: calls, slope, inertia_within=SAME)


CASES = [(Workload(f"noise {n} x {d}, k={k}", normal(n, d), k), plan) for n, d, k in SHAPES]
