"""Small problems: 10,000 of (200, 8) with k=5 at once, and one of (150, 4) with k=3.

A library that takes one problem at a time is a loop over the batch.
"""

from ..data import Workload, iris, normal
from ..measure import Plan

REPEATS = 3


def plan_lloyd(x, start):
    """Run from one start to the fixed point, which is near: the problems are small."""
    calls = [{"max_iter": 100}]
    return Plan("lloyd", lambda repeat: calls, same_start=True, inertia_within=1e-3)


def plan_fit(x, start):
    """Run with each library's own defaults."""
    return Plan("fit", lambda repeat: [{"key": repeat}])


MANY = normal(10_000, 200, 8)
CASES = [
    (Workload("10000 problems of 200 x 8, k=5, lloyd", MANY, 5), plan_lloyd),
    (Workload("10000 problems of 200 x 8, k=5, defaults", MANY, 5), plan_fit),
    (Workload("iris 150 x 4, k=3, lloyd", iris, 3), plan_lloyd),
    (Workload("iris 150 x 4, k=3, defaults", iris, 3), plan_fit),
]
