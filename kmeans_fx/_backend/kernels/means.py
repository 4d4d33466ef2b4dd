"""The way from the sums of a pass to the next centroids, compiled by Numba."""

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled

__all__ = ["goes_on", "move_to_means", "way_to_means"]


@compiled
def goes_on(moved, way, still):
    """Whether nobody has to look, before centroids go so far (squared, in all) and on.

    That is where rows moved, no cluster is empty, and the way is more than ``still``.
    """
    return moved != 0 and still < way < np.inf


@compiled
def way_to_means(sums, counts, centroids):
    """How far the means are from the centroids: squared, in all; infinite where one is empty."""
    way, (k, d) = 0.0, centroids.shape
    for j in range(k):
        for f in range(d):
            way += (_mean(sums, counts, j, f, centroids) - centroids[j, f]) ** 2
        if counts[j] == 0:
            way = np.inf
    return way


@compiled
def move_to_means(sums, counts, centroids):
    """Writes the means over the centroids."""
    for j in range(centroids.shape[0]):
        for f in range(centroids.shape[1]):
            centroids[j, f] = _mean(sums, counts, j, f, centroids)


@compiled
def _mean(sums, counts, j, f, centroids):
    number = centroids.dtype.type
    return number(sums[j, f]) / number(counts[j])
