"""Bisecting k-means: one cluster, of which again and again one is split in two."""

from functools import partial
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_finite,
    check_integer,
    check_k,
    check_option,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx._result import KMeansResult, attach_gradients
from kmeans_fx.algorithms._bisection import root, split_leaf
from kmeans_fx.algorithms._options import Options, check_options
from kmeans_fx.distances import as_metric

__all__ = ["BisectingResult", "bisecting_kmeans"]


class BisectingResult(NamedTuple):
    """A tree of clusters: nodes 0 to k - 1 are the clusters, node k + i is ``children[i]``.

    Attributes
    ----------
    centroids : array (..., k, d)
        Of the clusters, in the dtype of ``x``.
    labels : integer array (..., n)
        The cluster to which the splits led every row.
    inertia : array (...)
        Weighted sum of the distances to the centroids of the labels, in the accumulation
        dtype.
    n_iter : integer array (..., k - 1)
        Iterations of every split, in the order of ``children``.
    status : integer array (...)
        See `describe`; CONVERGED if every split was.
    children : integer array (..., k - 1, 2)
        The two nodes that every split made, the last split first: node 2 k - 2, the last
        one, holds all rows. Nodes are numbered as in scipy's ``linkage``.
    node_inertia, node_weight : array (..., 2 k - 1)
        Inertia and total weight of every node.
    """

    centroids: Any
    labels: Any
    inertia: Any
    n_iter: Any
    status: Any
    children: Any
    node_inertia: Any
    node_weight: Any


@program("nd n w", "kd n:index . m:index .:index mp:index q q")
def _bisecting_fit(x, weights, key, *, k, m, p, q, by, n_init, **fields):
    """All splits as one operation; m, p and q are k - 1, 2 and 2 k - 1."""
    del m, p, q
    options = Options(**fields)
    xp = array_namespace(x=x)
    tree = root(x, weights, key, k, options)
    if k > 1:
        tree = while_loop(
            lambda tree: tree.turn < k - 1,
            partial(split_leaf, x, weights, key, by=by, n_init=n_init, options=options),
            tree,
            max_steps=k - 1,
        )
    return (
        tree.centroids,
        tree.labels,
        xp.sum(tree.inertia[..., :k], axis=-1),
        tree.n_iter,
        tree.status,
        tree.children,
        tree.inertia,
        tree.weight,
    )


def bisecting_kmeans(
    x,
    k,
    /,
    *,
    key,
    split="inertia",
    n_init=1,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    chunk_size=None,
):
    """Bisecting k-means: split one cluster in two by k-means, until there are k.

    Parameters
    ----------
    x : array (..., n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters, from 1 to n.
    key : int, array (..., 2) or generator
        Source of all randomness, as for `kmeans`.
    split : {"inertia", "size"}
        Which cluster is split next: that of the largest inertia, or of the largest
        weight, of those whose rows are not all equal.
    n_init : int
        Starts by k-means++ of every split, of which the best is kept.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, max_iter, tol, chunk_size
        As for `lloyd`, for every split.

    Returns
    -------
    BisectingResult

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and for ``split``.

    Notes
    -----
    Labels are those of the tree: a row may lie nearer to the centroid of another branch.
    ``lloyd(x, result.centroids)`` goes on from there, without a tree.

    The shapes do not depend on the data, so every split goes over all rows, those of
    other clusters with weight 0: k - 1 times the work of `kmeans` with two clusters.

    With fewer than k distinct rows some clusters are empty: their centroid is that of
    another one, and their weight 0.

    Differentiable as `lloyd` is, in ``centroids`` and ``inertia``, with the tree as it is.

    References
    ----------
    .. [1] M. Steinbach, G. Karypis, V. Kumar, "A comparison of document clustering
       techniques", KDD Workshop on Text Mining, 2000 (section 4).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import bisecting_kmeans
    >>> x = np.array([[0.0], [1.0], [10.0], [13.0]])
    >>> result = bisecting_kmeans(x, 3, key=0)
    >>> float(result.inertia)
    0.5
    >>> result.node_inertia[result.children].sum(axis=-1)
    array([0., 5.])
    """
    check_option("split", split, ("inertia", "size"))
    xp, x = check_points(x=x)
    k, n_init = check_k(k, x), check_integer("n_init", n_init, 1)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    words = as_key(key, xp, device(x))
    options = check_options(
        x, metric, max_iter, tol, "farthest", key, "lloyd", chunk_size, None, None, False
    )
    sizes = {"k": k, "m": k - 1, "p": 2, "q": 2 * k - 1}
    outputs = _bisecting_fit(
        x,
        weights,
        words,
        portable=options.portable,
        by=split,
        n_init=n_init,
        **sizes,
        **options.crossing(),
    )
    return _as_result(x, weights, outputs, as_metric(metric))


def _as_result(x, weights, outputs, metric):
    """The result, with its derivatives."""
    centroids, labels, inertia, n_iter, status, *tree = outputs
    centroids = array_namespace(x=x).astype(centroids, x.dtype, copy=False)
    flat = KMeansResult(centroids, labels, inertia, n_iter, status, history=None)
    flat = attach_gradients(x, weights, flat.labels, flat, metric, None)
    children, node_inertia, node_weight = tree
    return BisectingResult(
        flat.centroids,
        labels,
        flat.inertia,
        n_iter,
        status,
        children,
        node_inertia,
        node_weight,
    )
