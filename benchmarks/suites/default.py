"""Seeding and fit with each library's own defaults and one start; the seed is the repeat.

Results differ here, so the time is to be read beside the mean inertia. The peers' defaults stop
at very different places: faiss after 25 iterations, SciPy after 10, MiniBatchKMeans on samples.
"""

from ..measure import Plan
from .panel import panel

REPEATS = 5
PLAN = Plan(task="fit", calls=lambda repeat: [{"key": repeat}])


def cases(quick: bool):
    """Yield the panel."""
    for workload in panel("random", quick):
        yield workload, PLAN
