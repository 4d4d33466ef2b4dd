"""How well each cluster is found again in samples of the rows, or with noise."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer, check_option
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.random import split
from kmeans_fx.algorithms.kmeans import kmeans
from kmeans_fx.preprocess import standardize
from kmeans_fx.stability._samples import (
    batches,
    bootstrap_weights,
    jaccard_of,
    noisy,
    subsample_weights,
)
from kmeans_fx.stability._shared import alike, checked, shares

__all__ = ["Stability", "bootstrap_stability", "noise_stability"]


class Stability(NamedTuple):
    """How well the clusters of a fit are found again in b refits.

    Attributes
    ----------
    jaccard : array (k,)
        Mean Jaccard similarity of each cluster with the most similar cluster of a refit,
        over the refits that hold rows of it. Hennig's rule of thumb [1]_: below 0.6 do not
        trust it, from 0.75 it is stable, from 0.85 highly so.
    samples : array (b, k)
        The similarity in every refit; NaN where no row of the cluster was drawn.
    matches : integer array (b, k)
        Which cluster of the refit that is.
    agreement : array (b,)
        Adjusted Rand index of the refit with the fit, over the rows in both.
    labels : integer array (n,)
        The fit: the numbers of the clusters.

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", Computational
       Statistics & Data Analysis 52, 2007.
    """

    jaccard: Any
    samples: Any
    matches: Any
    agreement: Any
    labels: Any


def bootstrap_stability(
    x,
    k,
    /,
    *,
    key,
    n_samples=50,
    scheme="bootstrap",
    fraction=0.5,
    n_init=5,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
):
    """How well each cluster is found again in samples of the rows.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters.
    key : int, array (2,) or generator
        Source of all randomness; see `kmeans_fx.kmeans`.
    n_samples : int
        Samples, b, each of which is clustered.
    scheme : {"bootstrap", "subsample"}
        n rows drawn with replacement, or ``fraction`` of the rows without.
    fraction : float
        For "subsample": above 0 and below 1.
    n_init : int
        Starts of every fit.
    weights : array (n,), optional
        Not negative. A row of weight 0 counts as none; each time that a row is drawn it
        brings its weight.
    metric, max_iter, tol
        As for `kmeans_fx.lloyd`.

    Returns
    -------
    Stability

    Raises
    ------
    TypeError, ValueError
        As `kmeans_fx.kmeans`, and if an option is out of range.

    Notes
    -----
    A sample is a weight for every row, so that no row is copied, and samples are clustered
    as one batch while they hold no more than 2^24 weights. A row drawn twice counts once
    in the similarity. Each cluster is compared with the most similar one of the refit
    (section 3 of [1]_), so two clusters may have the same match.

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", Computational
       Statistics & Data Analysis 52, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.stability import bootstrap_stability
    >>> x = np.array([[0.0], [1.0], [2.0], [20.0], [21.0], [22.0]])
    >>> bootstrap_stability(x, 2, key=0, n_samples=10).jaccard >= 0.75
    array([ True,  True])
    """
    check_option("scheme", scheme, ("bootstrap", "subsample"))
    if not 0 < fraction < 1:
        msg = f"fraction must be above 0 and below 1, got {fraction}"
        raise ValueError(msg)
    xp, x, k, weights, words = checked(x, k, weights, key)
    size = max(k, round(fraction * x.shape[0]))
    options = {"metric": metric, "max_iter": max_iter, "tol": tol, "n_init": n_init}

    def refit(draws, fits):
        if scheme == "bootstrap":
            sample = bootstrap_weights(draws, x, weights)
        else:
            sample = subsample_weights(draws, x, weights, size)
        there = xp.astype(sample > 0, sample.dtype)
        fit = kmeans(x, k, key=fits, weights=sample, **options)
        return fit.labels, there if weights is None else there * weights

    return _stability(x, k, words, n_samples, weights, options, refit, x.shape[0])


def noise_stability(
    x,
    k,
    /,
    *,
    key,
    scale=0.1,
    n_samples=50,
    n_init=5,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
):
    """How well each cluster is found again when noise is added to the rows.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters.
    key : int, array (2,) or generator
        Source of all randomness; see `kmeans_fx.kmeans`.
    scale : float
        Standard deviation of the normal noise, in units of that of each column: such as
        the error of measurement.
    n_samples : int
        Noisy copies of the rows, b, each of which is clustered.
    n_init : int
        Starts of every fit.
    weights : array (n,), optional
        Not negative. A row of weight 0 counts as none; the copies that a weight stands
        for have the same noise.
    metric, max_iter, tol
        As for `kmeans_fx.lloyd`.

    Returns
    -------
    Stability

    Raises
    ------
    TypeError, ValueError
        As `kmeans_fx.kmeans`, and if ``scale`` is not positive.

    Notes
    -----
    The noisy copies are clustered as one batch while they are not more than 2^24 numbers.
    The similarity is that of `bootstrap_stability`, over all rows ([1]_, section 3.3).

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", Computational
       Statistics & Data Analysis 52, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.stability import noise_stability
    >>> x = np.array([[0.0], [1.0], [2.0], [20.0], [21.0], [22.0]])
    >>> noise_stability(x, 2, key=0, n_samples=10).jaccard
    array([1., 1.])
    """
    if not scale > 0:
        msg = f"scale must be positive, got {scale}"
        raise ValueError(msg)
    xp, x, k, weights, words = checked(x, k, weights, key)
    options = {"metric": metric, "max_iter": max_iter, "tol": tol, "n_init": n_init}
    deviation = scale * standardize(x, weights=weights)[1].scale[0, :]
    everything = shares(xp, x, weights)

    def refit(draws, fits):
        fit = kmeans(noisy(draws, x, deviation), k, key=fits, weights=weights, **options)
        return fit.labels, everything

    return _stability(x, k, words, n_samples, weights, options, refit, x.shape[0] * x.shape[1])


def _stability(x, k, words, n_samples, weights, options, refit, size):
    """The Stability over refits: ``refit(draw keys, key)`` gives labels and weights (b, n)."""
    xp, pair = array_namespace(x=x), split(words)
    n_samples = check_integer("n_samples", n_samples, 1)
    labels = kmeans(x, k, key=words, weights=weights, **options).labels
    parts = []
    for draws in batches(split(pair[0, :], n_samples), size):
        others, there = refit(draws, pair[1, :])
        found = jaccard_of(labels, others, k, there)
        parts.append((*found, alike(labels, others, k, there, x)))
    samples, matches, agreement = (xp.concat(part, axis=0) for part in zip(*parts, strict=True))
    seen = ~xp.isnan(samples)
    total = xp.sum(xp.where(seen, samples, xp.zeros_like(samples)), axis=0)
    count = xp.sum(xp.astype(seen, samples.dtype), axis=0)
    jaccard = xp.where(count > 0, total / xp.where(count > 0, count, 1.0), xp.nan)
    return Stability(jaccard, samples, matches, agreement, labels)
