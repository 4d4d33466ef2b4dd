"""Fits for a range of k, each of which may start where the one before ended."""

from kmeans_fx._backend.namespace import array_namespace, index_dtype
from kmeans_fx._backend.random import fold_in, split
from kmeans_fx._backend.segment import take_rows
from kmeans_fx.algorithms.kmeans import best_of
from kmeans_fx.algorithms.lloyd import lloyd
from kmeans_fx.assign import assign
from kmeans_fx.init import kmeans_plusplus

__all__ = ["fit_each"]


def fit_each(x, ks, key, n_init, weights, options):
    """Yield the best fit of every k, in rising order, of rows x (..., n, d).

    Each is the best of ``n_init`` starts by k-means++ and, after the first, of one from the
    centroids before and the rows farthest from them. So the inertia never rises with k.
    """
    before = None
    for k in ks:
        # A key of its own: what is found for one k does not depend on the other ones.
        starts = _starts(x, k, fold_in(key, k), n_init, weights, options["metric"])
        if before is not None:
            warm = _enlarged(x, before, k, weights, options["metric"])
            starts = array_namespace(x=x).concat([starts, warm[..., None, :, :]], axis=-3)
        rows = x if x.ndim == 2 else x[..., None, :, :]
        fit = best_of(lloyd(rows, starts, weights=weights, **options))
        before = fit.centroids
        yield fit


def _starts(x, k, key, n_init, weights, metric):
    """Centroids (..., n_init, k, d); all starts of a single cluster end alike."""
    rows = x if x.ndim == 2 else x[..., None, :, :]
    keys = split(key, n_init if k > 1 else 1)
    return kmeans_plusplus(rows, k, key=keys, weights=weights, metric=metric)


def _enlarged(x, centroids, k, weights, metric):
    """Centroids and the rows farthest from them, k in all."""
    xp = array_namespace(x=x)
    distances = assign(x, centroids, metric=metric).distances
    if weights is not None:
        distances = xp.where(weights > 0, distances, xp.full_like(distances, -1.0))
    order = xp.argsort(distances, axis=-1, descending=True, stable=True)
    farthest = xp.astype(order[..., : k - centroids.shape[-2]], index_dtype(xp, x), copy=False)
    return xp.concat([centroids, take_rows(xp, x, farthest)], axis=-2)
