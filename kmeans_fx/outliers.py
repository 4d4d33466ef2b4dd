"""How far from usual every row is within its cluster, and from where on it is an outlier."""

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_labels,
    check_points,
    check_weights,
)
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, as_real
from kmeans_fx._backend.segment import take_rows
from kmeans_fx.algorithms.trimmed import TrimmedResult
from kmeans_fx.assign import assign
from kmeans_fx.distances import as_metric, weighted_median
from kmeans_fx.preprocess._columns import column_mean, percentiles

__all__ = ["anomaly_scores", "anomaly_threshold"]

# Make the median absolute deviation, and the mean one, those of a normal distribution's
# standard deviation.
_MEDIAN, _MEAN = 1.482602218505602, 1.2533141373155003


def anomaly_scores(x, result, /, *, weights=None, metric="sqeuclidean"):
    """Distance of every row to its centroid, standardised within its cluster.

    How many (robust) standard deviations the distance is above the cluster's median, so
    that the scores of wide and of narrow clusters can be compared.

    Parameters
    ----------
    x : array (..., n, d)
        The rows of the fit.
    result : KMeansResult or TrimmedResult
        Its centroids and labels are used. Rows labelled -1, which a trimmed fit left out,
        are held against their nearest centroid, and leave the medians alone.
    weights : array (..., n), optional
        Those of the fit: weight m counts a row m times in the medians, weight 0 not at
        all.
    metric : str or Metric
        That of the fit. The distance is Euclidean for "sqeuclidean".

    Returns
    -------
    array (..., n)
        In the accumulation dtype of ``x``. Negative for a row nearer than usual.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device; in an
        eager call also if a value is not finite, or the weights are negative or sum to
        zero.

    Notes
    -----
    ``(distance - median) / (1.4826 MAD)``, with the median and the median absolute
    deviation of the cluster's distances [1]_: half of the rows may be outliers before
    they hide one another. A cluster whose MAD is 0 (one or two rows, or most at the same
    distance) takes the MAD over all clusters, each about its own median; if that is 0
    too, 1.2533 times the mean absolute deviation over all clusters; if all rows are at
    their cluster's median, the scores are 0.

    A row that is a cluster of its own has the score 0: an outlier on which a centroid
    sits is one for `trimmed_kmeans`, or for the table of cluster sizes.

    Differentiable in ``x`` and the centroids.

    References
    ----------
    .. [1] B. Iglewicz, D. C. Hoaglin, "How to detect and handle outliers", ASQC Quality
       Press, 1993 (the modified z-score).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import anomaly_scores, kmeans
    >>> narrow, wide = np.arange(5.0) - 2, 10 * np.arange(5.0) + 980
    >>> x = np.concatenate([narrow, [10.0], wide])[:, None]
    >>> anomaly_scores(x, kmeans(x, 2, key=0)).round(1)
    array([ 0.7,  0.2, -0.2, -0.7, -0.8,  2.8,  0.7,  0. , -0.7,  0. ,  0.7])
    """
    measure = as_metric(metric)
    xp, x = check_points(x=x)
    centroids = check_features(xp, x, centroids=result.centroids)
    labels = check_labels(xp, x, result.labels)
    weights = check_weights(xp, x, weights)
    check_finite(x=x, centroids=centroids)
    if isinstance(result, TrimmedResult):
        labels, weights = _all_labelled(xp, x, labels, weights, centroids, metric)
    return _standardised(_distances(x, labels, centroids, measure), labels, weights, centroids)


