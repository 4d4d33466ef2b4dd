"""Seconds per Lloyd iteration as n, d and k grow, the other two held."""

from ..data import Workload, normal
from .iteration import plan

REPEATS = 3
CURVES = {
    "n": [(n, 16, 32) for n in (10_000, 30_000, 100_000, 300_000, 1_000_000)],
    "d": [(100_000, d, 32) for d in (2, 4, 8, 16, 32, 64, 128, 256)],
    "k": [(100_000, 16, k) for k in (2, 8, 32, 128, 512, 2048)],
}
CASES = [
    (Workload(f"{axis}: {n} x {d}, k={k}", normal(n, d), k), plan)
    for axis, points in CURVES.items()
    for n, d, k in points
]
