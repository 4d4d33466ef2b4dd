"""How far centroids moved: what bounds on distances lose by it."""

from kmeans_fx._backend.blocks import map_blocks, rows_per_block
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.nearest import score_table, squared_norms

__all__ = ["drift", "relative_error"]


def relative_error(centroids):
    """Of a distance: bounds are rounded away from the truth by it, so no rounding skips a row."""
    eps = array_namespace(centroids=centroids).finfo(centroids.dtype).eps
    return float(eps) * (8 + centroids.shape[1] ** 0.5)


def drift(centroids, previous, error):
    """(3, k): how far the centroid moved, how far any other, and half the way to the next.

    All are zero where there were none before (None).
    """
    xp, k = array_namespace(centroids=centroids), centroids.shape[0]
    place = device(centroids)
    if previous is None:
        return xp.zeros((3, k), dtype=centroids.dtype, device=place)
    moved = xp.sqrt(squared_norms(centroids - previous)) * (1 + error)
    others = xp.arange(k, device=place) != xp.argmax(moved)
    second = xp.max(xp.where(others, moved, xp.zeros_like(moved)))
    # Lemma 1 of Hamerly: nearer than half the way to the next centroid is nearest.
    half = _nearest_other(xp, centroids) / 2
    return xp.stack((moved, xp.where(others, xp.max(moved), second), half))


def _nearest_other(xp, centroids):
    """Distance from every centroid to the next one."""
    operand, bias = score_table(centroids)

    def block(part, place):
        scores = xp.matmul(part, operand) + bias
        scores[xp.arange(part.shape[0], device=device(part)), place] = xp.inf
        other = xp.argmin(scores, axis=1)
        return (xp.sqrt(squared_norms(part - centroids[other])),), ()

    k = centroids.shape[0]
    place = xp.arange(k, device=device(centroids))
    return map_blocks(block, (centroids, place), rows_per_block(centroids, k))[0][0]
