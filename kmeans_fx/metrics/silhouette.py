"""Silhouettes: how much nearer a row is to its own cluster than to the next one."""

from kmeans_fx._backend.checks import check_integer, check_labels, check_points
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key, permutation
from kmeans_fx._ranks import total
from kmeans_fx.distances import as_metric
from kmeans_fx.metrics._clusters import checked, refuse_trivial
from kmeans_fx.metrics._silhouettes import all_silhouettes, centroid_silhouettes

__all__ = ["silhouette_samples", "silhouette_score", "simplified_silhouette_score"]


def silhouette_samples(x, labels, /, *, metric="euclidean", k=None, weights=None, reduce=None):
    """Silhouette of every row: (b - a) / max(a, b).

    a is the mean distance to the other rows of its cluster, b that to the rows of the
    nearest other cluster.

    Parameters
    ----------
    x : array (..., n, d)
    labels : integer array (..., n)
        Any integers. Under jit or vmap, and whenever ``k`` is given: 0 to ``k`` - 1.
    metric : str or Metric
    k : int, optional
        A static number of clusters. Found by sorting if None, for which the labels must
        be readable.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out. These are numbers of
        copies: a common factor means more rows, which changes a a little.
    reduce : callable, optional
        As for `lloyd`: each process holds some of the rows, and their labels. It must
        have a ``rank`` and a ``size`` unless the metric is "sqeuclidean" or "cosine".

    Returns
    -------
    array (..., n)
        From -1 to 1; 0 for a row that is alone in its cluster, or has weight 0. In the
        accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or there
        are not 2 to n - 1 clusters. Where the labels are traced, NaN says the latter.

    Notes
    -----
    "sqeuclidean" and "cosine" take O(n k d): the mean squared distance to a cluster
    follows from its mean and its variance. Other metrics take all n^2 distances, in
    blocks: "euclidean" by products of blocks, in the order of their labels and centred on
    their own rows. Squared distances are exact up to some roundings of the squared size of
    a block, which is that of a cluster, unless the block holds parts of two: in float32
    clusters 1000 times as far apart as they are wide ask for float64.

    Rows that lie on several devices or processes stay there. For all distances one block of
    them at a time is sent to all, and its sums of distances are added up.

    Differentiable in ``x`` and ``weights``, with the n^2 distances held for reverse mode.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", J. Comput. Appl. Math. 20, 1987 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import silhouette_samples
    >>> silhouette_samples(np.array([[0.0], [1.0], [9.0], [9.5]]), np.array([0, 0, 1, 1]))
    array([0.89189189, 0.87878788, 0.94117647, 0.94444444])
    """
    measure = as_metric(metric)
    clustering = checked(x, labels, k, weights, None, reduce)
    portable = metric is measure or reduce is not None
    run = {"metric": metric, "reduce": reduce, "portable": portable}
    (samples,) = all_silhouettes(*clustering[:3], k=clustering.k, **run)
    return refuse_trivial(clustering, samples)


def silhouette_score(
    x,
    labels,
    /,
    *,
    metric="euclidean",
    sample_size=None,
    key=None,
    k=None,
    weights=None,
    reduce=None,
):
    """Mean silhouette of the rows; see `silhouette_samples`.

    Parameters
    ----------
    x : array (..., n, d)
    labels : integer array (..., n)
        Any integers. Under jit or vmap, and whenever ``k`` is given: 0 to ``k`` - 1.
    metric : str or Metric
    sample_size : int, optional
        Take so many rows, drawn without replacement, as if there were no others.
    key : int, integer array (2,), jax.random.key, numpy.random.Generator or torch.Generator
        Needed for ``sample_size``.
    k : int, optional
        A static number of clusters, for jit; see `silhouette_samples`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    reduce : callable, optional
        As for `silhouette_samples`; without ``sample_size``.

    Returns
    -------
    array (...)
        From -1 to 1. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, there are
        not 2 to n - 1 clusters (of the sample), or ``key`` is missing.

    Notes
    -----
    Differentiable in ``x`` and ``weights``; see `silhouette_samples` for costs.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", J. Comput. Appl. Math. 20, 1987 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import silhouette_score
    >>> x = np.array([[0.0], [1.0], [9.0], [9.5]])
    >>> round(float(silhouette_score(x, np.array([0, 0, 1, 1]))), 6)
    0.914075
    """
    if sample_size is not None:
        if reduce is not None:
            msg = "sample_size must be None with reduce="
            raise ValueError(msg)
        x, labels, weights = _sample(x, labels, weights, sample_size, key)
    samples = silhouette_samples(x, labels, metric=metric, k=k, weights=weights, reduce=reduce)
    return weighted_mean(samples, weights, reduce)


