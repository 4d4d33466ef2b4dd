"""End to end from one k-means++ start to the same inertia (relative 1e-4), seeding excluded.

From one start every exact algorithm takes the same steps. So the number of iterations that plain
Lloyd needs to come within 1e-4 of its fixed point is found first, and every contender is timed
over that many: all end at the same inertia, whatever their own stopping rules are. After hundreds
of iterations on noise rounding may have led a contender another way; then it gets more of them.
"""

from ..measure import Plan
from ..quality import inertia, iterations_to_reach, lloyd_path
from .panel import panel

REPEATS = 5
WITHIN = 1e-4


def plan(x, start):
    """Find the number of iterations, and time that many."""
    inertias, path = lloyd_path(x, start)
    n_iter = iterations_to_reach(inertias, WITHIN)
    calls = [{"max_iter": n_iter}]
    goal = inertia(x, path[n_iter - 1])
    return Plan("lloyd", lambda repeat: calls, same_start=True, inertia_within=WITHIN, goal=goal)


CASES = [(workload, plan) for workload in panel("k-means++")]
