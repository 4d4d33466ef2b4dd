"""Rows with missing values, as rows of twice the width: the values, then 1 where one is there."""

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.segment import segment_stats

__all__ = ["halves", "observed_means", "partial_distance", "with_mask"]


def with_mask(x, mask):
    """Rows (..., n, 2 d) of values and of their mask (..., n, d).

    A missing value becomes its column's mean: no distance sees it, but a centroid that
    starts on the row does.
    """
    xp = array_namespace(x=x)
    there = xp.astype(mask, x.dtype)
    known = xp.where(mask, x, xp.zeros_like(x))
    number = xp.sum(there, axis=-2, keepdims=True)
    mean = xp.sum(known, axis=-2, keepdims=True) / xp.where(number > 0, number, number + 1)
    return xp.concat([xp.where(mask, x, mean), there], axis=-1)


def halves(rows):
    """The values and the mask of rows made by `with_mask`."""
    d = rows.shape[-1] // 2
    return rows[..., :d], rows[..., d:]


def partial_distance(rows, centroids):
    """Squared Euclidean distance over the columns that a row has."""
    xp = array_namespace(rows=rows)
    (values, there), (centres, _) = halves(rows), halves(centroids)
    return xp.sum(there * (values - centres) ** 2, axis=-1)


def observed_means(rows, labels, k, weights):
    """Means of the values that are there; the column's mean where a cluster has none."""
    xp = array_namespace(rows=rows)
    values, there = halves(rows)
    both = xp.concat([values * there, there], axis=-1)
    sums, mass = halves(segment_stats(both, labels, k, weights)[0])
    overall = xp.sum(sums, axis=-2, keepdims=True) / _safe(xp.sum(mass, axis=-2, keepdims=True))
    means = xp.where(mass > 0, sums / _safe(mass), overall)
    return xp.concat([means, xp.ones_like(means)], axis=-1)


def _safe(mass):
    xp = array_namespace(mass=mass)
    return xp.where(mass > 0, mass, xp.ones_like(mass))
