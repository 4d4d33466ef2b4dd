"""How good centroids are: the same ruler for every contender, in float64."""

import numpy as np

BLOCK_VALUES = 1 << 22


def inertia(x: np.ndarray, centroids: np.ndarray) -> float:
    """Sum, over rows, the squared distance to the nearest centroid; batches are summed too.

    Parameters
    ----------
    x : ndarray, shape (..., n, d)
    centroids : ndarray, shape (..., k, d)

    Returns
    -------
    float
        NaN when a centroid is not finite.
    """
    if x.ndim > 2:
        return float(sum(inertia(a, b) for a, b in zip(x, centroids, strict=True)))
    # Shifted to the mean: the expanded form below cancels where data lie far from the origin.
    mean = x.mean(axis=0, dtype=np.float64)
    c = centroids.astype(np.float64) - mean
    squares = (c * c).sum(axis=1)
    rows = max(1, BLOCK_VALUES // max(len(c), x.shape[1]))
    total = 0.0
    for i in range(0, len(x), rows):
        block = x[i : i + rows].astype(np.float64) - mean
        nearest = (squares - 2.0 * block @ c.T).min(axis=1)
        total += float(np.maximum((block * block).sum(axis=1) + nearest, 0.0).sum())
    return total


def lloyd_path(
    x: np.ndarray, start: np.ndarray, limit: int = 300
) -> tuple[list[float], list[np.ndarray]]:
    """Return inertias and centroids after each iteration of plain Lloyd, to its fixed point.

    Each iteration is a fit of scikit-learn from the centroids before, so this takes about as long
    as a few fits. It is run once per workload and is no part of any time.
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    inertias: list[float] = []
    path = [start]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(limit):
            step = KMeans(len(start), init=path[-1], n_init=1, max_iter=1, tol=0.0).fit(x)
            inertias.append(float(step.inertia_))
            path.append(step.cluster_centers_)
            if np.allclose(path[-1], path[-2], rtol=1e-6, atol=0.0):
                break
    return inertias, path[1:]


def iterations_to_reach(inertias: list[float], relative: float = 1e-4) -> int:
    """Return the first iteration whose inertia is within ``relative`` of the last one's."""
    goal = inertias[-1] * (1.0 + relative)
    return next(i for i, value in enumerate(inertias, start=1) if value <= goal)
