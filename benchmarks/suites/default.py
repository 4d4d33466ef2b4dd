"""Seeding and fit with each library's own defaults and one start; the seed is the repeat.

Results differ here, so the time is to be read beside the mean inertia. The peers' defaults stop
at very different places: faiss after 25 iterations, SciPy after 10, MiniBatchKMeans on samples.
"""

from ..measure import Plan
from .panel import panel

REPEATS = 5


def plan(x, start):
    """Time each library's own seeding and fit."""
    return Plan(task="fit", calls=lambda repeat: [{"key": repeat}])


CASES = [(workload, plan) for workload in panel("random")]
