"""The panel of data that the end-to-end suites share: made, real, structureless, degenerate."""

from ..data import Workload, blobs, digits, duplicates, flights, normal, pixels, uniform

PANEL = (
    ("blobs apart 50000 x 8, k=20", blobs(50_000, 8, 20, spread=4.0), 20),
    ("blobs apart 490000 x 16, k=100", blobs(490_000, 16, 100, spread=4.0), 100),
    ("blobs overlapping 490000 x 16, k=100", blobs(490_000, 16, 100, spread=1.0), 100),
    ("blobs overlapping 197000 x 64, k=64", blobs(197_000, 64, 64, spread=0.5), 64),
    ("blobs apart 98000 x 128, k=300", blobs(98_000, 128, 300, spread=1.0), 300),
    ("blobs overlapping 49000 x 768, k=100", blobs(49_000, 768, 100, spread=0.1), 100),
    ("image pixels x 3, k=64", pixels, 64),
    ("digits x 64, k=10", digits, 10),
    ("flights x 12, k=32", flights, 32),
    ("uniform noise 200000 x 8, k=50", uniform(200_000, 8), 50),
    ("normal noise 197000 x 16, k=64", normal(197_000, 16), 64),
    ("duplicates 200000 x 8, k=40", duplicates(200_000, 8, 500), 40),
)


def panel(start: str) -> list[Workload]:
    """Return the panel, with its starts drawn by ``start``."""
    return [Workload(*row, start=start) for row in PANEL]
