"""Initial centroids. Every way of choosing rows returns rows of ``x``, bit for bit."""

import math

from kmeans_fx._backend.checks import (
    check_finite,
    check_integer,
    check_k,
    check_points,
    check_weights,
)
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import device
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.segment import segment_stats, take_rows
from kmeans_fx._coreset import choose_kmeans_coreset
from kmeans_fx._ranks import agreed, from_first, ranks_of
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
    "kmeans_coreset",
    "kmeans_parallel",
    "kmeans_plusplus",
    "random_partition",
    "random_points",
]


def random_points(x, k, /, *, key, weights=None, metric="sqeuclidean", reduce=None):
    """Draw k rows without replacement, each in proportion to its weight.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
    weights : array (..., n), optional
    metric : str or Metric
        Not used; every init takes the same arguments.
    reduce : callable, optional
        As for `kmeans`: ``x`` are some of the rows, and the k are drawn from all.

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
    return _chosen_rows(choose_random_points, x, k, key, weights, reduce)


def kmeans_plusplus(
    x,
    k,
    /,
    *,
    key,
    weights=None,
    metric="sqeuclidean",
    n_trials=None,
    trim=0.0,
    reduce=None,
):
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
    reduce : callable, optional
        As for `random_points`; then ``trim`` must be 0.

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
    n_trials, trim = check_integer("n_trials", n_trials, 1), check_trim(trim)
    if trim and reduce is not None:
        msg = f"trim must be 0 with reduce=, where no process sees all rows, got {trim}"
        raise ValueError(msg)
    return _chosen_rows(
        choose_kmeans_plusplus,
        x,
        k,
        key,
        weights,
        reduce,
        metric=metric,
        n_trials=n_trials,
        trim=trim,
    )


def kmeans_parallel(
    x,
    k,
    /,
    *,
    key,
    weights=None,
    metric="sqeuclidean",
    rounds=5,
    oversampling=2.0,
    reduce=None,
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
    reduce : callable, optional
        As for `random_points`.

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
    options = {"metric": metric, "rounds": rounds, "batch": batch}
    return _chosen_rows(choose_kmeans_parallel, x, k, key, weights, reduce, **options)


def check_rounds(k, rounds, oversampling):
    """How often k-means|| draws how many candidates."""
    rounds = check_integer("rounds", rounds, 1)
    if not oversampling > 0:
        msg = f"oversampling must be positive, got {oversampling}"
        raise ValueError(msg)
    batch = max(1, round(oversampling * check_integer("k", k, 1)))
    # At least k candidates in all, or there is nothing to choose from.
    return max(rounds, -(-(k - 1) // batch)), batch


def kmeans_coreset(x, k, /, *, key, weights=None, metric="sqeuclidean", size=None):
    """Greedy k-means++ on a small weighted sample, for very many rows.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
    key : int, array (..., 2) or generator
    weights : array (..., n), optional
    metric : str or Metric
        As for `kmeans_plusplus`.
    size : int, optional
        Rows of the sample, at least k; 10,000 or 100 k, whichever is more, if None.

    Returns
    -------
    array (..., k, d)
        Rows of ``x``; the surplus repeats the first if fewer than k distinct rows
        were drawn.

    Raises
    ------
    TypeError, ValueError
        As `random_points`, and if ``size`` is below k.

    Notes
    -----
    Reads all rows twice, whatever k is: for their mean, and for their distances from it.
    The sample is drawn with replacement, half by weight and half by the weighted squared
    distance from the mean, and its rows weigh the inverse of their probability. With
    c (d k log k + log(1 / delta)) / eps^2 of them, c a constant, the inertia of any k
    centroids on the sample is with probability 1 - delta that on all rows, up to eps / 2
    times the sum of it and of the inertia of one cluster (theorem 2 of [1]_, for squared
    Euclidean distances). With at most ``size`` rows this is `kmeans_plusplus`.

    References
    ----------
    .. [1] O. Bachem, M. Lucic, A. Krause, "Scalable k-means clustering via lightweight
       coresets", KDD 2018 (algorithm 1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans_coreset
    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> kmeans_coreset(x, 3, key=0, size=100).shape
    (3, 2)
    """
    least = check_integer("k", k, 1)
    size = max(10_000, 100 * least) if size is None else check_integer("size", size, least)
    if size >= check_points(x=x)[1].shape[-2]:
        return kmeans_plusplus(x, k, key=key, weights=weights, metric=metric)
    options = {"metric": metric, "size": size}
    return _chosen_rows(choose_kmeans_coreset, x, k, key, weights, None, **options)


def farthest_first(x, k, /, *, key, weights=None, metric="sqeuclidean", reduce=None):
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
    reduce : callable, optional
        As for `random_points`.

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
    return _chosen_rows(choose_farthest_first, x, k, key, weights, reduce, metric=metric)


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
    xp, x, key, weights = _check(x, key, weights)
    k = check_k(k, x)
    labels, spare = choose_random_partition(x, weights, key, k=k)
    rows = widened(x)
    embed = as_metric(metric).embed
    rows = rows if embed is None else embed(rows)
    sums, counts = segment_stats(rows, labels, k, weights)
    stats = ClusterStats(sums, counts, None)
    return xp.astype(cluster_means(xp, stats, take_rows(xp, rows, spare)), x.dtype, copy=False)


INITS = {
    "k-means++": kmeans_plusplus,
    "k-means||": kmeans_parallel,
    "coreset": kmeans_coreset,
    "random": random_points,
    "random-partition": random_partition,
    "farthest-first": farthest_first,
}


def _check(x, key, weights, reduce=None):
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights, of_all=reduce is None)
    check_finite(x=x)
    return xp, x, as_key(key, xp, device(x)), weights


def _chosen_rows(choose, x, k, key, weights, reduce, **options):
    """The rows of all ranks whose numbers a program chooses."""
    _, x, key, weights = agreed(reduce, lambda: _check(x, key, weights, reduce), k=k)
    metric = options.get("metric", "sqeuclidean")
    portable = reduce is not None or metric is as_metric(metric)
    ranks = ranks_of(x, reduce)
    k = check_k(k, x, ranks.n)
    if reduce is not None:
        key, options = from_first(key, reduce), {"reduce": reduce, **options}
    (numbers,) = choose(x, weights, key, portable=portable, k=k, **options)
    return ranks.take(x, numbers)
