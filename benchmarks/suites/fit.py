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


def cases(quick: bool):
    """Yield the panel, each with the number of iterations found for it."""
    for workload in panel("k-means++", quick):
        try:
            inertias = lloyd_inertias(*workload.make())
        except LookupError:  # the data are absent: the measurement will meet it again and say so
            inertias = [1.0]
        yield workload, plan(iterations_to_reach(inertias, WITHIN))


def plan(n_iter: int) -> Plan:
    """Return the plan that runs exactly ``n_iter`` iterations."""
    calls = [{"max_iter": n_iter}]
    return Plan("lloyd", lambda repeat: calls, same_start=True, inertia_within=WITHIN)
