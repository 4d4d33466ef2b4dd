"""Initial centroids. Every way of choosing rows returns rows of ``x``, bit for bit."""

import math

from kmeans_fx._backend.checks import (
    check_finite,
    check_integer,
    check_k,
    check_points,
    check_weights,
)
from kmeans_fx._backend.namespace import accumulation_dtype, device
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.segment import segment_stats, take_rows
from kmeans_fx._sampling import (
    choose_farthest_first,
    choose_kmeans_parallel,
    choose_kmeans_plusplus,
    choose_random_partition,
    choose_random_points,
)
from kmeans_fx._trimming import check_trim
from kmeans_fx.distances import as_metric
from kmeans_fx.update import ClusterStats, cluster_means

__all__ = [
    "INITS",
    "check_rounds",
    "farthest_first",
    "kmeans_parallel",
    "kmeans_plusplus",
    "random_partition",
    "random_points",
]


def random_points(x, k, /, *, key, weights=None, metric="sqeuclidean"):
    """Draw k rows without replacement, each in proportion to its weight.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
    weights : array (..., n), optional
    metric : str or Metric
        Not used; every init takes the same arguments.

    Returns
    -------
    array (..., k, d)
        Rows of ``x``, no two equal while there are k distinct rows of positive
        weight; the surplus repeats the first.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or k
        is not from 1 to n; in an eager call also if a value is not finite, or the
        weights are negative or sum to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import random_points
    >>> random_points(np.array([[1.0], [1.0], [2.0]]), 2, key=0).shape
    (2, 1)
    """
    del metric
    return _chosen_rows(choose_random_points, x, k, key, weights)


def kmeans_plusplus(x, k, /, *, key, weights=None, metric="sqeuclidean", n_trials=None, trim=0.0):
    """Greedy k-means++: D-squared sampling, keeping the best of a few trials each time.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
    weights : array (..., n), optional
    metric : str or Metric
        Rows are drawn in proportion to the squared Euclidean distance, between
        directions for "cosine"; to the distance itself for "manhattan" and a Metric
        without ``embed``.
    n_trials : int, optional
        Candidates per centroid; 2 + floor(ln k) if None. 1 is plain k-means++.
    trim : float
        Share of the weight, below 1, that is left out of each draw: that of the rows
        farthest from those drawn so far, among which outliers are. The first row is the
        most central one of its trials.

    Returns
    -------
    array (..., k, d)
        Rows of ``x``, no two equal while there are k distinct rows of positive
        weight; the surplus repeats the first.

    Raises
    ------
    TypeError, ValueError
        As `random_points`.

    Notes
    -----
    The same key draws the same rows on every backend, up to rounding at near-ties.
    With ``n_trials=1`` the expected inertia is at most 8 (ln k + 2) times the optimum
    (theorem 1.1 of [1]_).

    References
    ----------
    .. [1] D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful
       seeding", SODA 2007 (section 2.2; the greedy form is in the conclusion).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans_plusplus
    >>> x = np.array([[0.0], [0.1], [9.0]])
    >>> sorted(kmeans_plusplus(x, 2, key=0)[:, 0].round().tolist())
    [0.0, 9.0]
    """
    if n_trials is None:
        n_trials = 2 + int(math.log(max(check_integer("k", k, 1), 1)))
    n_trials = check_integer("n_trials", n_trials, 1)
    return _chosen_rows(
        choose_kmeans_plusplus,
        x,
        k,
        key,
        weights,
        metric=metric,
        n_trials=n_trials,
        trim=check_trim(trim),
    )


def kmeans_parallel(
    x, k, /, *, key, weights=None, metric="sqeuclidean", rounds=5, oversampling=2.0
):
    """k-means||: a few rounds of many candidates, then weighted k-means++ among them.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
    weights : array (..., n), optional
    metric : str or Metric
        As for `kmeans_plusplus`.
    rounds : int
        Passes over the rows that draw candidates.
    oversampling : float
        Candidates per round, in units of k.

    Returns
    -------
    array (..., k, d)
        Rows of ``x``; the surplus repeats the first if fewer than k distinct rows
        were drawn.

    Raises
    ------
    TypeError, ValueError
        As `random_points`.

    Notes
    -----
    Every round draws exactly ``oversampling * k`` rows by D-squared sampling, so that
    shapes are fixed; the paper draws that many in expectation. Candidates weigh as
    much as the rows nearest to them.

    References
    ----------
    .. [1] B. Bahmani, B. Moseley, A. Vattani, R. Kumar, S. Vassilvitskii, "Scalable
       k-means++", VLDB 2012 (algorithm 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans_parallel
    >>> kmeans_parallel(np.array([[0.0], [0.1], [9.0]]), 2, key=0).shape
    (2, 1)
    """
    rounds, batch = check_rounds(k, rounds, oversampling)
    return _chosen_rows(
        choose_kmeans_parallel, x, k, key, weights, metric=metric, rounds=rounds, batch=batch
    )


