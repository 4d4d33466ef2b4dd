"""k-means++ alone: seconds, and the inertia right after it (mean over the repeats' seeds)."""

from ..data import Workload, blobs, normal
from ..measure import Plan
from .iteration import SHAPES

REPEATS = 3


def plan(x, start):
    """Time k-means++ with another seed in each repeat."""
    return Plan(task="seed", calls=lambda repeat: [{"key": repeat}])


WORKLOADS = (
    *(Workload(f"noise {n} x {d}, k={k}", normal(n, d), k) for n, d, k in SHAPES),
    Workload("blobs 490000 x 16, k=100", blobs(490_000, 16, 100, spread=4.0), 100),
)
CASES = [(workload, plan) for workload in WORKLOADS]
