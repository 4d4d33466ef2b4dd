"""The fit with and without the rows farthest from its centroids."""

from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.segment import take_rows
from kmeans_fx.algorithms.kmeans import kmeans
from kmeans_fx.assign import assign, farthest_rows
from kmeans_fx.metrics.internal import cluster_table
from kmeans_fx.metrics.matching import match_labels
from kmeans_fx.stability._shared import alike, checked, ratio, shares

__all__ = ["OutlierInfluence", "outlier_influence"]


class OutlierInfluence(NamedTuple):
    """A fit of all rows beside one without the rows farthest from its centroids.

    Attributes
    ----------
    outliers : integer array (m,)
        The rows left out, the farthest first.
    centroids : array (k, d)
        Of all rows.
    centroids_without : array (k, d)
        Of the others, in the order of the clusters they match.
    shift : array (k,)
        Euclidean distance between the two.
    relative_shift : array (k,)
        In units of the root mean square distance of the remaining rows of the cluster to
        their centroid; infinite where that is 0 and the shift is not.
    agreement : array ()
        Adjusted Rand index of the two, over the rows that remained.
    labels : integer array (n,)
        Of the fit of all rows.
    labels_without : integer array (n,)
        Of all rows, by the nearest of ``centroids_without``.
    inertia : array ()
        Of the remaining rows in the fit of all rows.
    inertia_without : array ()
        Of the same rows in the fit without the others.
    """

    outliers: Any
    centroids: Any
    centroids_without: Any
    shift: Any
    relative_shift: Any
    agreement: Any
    labels: Any
    labels_without: Any
    inertia: Any
    inertia_without: Any


def outlier_influence(
    x,
    k,
    /,
    *,
    key,
    fraction=0.05,
    n_init=10,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
):
    """What the rows farthest from their centroids do to the fit.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters.
    key : int, array (2,) or generator
        Source of all randomness; see `kmeans_fx.kmeans`.
    fraction : float
        Share of the rows that is left out, above 0 and below 1: at least one row, and at
        most n - k.
    n_init : int
        Starts of every fit.
    weights : array (n,), optional
        Not negative. A row of weight m acts as m copies of it, which are left out
        together; of weight 0 as none.
    metric, max_iter, tol
        As for `kmeans_fx.lloyd`.

    Returns
    -------
    OutlierInfluence

    Raises
    ------
    TypeError, ValueError
        As `kmeans_fx.kmeans`, and if ``fraction`` is out of range.

    Notes
    -----
    Rows that have a cluster to themselves are at distance 0 from its centroid and are not
    left out: look at the sizes of the clusters too.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.stability import outlier_influence
    >>> x = np.array([[0.0], [1.0], [2.0], [20.0], [21.0], [22.0], [40.0]])
    >>> found = outlier_influence(x, 2, key=0, fraction=0.1)
    >>> found.outliers, found.shift.round(2)
    (array([6]), array([4.75, 0.  ]))
    """
    if not 0 < fraction < 1:
        msg = f"fraction must be above 0 and below 1, got {fraction}"
        raise ValueError(msg)
    xp, x, k, weights, words = checked(x, k, weights, key)
    n = x.shape[0]
    if n == k:
        msg = f"k must be below the number of rows, {n}, so that one can be left out, got {k}"
        raise ValueError(msg)
    options = {"metric": metric, "max_iter": max_iter, "tol": tol, "n_init": n_init}
    share = shares(xp, x, weights)
    fit = kmeans(x, k, key=words, weights=weights, **options)
    size = min(max(1, round(fraction * n)), n - k)
    outliers = farthest_rows(x, fit.centroids, size, share, metric)
    rows = xp.arange(n, dtype=outliers.dtype, device=device(x))
    kept = xp.where(xp.any(rows[:, None] == outliers, axis=1), xp.zeros_like(share), share)
    other = kmeans(x, k, key=words, weights=kept, **options)
    return _compared(x, k, fit, other, outliers, kept, metric)


def _compared(x, k, fit, other, outliers, kept, metric):
    xp = array_namespace(x=x)
    matching = match_labels(fit.labels, other.labels, n_labels=k, weights=kept)
    order = xp.argsort(matching.mapping)
    centroids = take_rows(xp, other.centroids, order)
    before = xp.astype(fit.centroids, kept.dtype, copy=False)
    after = xp.astype(centroids, kept.dtype, copy=False)
    shift = xp.sqrt(xp.sum((after - before) ** 2, axis=-1))
    with_all, without = (assign(x, c, metric=metric) for c in (fit.centroids, centroids))
    return OutlierInfluence(
        outliers,
        fit.centroids,
        centroids,
        shift,
        ratio(xp, shift, _radius(x, without.labels, after, kept)),
        alike(fit.labels, matching.labels, k, kept, x),
        fit.labels,
        without.labels,
        xp.sum(with_all.distances * kept),
        xp.sum(without.distances * kept),
    )


def _radius(x, labels, centroids, share):
    """Root mean square Euclidean distance (k,) of the rows to the centroid of their label."""
    xp = array_namespace(x=x)
    table = cluster_table(x, labels, centroids=centroids, weights=share)
    return xp.sqrt(table.mean_distance)