def check_rounds(k, rounds, oversampling):
    """How often k-means|| draws how many candidates."""
    rounds = check_integer("rounds", rounds, 1)
    if not oversampling > 0:
        msg = f"oversampling must be positive, got {oversampling}"
        raise ValueError(msg)
    batch = max(1, round(oversampling * check_integer("k", k, 1)))
    # At least k candidates in all, or there is nothing to choose from.
    return max(rounds, -(-(k - 1) // batch)), batch


def farthest_first(x, k, /, *, key, weights=None, metric="sqeuclidean"):
    """Farthest-first traversal: each next centroid is the row farthest from all before.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
        For the first row, drawn in proportion to the weights.
    weights : array (..., n), optional
        Beyond the first row, only whether a weight is 0 matters.
    metric : str or Metric

    Returns
    -------
    array (..., k, d)
        Rows of ``x``; the surplus repeats the first if there are fewer than k
        distinct rows of positive weight.

    Raises
    ------
    TypeError, ValueError
        As `random_points`.

    Notes
    -----
    The largest radius is at most twice the optimum of the k-centre problem
    (theorem 2.2 of [1]_). Outliers are taken first: for k-means prefer
    `kmeans_plusplus`. Ties go to the first row.

    References
    ----------
    .. [1] T. F. Gonzalez, "Clustering to minimize the maximum intercluster
       distance", Theoretical Computer Science 38, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import farthest_first
    >>> farthest_first(np.array([[0.0], [5.0], [9.0]]), 3, key=0).shape
    (3, 1)
    """
    return _chosen_rows(choose_farthest_first, x, k, key, weights, metric=metric)


def random_partition(x, k, /, *, key, weights=None, metric="sqeuclidean"):
    """The means of k random groups of rows.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
    weights : array (..., n), optional
    metric : str or Metric
        One whose centre follows from the mean.

    Returns
    -------
    array (..., k, d)
        A group that stays empty gives a random row.

    Raises
    ------
    TypeError, ValueError
        As `random_points`.

    Notes
    -----
    All centroids lie near the overall mean. Differentiable in ``x`` and ``weights``.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import random_partition
    >>> random_partition(np.array([[0.0], [5.0], [9.0]]), 2, key=0).shape
    (2, 1)
    """
    xp, x, k, key, weights = _check(x, k, key, weights)
    labels, spare = choose_random_partition(x, weights, key, k=k)
    rows = xp.astype(x, accumulation_dtype(xp, x.dtype), copy=False)
    embed = as_metric(metric).embed
    rows = rows if embed is None else embed(rows)
    sums, counts = segment_stats(rows, labels, k, weights)
    stats = ClusterStats(sums, counts, None)
    return xp.astype(cluster_means(xp, stats, take_rows(xp, rows, spare)), x.dtype, copy=False)


INITS = {
    "k-means++": kmeans_plusplus,
    "k-means||": kmeans_parallel,
    "random": random_points,
    "random-partition": random_partition,
    "farthest-first": farthest_first,
}


def _check(x, k, key, weights):
    xp, x = check_points(x=x)
    k = check_k(k, x)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    return xp, x, k, as_key(key, xp, device(x)), weights


def _chosen_rows(choose, x, k, key, weights, **options):
    """The rows of ``x`` whose indices a program chooses."""
    xp, x, k, key, weights = _check(x, k, key, weights)
    metric = options.get("metric", "sqeuclidean")
    portable = metric is as_metric(metric)
    (indices,) = choose(x, weights, key, portable=portable, k=k, **options)
    return take_rows(xp, x, indices)
