"""k-means for very many clusters: k-means, and k-means again inside of every cluster."""

from itertools import accumulate, pairwise
from math import isqrt

from kmeans_fx._backend.checks import (
    check_integer,
    check_k,
    check_one_problem,
    check_weights,
)
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.random import as_key, split
from kmeans_fx._backend.segment import segment_sum
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx.algorithms.kmeans import kmeans
from kmeans_fx.algorithms.lloyd import lloyd

__all__ = ["two_level_kmeans"]


def two_level_kmeans(
    x,
    k,
    /,
    *,
    key,
    n_coarse=None,
    refine=1,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    chunk_size=None,
):
    """k-means for very many clusters, in two levels.

    The rows are clustered coarsely, the rows of every coarse cluster again, and the
    centroids of all are refined together.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster.
    k : int
        Number of clusters, from 1 to the number of rows of positive weight.
    key : int, array (2,) or generator
        Source of all randomness, as for `kmeans`.
    n_coarse : int, optional
        Coarse clusters, from 1 to k; the root of k if None.
    refine : int
        Most iterations of Lloyd's algorithm over all rows and clusters at the end, at
        least 1.
    weights : array (n,), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, max_iter, tol, chunk_size
        As for `lloyd`, of every fit of the two levels; all but ``max_iter`` also of the
        refinement.

    Returns
    -------
    KMeansResult
        Of the refinement: labels and inertia are those of the centroids, over all k.

    Raises
    ------
    TypeError, ValueError
        As `kmeans`; if ``x`` is not a single problem, or the call is traced: the coarse
        clusters have as many rows as they have.

    Notes
    -----
    An iteration of the levels costs about ``2 n sqrt(k) d`` operations in place of
    ``n k d``, and so does seeding; every iteration of the refinement, and the labels at
    the end, cost ``n k d``. Beyond the result there are the rows of one coarse cluster
    at a time and what `kmeans` needs for them. Coarse clusters get clusters in
    proportion to their weight.

    The result is somewhat worse than that of `kmeans`, which can move a centroid
    anywhere. On JAX every coarse cluster has a shape of its own to compile for.

    Differentiable as `lloyd` is.

    References
    ----------
    .. [1] D. Nister, H. Stewenius, "Scalable recognition with a vocabulary tree", CVPR
       2006 (section 3: hierarchical k-means).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import two_level_kmeans
    >>> x = np.random.default_rng(0).random((2000, 2))
    >>> result = two_level_kmeans(x, 100, key=0)
    >>> result.centroids.shape, bool(result.inertia < 6)
    ((100, 2), True)
    """
    xp, x = check_one_problem(x)
    k, refine = check_k(k, x), check_integer("refine", refine, 1)
    n_coarse = isqrt(k) if n_coarse is None else check_integer("n_coarse", n_coarse, 1)
    if n_coarse > k:
        msg = f"n_coarse must be at most k = {k}, got {n_coarse}"
        raise ValueError(msg)
    if not is_concrete(x):
        msg = "two_level_kmeans needs an eager call: x is traced"
        raise ValueError(msg)
    weights = check_weights(xp, x, weights)
    keys = split(as_key(key, xp, device(x)), n_coarse + 1)
    fine = {"metric": metric, "max_iter": max_iter, "tol": tol, "chunk_size": chunk_size}
    coarse = kmeans(x, n_coarse, key=keys[n_coarse, :], weights=weights, **fine)
    centroids = [
        kmeans(rows, share, key=keys[j, :], weights=mass, **fine).centroids
        for j, (rows, mass, share) in enumerate(_cells(x, coarse.labels, weights, n_coarse, k))
        if share
    ]
    options = {**fine, "max_iter": refine}
    return lloyd(x, xp.concat(centroids, axis=0), weights=weights, **options)


def _cells(x, labels, weights, n_coarse, k):
    """Rows and weights of every coarse cluster, and how many clusters it gets."""
    xp = array_namespace(x=x)
    ones = xp.ones(x.shape[:1], dtype=accumulation_dtype(xp, x.dtype), device=device(x))
    mass = ones if weights is None else weights
    # Rows of weight 0 come last, in a cluster of their own.
    labels = xp.where(mass > 0, labels, xp.full_like(labels, n_coarse))
    columns = xp.stack([ones, mass], axis=-1)
    totals = segment_sum(columns, labels, n_coarse + 1)
    sizes = [int(totals[j, 0]) for j in range(n_coarse)]
    shares = _shares(sizes, [float(totals[j, 1]) for j in range(n_coarse)], k)
    order = xp.argsort(labels, stable=True)
    for (start, stop), share in zip(pairwise(accumulate(sizes, initial=0)), shares, strict=True):
        rows = order[start:stop]
        own = None if weights is None else xp.take(weights, rows, axis=0)
        yield xp.take(x, rows, axis=0), own, share


def _shares(sizes, masses, k):
    """Clusters for every cell: in proportion to its mass, from 1 (0 if empty) to its size."""
    if sum(sizes) < k:
        msg = f"k must be at most the number of rows of positive weight, {sum(sizes)}, got {k}"
        raise ValueError(msg)
    ideal = [k * mass / sum(masses) for mass in masses]
    shares = [min(max(int(part), 1), size) for part, size in zip(ideal, sizes, strict=True)]
    while (missing := k - sum(shares)) != 0:
        step = 1 if missing > 0 else -1
        free = [j for j, size in enumerate(sizes) if min(1, size) <= shares[j] + step <= size]
        nearest = max(free, key=lambda j: step * (ideal[j] - shares[j]))
        shares[nearest] += step
    return shares