def anomaly_threshold(scores, /, *, z=3.5, quantile=None, weights=None):
    """The score above which a row counts as an outlier.

    Parameters
    ----------
    scores : array (..., n)
        Those of `anomaly_scores`, or any in which large means unusual.
    z : float, default 3.5
        How many robust standard deviations above the median of all scores.
    quantile : float, optional
        Instead of `z`: the share of the weight, from 0 to 1, with scores up to the
        threshold.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (...)
        In the accumulation dtype of ``scores``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, `z` or
        `quantile` is out of range; in an eager call also if a score is not finite, or the
        weights are negative or sum to zero.

    Notes
    -----
    With `z`, the median of the scores plus ``z`` times 1.4826 of their median absolute
    deviation; 3.5 is the usual choice [1]_. With `quantile`, the averaged inverse of the
    distribution function, as in `kmeans_fx.preprocess.robust_scale`: it says how many
    rows to look at, not how many are unusual.

    References
    ----------
    .. [1] B. Iglewicz, D. C. Hoaglin, "How to detect and handle outliers", ASQC Quality
       Press, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import anomaly_threshold
    >>> scores = np.array([-1.0, 0.0, 0.5, 1.0, 8.0])
    >>> scores > anomaly_threshold(scores)
    array([False, False, False, False,  True])
    >>> float(anomaly_threshold(scores, quantile=0.5))
    0.5
    """
    xp = array_namespace(scores=scores)
    if scores.ndim == 0 or 0 in scores.shape:
        msg = f"scores must have shape (..., n) and not be empty, got {tuple(scores.shape)}"
        raise ValueError(msg)
    scores = as_real(xp, scores, "scores")
    column = widened(scores)[..., None]
    weights = check_weights(xp, column, weights)
    check_finite(scores=scores)
    shares = None if weights is None else weights[..., None]
    if quantile is not None:
        _check_range("quantile", quantile, 1)
        return percentiles(xp, column, shares, (100 * quantile,))[0][..., 0, 0]
    _check_range("z", z, float("inf"))
    (median,) = percentiles(xp, column, shares, (50,))
    (deviation,) = percentiles(xp, xp.abs(column - median), shares, (50,))
    return (median + z * _MEDIAN * deviation)[..., 0, 0]


def _check_range(name, value, most):
    if not 0 <= value <= most:
        msg = f"{name} must be from 0 to {most}, got {value}"
        raise ValueError(msg)


def _all_labelled(xp, x, labels, weights, centroids, metric):
    """Labels of the nearest centroid in place of -1, and 0 for the weights of those rows."""
    there = labels >= 0
    if weights is None:
        weights = xp.ones_like(x[..., 0], dtype=accumulation_dtype(xp, x.dtype))
    weights = xp.where(there, weights, xp.zeros_like(weights))
    nearest = xp.astype(assign(x, centroids, metric=metric).labels, labels.dtype, copy=False)
    return xp.where(there, labels, nearest), weights


def _distances(x, labels, centroids, metric):
    """Distance (..., n) of every row to the centroid of its label, in units of the rows."""
    xp = array_namespace(x=x)
    dtype = accumulation_dtype(xp, x.dtype)
    own = take_rows(xp, xp.astype(centroids, dtype, copy=False), labels)
    if metric is as_metric("sqeuclidean"):
        metric = as_metric("euclidean")
    return metric.distance(widened(x), own)


def _standardised(distances, labels, weights, centroids):
    """Deviations (..., n) from the cluster's median, in robust standard deviations."""
    xp, k = array_namespace(distances=distances), centroids.shape[-2]
    labels = xp.broadcast_to(labels, distances.shape)
    if weights is not None:
        weights = xp.broadcast_to(weights, distances.shape)
    shares = None if weights is None else weights[..., None]

    def medians(values):
        found = weighted_median(values[..., None], labels, k, weights)
        return take_rows(xp, found, labels)[..., 0]

    deviations = distances - medians(distances)
    size = xp.abs(deviations)
    own = _MEDIAN * medians(size)
    everyone = percentiles(xp, size[..., None], shares, (50,))[0][..., 0]
    mean = column_mean(xp, size[..., None], shares)[..., 0]
    # Rounding makes no spread.
    floor = 4 * float(xp.finfo(distances.dtype).eps) * xp.max(distances, axis=-1, keepdims=True)
    scale = xp.where(everyone > floor, _MEDIAN * everyone, _MEAN * mean)
    scale = xp.where(own > floor, own, scale)
    spread = scale > floor
    return xp.where(spread, deviations / xp.where(spread, scale, xp.ones_like(scale)), 0.0)
