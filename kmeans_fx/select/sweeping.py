"""Fit every k once, and score the fits by all criteria."""

from itertools import pairwise
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_finite,
    check_integer,
    check_k,
    check_one_problem,
    check_option,
    check_weights,
)
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.random import as_key, permutation, split
from kmeans_fx.distances import as_metric
from kmeans_fx.metrics._labelings import center_scores, mean_silhouettes
from kmeans_fx.select._fits import fit_each
from kmeans_fx.select._gap import box_of, gap_of, groups, reference_logs

__all__ = ["Sweep", "sweep"]


class Sweep(NamedTuple):
    """A fit for every k, and the criteria; NaN where one is not defined or not asked for.

    Attributes
    ----------
    ks : integer array (m,)
        The numbers of clusters, in rising order.
    inertia : array (m,)
        Never rises with k, but for rounding.
    silhouette : array (m,)
        Mean silhouette of the rows, or of the sample; high is good. NaN for k = 1.
    davies_bouldin : array (m,)
        Low is good. NaN for k = 1.
    calinski_harabasz : array (m,)
        High is good. NaN for k = 1.
    gap : array (m,)
        By how much the logarithm of the inertia is below that of rows without clusters;
        infinite where the inertia is 0, NaN where that of a reference is.
    gap_error : array (m,)
        s_k of the paper that `sweep` names: the standard deviation over the references
        times sqrt(1 + 1/B).
    labels : integer array (m, n)
    centroids : array (m, kmax, d)
        Of k, the first k rows; the others are NaN.
    n_iter : integer array (m,)
    status : integer array (m,)
        See `kmeans_fx.describe`.
    """

    ks: Any
    inertia: Any
    silhouette: Any
    davies_bouldin: Any
    calinski_harabasz: Any
    gap: Any
    gap_error: Any
    labels: Any
    centroids: Any
    n_iter: Any
    status: Any


