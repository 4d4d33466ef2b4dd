"""Scores of the clusters from sums over the rows: O(n d) beyond the centres."""

from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.distances import as_metric
from kmeans_fx.metrics._clusters import checked, in_range, refuse_trivial
from kmeans_fx.metrics._sums import calinski_harabasz, cluster_sums, davies_bouldin, quotient

__all__ = [
    "ClusterTable",
    "calinski_harabasz_score",
    "cluster_table",
    "davies_bouldin_score",
    "inertia",
]


class ClusterTable(NamedTuple):
    """What every cluster holds.

    Attributes
    ----------
    size : array (..., k)
        Total weight: the number of rows where no weights are given.
    inertia : array (..., k)
        Weighted sum of the distances to the centroid.
    mean_distance : array (..., k)
        ``inertia / size``; 0 for an empty cluster.
    """

    size: Any
    inertia: Any
    mean_distance: Any


def inertia(
    x, labels, /, *, centroids=None, metric="sqeuclidean", k=None, weights=None, reduce=None
):
    """Weighted sum of the distances of the rows to the centroids of their labels.

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
        Not negative. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device.

    Notes
    -----
    Differentiable in ``x``, ``centroids`` and ``weights``.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import inertia
    >>> float(inertia(np.array([[0.0], [2.0], [9.0]]), np.array([0, 0, 1])))
    2.0
    """
    options = {"centroids": centroids, "metric": metric, "k": k, "weights": weights}
    table = cluster_table(x, labels, **options, reduce=reduce)
    return array_namespace(x=x).sum(table.inertia, axis=-1)


def cluster_table(
    x, labels, /, *, centroids=None, metric="sqeuclidean", k=None, weights=None, reduce=None
):
    """Size, inertia and mean distance of every cluster.

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
    ClusterTable
        Of the distinct labels in ascending order, or of 0 to ``k`` - 1. NaN where traced
        labels are none of these.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device.

    Notes
    -----
    Differentiable in ``x``, ``centroids`` and ``weights``.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import cluster_table
    >>> table = cluster_table(np.array([[0.0], [2.0], [9.0]]), np.array([0, 0, 1]))
    >>> table.size, table.inertia
    (array([2., 1.]), array([2., 0.]))
    """
    measure = as_metric(metric)
    clustering = checked(x, labels, k, weights, centroids, reduce)
    portable = metric is measure or reduce is not None
    run = {"metric": metric, "reduce": reduce, "portable": portable}
    size, total = cluster_sums(*clustering[:4], k=clustering.k, **run)
    table = ClusterTable(size, total, quotient(total, size))
    return ClusterTable(*(in_range(clustering, field) for field in table))


def davies_bouldin_score(x, labels, /, *, k=None, weights=None, reduce=None):
    """Mean over the clusters of their likeness to the most similar other one; low is good.

    The likeness of two clusters is the sum of their mean Euclidean distances to the
    centroid, over the distance of the centroids.

    Parameters
    ----------
    x : array (..., n, d)
    labels : integer array (..., n)
        Any integers. Under jit or vmap, and whenever ``k`` is given: 0 to ``k`` - 1.
    k : int, optional
        A static number of clusters, for jit; see `silhouette_samples`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    reduce : callable, optional
        As for `lloyd`: each process holds some of the rows, and their labels.

    Returns
    -------
    array (...)
        Not negative; 0 if all rows are centroids. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or there
        are not 2 to n - 1 clusters.

    Notes
    -----
    Differentiable in ``x`` and ``weights``.

    References
    ----------
    .. [1] D. L. Davies, D. W. Bouldin, "A cluster separation measure", IEEE TPAMI 1,
       1979 (definitions 4 and 5).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import davies_bouldin_score
    >>> x = np.array([[0.0], [2.0], [9.0], [9.0]])
    >>> float(davies_bouldin_score(x, np.array([0, 0, 1, 1])))
    0.125
    """
    clustering = checked(x, labels, k, weights, None, reduce)
    run = {"k": clustering.k, "reduce": reduce, "portable": reduce is not None}
    (result,) = davies_bouldin(*clustering[:3], **run)
    return refuse_trivial(clustering, result)


def calinski_harabasz_score(x, labels, /, *, k=None, weights=None, reduce=None):
    """Dispersion between the clusters over that within, each by its degrees of freedom.

    Parameters
    ----------
    x : array (..., n, d)
    labels : integer array (..., n)
        Any integers. Under jit or vmap, and whenever ``k`` is given: 0 to ``k`` - 1.
    k : int, optional
        A static number of clusters, for jit; see `silhouette_samples`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    reduce : callable, optional
        As for `lloyd`: each process holds some of the rows, and their labels.

    Returns
    -------
    array (...)
        Not negative, high is good; 1 if all rows are centroids. In the accumulation
        dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or there
        are not 2 to n - 1 clusters.

    Notes
    -----
    Differentiable in ``x`` and ``weights``.

    References
    ----------
    .. [1] T. Calinski, J. Harabasz, "A dendrite method for cluster analysis",
       Communications in Statistics 3, 1974 (the variance ratio criterion).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import calinski_harabasz_score
    >>> x = np.array([[0.0], [2.0], [9.0], [9.0]])
    >>> float(calinski_harabasz_score(x, np.array([0, 0, 1, 1])))
    64.0
    """
    clustering = checked(x, labels, k, weights, None, reduce)
    run = {"k": clustering.k, "reduce": reduce, "portable": reduce is not None}
    (result,) = calinski_harabasz(*clustering[:3], **run)
    return refuse_trivial(clustering, result)
