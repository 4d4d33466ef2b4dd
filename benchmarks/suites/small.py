"""Small problems: 10,000 of (200, 8) with k=5 at once, and one of (150, 4) with k=3.

A library that takes one problem at a time is a loop over the batch.
"""

from ..data import Workload, iris, normal
from ..measure import Plan

REPEATS = 3
# To the fixed point: few of these problems need more than a handful of iterations.
LLOYD = Plan("lloyd", lambda repeat: [{"max_iter": 100}], same_start=True, inertia_within=1e-3)
FIT = Plan("fit", lambda repeat: [{"key": repeat}])


def cases(quick: bool):
    """Yield the batch and the single problem, each from a given start and with defaults."""
    many = normal(10_000, 200, 8)
    for workload, plan in (
        (Workload("10000 problems of 200 x 8, k=5, lloyd", many, 5), LLOYD),
        (Workload("10000 problems of 200 x 8, k=5, defaults", many, 5), FIT),
        (Workload("iris 150 x 4, k=3, lloyd", iris, 3), LLOYD),
        (Workload("iris 150 x 4, k=3, defaults", iris, 3), FIT),
    ):
        yield (workload.small() if quick else workload), plan
