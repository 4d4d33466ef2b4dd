"""Mini-batch k-means of 10,000,000 x 16 rows in a memory-mapped file, k=100, without labels.

The seed is the repeat. scikit-learn's ``fit`` draws each batch from an array of probabilities of
all rows and takes minutes here, so its ``partial_fit`` is timed, on as many batches of the same
size as kmeans_fx needed to settle, read from the file in its order. The memory is that of
anonymous pages: those of the file do not count. The inertia is that of
every twentieth row.
"""

from ..data import Workload, blobs
from ..measure import Plan

REPEATS = 3
BATCH = 4096


def plan(x, start):
    """Time a fit with another seed in each repeat."""
    return Plan(
        "minibatch",
        lambda repeat: [{"key": repeat, "size": BATCH}],
        mapped=True,
        judged=20,
        reference="scikit-learn-minibatch",
    )


CASES = [
    (Workload("file 10000000 x 16, k=100", blobs(10_000_000, 16, 100, spread=1.0), 100), plan),
]
