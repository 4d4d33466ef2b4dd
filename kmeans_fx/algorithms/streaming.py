"""Streaming k-means: centroids that follow drifting data by forgetting the past."""

from math import log
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_number,
    check_option,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import cond
from kmeans_fx._backend.namespace import array_namespace, as_real, device, index_dtype
from kmeans_fx._empty import halve_largest
from kmeans_fx._partition import Space, centred_space, variance
from kmeans_fx._ranks import total
from kmeans_fx.algorithms._online import broadcast_state, check_online_metric, learn
from kmeans_fx.assign import check_chunk_size
from kmeans_fx.converge import NONFINITE, RUNNING
from kmeans_fx.distances import as_metric

__all__ = ["StreamState", "stream_init", "stream_step"]

# A cluster with less than this share of the largest weight is dying (Spark's bound).
_DYING = 1e-8


class StreamState(NamedTuple):
    """What the next step needs.

    Attributes
    ----------
    centroids : array (..., k, d)
        Relative to ``origin``, in the accumulation dtype.
    counts : array (..., k)
        Weight of what every centroid remembers.
    origin : array (..., d)
        Mean of the first centroids: constant.
    inertia : array (...)
        Mean distance per unit of weight of the last batch to the centroids before it:
        it rises when the data drift away; NaN before the first batch.
    n_iter, status : integer array (...)
        Batches seen; RUNNING, or NONFINITE.
    """

    centroids: Any
    counts: Any
    origin: Any
    inertia: Any
    n_iter: Any
    status: Any


def stream_init(centroids, /, *, counts=None, metric="sqeuclidean"):
    """The state before the first batch of a stream.

    Parameters
    ----------
    centroids : array (..., k, d)
        To start from: those of a fit on earlier data, or a guess.
    counts : array (..., k), optional
        Weight of the centroids, in rows. Without it they have none, and the first rows
        that a centroid gets replace it.
    metric : str or Metric
        One whose centre follows from the mean (all but "manhattan" by name).

    Returns
    -------
    StreamState

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or an
        unknown name; in an eager call also if a value is not finite.

    Examples
    --------
    See `stream_step`.
    """
    check_online_metric(metric)
    xp, centroids = check_points(centroids=centroids)
    check_finite(centroids=centroids, counts=counts)
    means = Space(as_metric(metric), None, None).mapped(centroids)
    *batch, k, _ = centroids.shape
    like = {"dtype": means.dtype, "device": device(means)}
    weight = xp.zeros((*batch, k), **like) if counts is None else _counts(xp, means, counts)
    origin = xp.mean(means, axis=-2)
    zero = xp.zeros(tuple(batch), dtype=index_dtype(xp, means), device=device(means))
    return StreamState(
        centroids=means - origin[..., None, :],
        counts=weight,
        origin=origin,
        inertia=xp.full(tuple(batch), xp.nan, **like),
        n_iter=zero,
        status=zero + RUNNING,
    )


def _counts(xp, means, counts):
    array_namespace(centroids=means, counts=counts)
    if counts.shape != means.shape[:-1]:
        msg = f"counts must have shape {means.shape[:-1]}, got {tuple(counts.shape)}"
        raise ValueError(msg)
    return xp.astype(as_real(xp, counts, "counts"), means.dtype, copy=False)


