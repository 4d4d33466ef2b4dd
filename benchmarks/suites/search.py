"""A search for better optima against ten restarts: time, and the mean inertia over seeds.

The seed is the repeat. kmeans_fx runs one fit with ``search="breathing"``; scikit-learn, and
kmeans_fx-restarts, run ten fits from k-means++ and keep the best.
"""

from .. import data
from ..data import Workload
from ..measure import Plan

REPEATS = 5


def plan(x, start):
    """Time a whole call with another seed in each repeat."""
    return Plan("search", lambda repeat: [{"key": repeat}])


PANEL = (
    ("grid 10000 x 2, k=25", data.grid(10_000, 5), 25),
    ("grid 40000 x 2, k=100", data.grid(40_000, 10), 100),
    ("scattered 7500 x 2, k=50", data.scattered(7_500, 50), 50),
    ("unbalanced 20000 x 4, k=20", data.unbalanced(20_000, 4, 20), 20),
    ("blobs apart 20000 x 16, k=50", data.blobs(20_000, 16, 50, spread=4.0), 50),
    ("blobs overlapping 20000 x 8, k=50", data.blobs(20_000, 8, 50, spread=1.0), 50),
    ("uniform noise 20000 x 4, k=50", data.uniform(20_000, 4), 50),
    ("swiss roll 20000 x 3, k=40", data.swiss_roll(20_000), 40),
    ("china.jpg, every eighth pixel x 3, k=32", data.every(8, data.pixels), 32),
    ("flower.jpg, every eighth pixel x 3, k=64", data.every(8, data.flower), 64),
    ("digits x 64, k=10", data.digits, 10),
    ("digits x 64, k=50", data.digits, 50),
    ("breast cancer 569 x 30, k=20", data.breast_cancer, 20),
    ("wine 178 x 13, k=10", data.wine, 10),
)
CASES = [(Workload(*row), plan) for row in PANEL]
