"""Fits for a range of k, each of which also starts where the one before ended."""

from kmeans_fx._backend.namespace import array_namespace, is_jax_namespace
from kmeans_fx._backend.random import split
from kmeans_fx._backend.segment import take_rows
from kmeans_fx.algorithms.kmeans import best_of
from kmeans_fx.algorithms.lloyd import lloyd
from kmeans_fx.assign import farthest_rows
from kmeans_fx.init import kmeans_plusplus

__all__ = ["fit_each"]


def fit_each(x, ks, key, n_init, weights, options):
    """Yield the best fit of every k, in rising order, of rows x (..., n, d).

    Each is the best of ``n_init`` starts by k-means++ and, after the first, of one from the
    centroids before and the rows farthest from them. So the inertia never rises with k.
    k-means++ draws one row after the other: its first k are a start for k.
    """
    xp = array_namespace(x=x)
    rows = x if x.ndim == 2 else x[..., None, :, :]
    keys, metric = split(key, n_init), options["metric"]
    seeds = kmeans_plusplus(rows, ks[-1], key=keys, weights=weights, metric=metric)
    before = None
    for k in ks:
        # All starts of a single cluster end alike.
        starts = seeds[..., : n_init if k > 1 else 1, :k, :]
        if before is not None:
            warm = _enlarged(x, before, k, weights, metric)
            starts = xp.concat([starts, warm[..., None, :, :]], axis=-3)
        fit = best_of(_fits(xp, rows, starts, (n_init + 1, ks[-1]), weights, options))
        before = fit.centroids[..., :k, :]
        yield fit._replace(centroids=before)


def _fits(xp, rows, starts, shape, weights, options):
    """The fits from all starts (..., r, k, d); of JAX, which compiles for each shape, in one."""
    if not is_jax_namespace(xp):
        return lloyd(rows, starts, weights=weights, **options)
    # Centroids after the k-th are copies of the first, which wins all ties: they never get
    # a row, and "merge" leaves such clusters out.
    for axis, size in zip((-3, -2), shape, strict=True):
        first = starts[..., :1, :, :] if axis == -3 else starts[..., :1, :]
        starts = xp.concat([starts, *[first] * (size - starts.shape[axis])], axis=axis)
    return lloyd(rows, starts, weights=weights, empty="merge", **options)


def _enlarged(x, centroids, k, weights, metric):
    """Centroids and the rows farthest from them, k in all."""
    xp = array_namespace(x=x)
    farthest = farthest_rows(x, centroids, k - centroids.shape[-2], weights, metric)
    return xp.concat([centroids, take_rows(xp, x, farthest)], axis=-2)
