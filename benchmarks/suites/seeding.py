"""k-means++ alone: seconds, and the inertia right after it (mean over the repeats' seeds)."""

from ..data import Workload, blobs, normal
from ..measure import Plan
from .iteration import SHAPES

REPEATS = 3
PLAN = Plan(task="seed", calls=lambda repeat: [{"key": repeat}])


def cases(quick: bool):
    """Yield the shapes of the iteration suite, and one with real clusters."""
    noise = [Workload(f"noise {n} x {d}, k={k}", normal(n, d), k) for n, d, k in SHAPES]
    clusters = Workload("blobs 490000 x 16, k=100", blobs(490_000, 16, 100, spread=4.0), 100)
    for workload in (*noise, clusters):
        yield (workload.small() if quick else workload), PLAN