def stream_step(
    x,
    state,
    /,
    *,
    half_life,
    unit="batches",
    weights=None,
    metric="sqeuclidean",
    chunk_size=None,
    reduce=None,
):
    """One step: forget a part of the past, assign a batch, move the centroids.

    Parameters
    ----------
    x : array (..., n, d)
        The batch. Batches may differ in size.
    state : StreamState
    half_life : float
        After so many units what was learnt counts half; ``math.inf`` never forgets, 0
        remembers nothing but the batch.
    unit : {"batches", "rows"}
        What the half life is counted in: batches of any size, or rows (their weight).
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, chunk_size
        As for `stream_init` and `lloyd`.
    reduce : callable, optional
        As for `lloyd`: ``x`` is the part of the batch that this process has.

    Returns
    -------
    StreamState

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, out of
        range, or an unknown name. Values that are not finite are reported in ``status``.

    Notes
    -----
    With a the discount, a centroid c of weight n whose rows in the batch have the mean m
    and the weight w becomes ``(c n a + m w) / (n a + w)``, of weight ``n a + w``. This is
    the rule of StreamingKMeans in Apache Spark [1]_ with the decay factor
    ``0.5 ** (1 / half_life)``. As there, a cluster whose weight falls below 1e-8 of the
    largest is dying, and takes half of the largest cluster: a small step away from its
    centroid. Here all dying clusters do, and the step is 1/1024 of the batch's standard
    deviation, which float32 can tell apart.

    Has no derivative.

    References
    ----------
    .. [1] X. Meng et al., "MLlib: machine learning in Apache Spark", JMLR 17(34), 2016.
    .. [2] D. Sculley, "Web-scale k-means clustering", WWW 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import stream_init, stream_step
    >>> state = stream_init(np.array([[0.0], [9.0]]), counts=np.array([4.0, 4.0]))
    >>> state = stream_step(np.array([[1.0], [1.0]]), state, half_life=1)
    >>> state.centroids + state.origin
    array([[0.5],
           [9. ]])
    >>> state.counts
    array([4., 2.])
    """
    check_online_metric(metric)
    half_life = _check_half_life(half_life)
    check_option("unit", unit, ("batches", "rows"))
    xp, x = check_points(x=x)
    check_features(xp, x, state=state.centroids)
    weights = check_weights(xp, x, weights, of_all=reduce is None)
    portable = reduce is not None or not isinstance(metric, str)
    outputs = _stream_step(
        x, weights, *state, portable=portable, metric=metric, half_life=half_life, unit=unit,
        chunk_size=check_chunk_size(chunk_size), reduce=reduce,
    )  # fmt: skip
    return StreamState(*outputs)


def _check_half_life(value):
    value = check_number("half_life", value)
    if not value >= 0:
        msg = f"half_life must not be negative, got {value}"
        raise ValueError(msg)
    # Every option of a program is a literal, which infinity is not.
    return None if value == float("inf") else value


_STATE = "kd k d . .:index .:index"


@program("nd n " + _STATE.replace(":index", ""), _STATE)
def _stream_step(x, weights, *fields, metric, half_life, unit, chunk_size, reduce):
    xp = array_namespace(x=x)
    state = broadcast_state(StreamState(*fields), (x, 2), (weights, 1))
    discount = _discount(x, weights, state, half_life, unit, reduce)
    lesson = learn(x, weights, state, discount, metric, chunk_size, reduce)
    alive = _Alive(lesson.centroids, lesson.counts)
    alive = _revive(x, weights, alive, metric, chunk_size, reduce)
    none = xp.ones_like(lesson.total)
    inertia = lesson.inertia / xp.where(lesson.total > 0, lesson.total, none)
    finite = xp.isfinite(xp.sum(alive.centroids, axis=(-2, -1)) + inertia)
    return (
        *alive,
        state.origin,
        xp.where(lesson.total > 0, inertia, state.inertia),
        state.n_iter + 1,
        xp.where(finite, state.status, xp.full_like(state.status, NONFINITE)),
    )


def _discount(x, weights, state, half_life, unit, reduce):
    """What is left of the past (..., 1): a half to the power of the half lives that go by."""
    xp = array_namespace(x=x)
    ones = xp.ones_like(state.counts[..., :1])
    if half_life is None:
        return ones
    if unit == "batches":
        return ones * (0.5 ** (1 / half_life) if half_life > 0 else 0.0)
    rows = ones * x.shape[-2] if weights is None else xp.sum(weights, axis=-1, keepdims=True)
    rows = total(rows, reduce)
    if half_life == 0:
        return xp.where(rows > 0, xp.zeros_like(ones), ones)
    return xp.exp(rows * (-log(2) / half_life))


class _Alive(NamedTuple):
    """Centroids, and the weights behind them."""

    centroids: Any
    counts: Any


def _revive(x, weights, now, metric, chunk_size, reduce):
    """Every dying cluster takes half of the cluster that is the largest then."""
    xp = array_namespace(x=x)
    dying = now.counts < _DYING * xp.max(now.counts, axis=-1, keepdims=True)

    def split(now):
        space = centred_space(x, weights, as_metric(metric), chunk_size, reduce)
        spread = variance(x, weights, space, reduce)
        spread = xp.broadcast_to(spread, now.counts.shape[:-1])
        filled = halve_largest(now.centroids, now.counts, dying, spread)
        return _Alive(filled.centroids, filled.reach)

    return cond(xp.any(dying, axis=-1), split, lambda now: now, now)