def simplified_silhouette_score(
    x, labels, /, *, centroids=None, metric="euclidean", k=None, weights=None, reduce=None
):
    """Mean silhouette with distances to centroids in place of those to rows: O(n k).

    a is the distance to the own centroid, b that to the nearest other one.

    Parameters
    ----------
    x : array (..., n, d)
    labels : integer array (..., n)
        Any integers. Under jit or vmap, and whenever ``k`` or ``centroids`` are given:
        0 to ``k`` - 1.
    centroids : array (..., k, d), optional
        The centres of the clusters in the metric if None.
    metric : str or Metric
    k : int, optional
        A static number of clusters, for jit; see `silhouette_samples`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    reduce : callable, optional
        As for `lloyd`: each process holds some of the rows, and their labels.

    Returns
    -------
    array (...)
        From -1 to 1, and from 0 where every row has the nearest centroid. In the
        accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or there
        are not 2 to n - 1 clusters.

    Notes
    -----
    Differentiable in ``x``, ``centroids`` and ``weights``.

    References
    ----------
    .. [1] E. R. Hruschka, R. J. G. B. Campello, L. N. de Castro, "Evolving clusters in
       gene-expression data", Information Sciences 176, 2006 (section 3).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import simplified_silhouette_score
    >>> x = np.array([[0.0], [1.0], [9.0], [9.5]])
    >>> round(float(simplified_silhouette_score(x, np.array([0, 0, 1, 1]))), 6)
    0.957038
    """
    measure = as_metric(metric)
    clustering = checked(x, labels, k, weights, centroids, reduce)
    portable = metric is measure or reduce is not None
    run = {"metric": metric, "reduce": reduce, "portable": portable}
    (samples,) = centroid_silhouettes(*clustering[:4], k=clustering.k, **run)
    return weighted_mean(refuse_trivial(clustering, samples), clustering.weights, reduce)


def weighted_mean(samples, weights, reduce=None):
    """Mean over the rows (..., n)."""
    xp = array_namespace(samples=samples)
    if weights is None and reduce is None:
        return xp.mean(samples, axis=-1)
    weights = xp.ones_like(samples) if weights is None else weights
    weights = xp.astype(weights, samples.dtype, copy=False)
    sums = (xp.sum(samples * weights, axis=-1), xp.sum(weights, axis=-1))
    if reduce is not None:
        sums = total(xp.stack([sums[0], sums[1] * xp.ones_like(sums[0])], axis=-1), reduce)
        sums = (sums[..., 0], sums[..., 1])
    return sums[0] / sums[1]


def _sample(x, labels, weights, size, key):
    """The rows of a random choice, and what goes with them."""
    xp, x = check_points(x=x)
    labels = check_labels(xp, x, labels)
    array_namespace(x=x, weights=weights)
    size = check_integer("sample_size", size, 1)
    if size > x.shape[-2]:
        msg = f"sample_size must be at most the number of rows, {x.shape[-2]}, got {size}"
        raise ValueError(msg)
    if key is None:
        msg = "key must be given for sample_size, got None"
        raise ValueError(msg)
    rows = permutation(as_key(key, xp, device(x)), x.shape[-2])[:size]
    weights = None if weights is None else xp.take(weights, rows, axis=-1)
    return xp.take(x, rows, axis=-2), xp.take(labels, rows, axis=-1), weights
