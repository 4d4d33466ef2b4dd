"""End to end from one k-means++ start to the same inertia (relative 1e-4), seeding excluded.

From one start every exact algorithm takes the same steps. So the number of iterations that plain
Lloyd needs to come within 1e-4 of its fixed point is found first, and every contender is timed
over that many: all end at the same inertia, whatever their own stopping rules are.
"""

from ..measure import Plan
from ..quality import iterations_to_reach, lloyd_inertias
from .panel import panel

REPEATS = 5
WITHIN = 1e-4


def plan(x, start):
    """Find the number of iterations, and time that many."""
    calls = [{"max_iter": iterations_to_reach(lloyd_inertias(x, start), WITHIN)}]
    return Plan("lloyd", lambda repeat: calls, same_start=True, inertia_within=WITHIN)


CASES = [(workload, plan) for workload in panel("k-means++")]