def sweep(
    x,
    ks,
    /,
    *,
    key,
    weights=None,
    metric="sqeuclidean",
    n_init=5,
    max_iter=300,
    tol=1e-4,
    references=10,
    reference="pca",
    sample_size=10_000,
    callback=None,
):
    """Fit every k once and score it by all criteria.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    ks : iterable of int
        Numbers of clusters, rising, each from 1 to n: ``range(1, 11)``. The gap asks for
        neighbours, and for 1 among them.
    key : int, array (2,) or generator
        Source of all randomness; see `kmeans_fx.kmeans`.
    weights : array (n,), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none; in
        the references a row keeps its weight.
    metric : str or Metric
        Of the fits, the inertia and the gap. The silhouette takes it too, "euclidean" for
        "sqeuclidean". The scores of Davies and Bouldin and of Calinski and Harabasz are
        Euclidean always.
    n_init : int
        Starts by k-means++ for every k, for the rows and for every reference. One more
        goes on from the centroids of the k before.
    max_iter, tol
        As for `kmeans_fx.lloyd`.
    references : int
        Sets of rows without clusters for the gap, B in [1]_. Each costs as much as the
        fits of the rows. 0: no gap.
    reference : {"pca", "uniform"}
        Their rows are uniform in a box: along the principal axes of ``x``, or along its
        columns. The former needs ``eigh`` of the library's ``linalg``.
    sample_size : int
        The silhouette takes all pairs of at most so many rows, drawn without replacement,
        the same for every k. 0: no silhouette.
    callback : callable, optional
        ``(done, total, k)``, called after each fit: how many are done, of how many, and k
        of the last one. The references of a batch count as one fit.

    Returns
    -------
    Sweep

    Raises
    ------
    TypeError, ValueError
        As `kmeans_fx.kmeans`, and if ``ks`` do not rise or an option is out of range.

    Notes
    -----
    ``inertia``, the sum of the distances to the centroids, is W_k of [1]_ (equation 2) for
    squared Euclidean distances. References are drawn and clustered as one batch while they
    are not more than 2^24 numbers, else in several. Extra memory is that of the references
    of a batch, and O(m n) for the labels.

    References
    ----------
    .. [1] R. Tibshirani, G. Walther, T. Hastie, "Estimating the number of clusters in a
       data set via the gap statistic", J. R. Statist. Soc. B 63(2), 2001 (equation 3,
       section 3 for the references, section 4 for s_k).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.select import sweep
    >>> x = np.array([[0.0], [1.0], [20.0], [21.0], [40.0], [41.0]])
    >>> found = sweep(x, range(1, 5), key=0)
    >>> found.inertia.round(2)
    array([1.6015e+03, 4.0150e+02, 1.5000e+00, 1.0000e+00])
    """
    xp, x = check_one_problem(x)
    ks = _check_ks(ks, x)
    n_init = check_integer("n_init", n_init, 1)
    references = check_integer("references", references, 0)
    sample_size = check_integer("sample_size", sample_size, 0)
    check_option("reference", reference, ("pca", "uniform"))
    as_metric(metric)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    words = split(as_key(key, xp, device(x)), 3)
    options = {"metric": metric, "max_iter": max_iter, "tol": tol}
    sizes = groups(x, references)
    report = _reporter(callback, ks, 1 + len(sizes))

    fits = []
    for fit in fit_each(x, ks, words[0, :], n_init, weights, options):
        fits.append(fit)
        report(fit)
    inertia = xp.stack([fit.inertia for fit in fits])
    labels = xp.stack([fit.labels for fit in fits])
    nothing = xp.full_like(inertia, xp.nan)
    gap, error, silhouette = nothing, nothing, nothing
    if references:
        box = box_of(x, weights, reference)
        logs = reference_logs(x, ks, words[1, :], box, sizes, n_init, weights, options, report)
        gap, error = gap_of(logs, inertia)
    if sample_size:
        rows, codes, share = _sample(x, labels, weights, sample_size, words[2, :])
        own = "euclidean" if metric == "sqeuclidean" else metric
        silhouette = mean_silhouettes(rows, codes, share, ks[-1], own)
    davies_bouldin, calinski_harabasz = center_scores(x, labels, weights, ks[-1])
    return Sweep(
        xp.asarray(ks, dtype=index_dtype(xp, x), device=device(x)),
        inertia,
        silhouette,
        davies_bouldin,
        calinski_harabasz,
        gap,
        error,
        labels,
        xp.stack([_padded(xp, fit.centroids, ks[-1]) for fit in fits]),
        xp.stack([fit.n_iter for fit in fits]),
        xp.stack([fit.status for fit in fits]),
    )


def _check_ks(ks, x):
    """The numbers of clusters as a tuple of ints."""
    try:
        ks = tuple(ks)
    except TypeError:
        msg = f"ks must be an iterable of integers, got {type(ks).__name__}"
        raise TypeError(msg) from None
    ks = tuple(check_k(k, x) for k in ks)
    if not ks or any(k >= after for k, after in pairwise(ks)):
        msg = f"ks must be one number or more, each larger than the one before, got {ks}"
        raise ValueError(msg)
    return ks


def _reporter(callback, ks, passes):
    """What is called after each fit: it counts them, and tells the caller."""
    done = 0

    def report(fit):
        nonlocal done
        done += 1
        if callback is not None:
            callback(done, passes * len(ks), fit.centroids.shape[-2])

    return report


def _sample(x, labels, weights, size, key):
    """At most so many rows, the same of all labelings (m, n), and their weights."""
    if size >= x.shape[0]:
        return x, labels, weights
    xp = array_namespace(x=x)
    rows = permutation(key, x.shape[0])[:size]
    weights = None if weights is None else xp.take(weights, rows, axis=0)
    return xp.take(x, rows, axis=0), xp.take(labels, rows, axis=1), weights


def _padded(xp, centroids, k):
    """Centroids (k, d), rows of NaN after the last."""
    filler = xp.full(
        (k - centroids.shape[0], centroids.shape[1]),
        xp.nan,
        dtype=centroids.dtype,
        device=device(centroids),
    )
    return xp.concat([centroids, filler], axis=0)
