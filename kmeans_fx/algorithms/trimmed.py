"""k-means that leaves out the rows farthest from all centroids: k-means--."""

from functools import partial
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_finite,
    check_integer,
    check_k,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.transform import stop_gradient, tracks_gradients
from kmeans_fx._empty import fill_empty
from kmeans_fx._partition import (
    Space,
    cluster_centres,
    label_stats,
    own_distances,
    partition,
)
from kmeans_fx._result import KMeansResult, attach_gradients
from kmeans_fx._trimming import check_trim, left_in
from kmeans_fx.algorithms._options import Options, check_options
from kmeans_fx.algorithms._state import LloydState, advance, initial_state, last_centroids
from kmeans_fx.algorithms.kmeans import best_fit, check_init
from kmeans_fx.converge import NONFINITE, RUNNING
from kmeans_fx.distances import as_metric
from kmeans_fx.init import kmeans_plusplus
from kmeans_fx.update import weighted_sum

__all__ = ["TrimmedResult", "trimmed_kmeans"]


class TrimmedResult(NamedTuple):
    """A fit that left rows out. All is that of the returned centroids.

    Attributes
    ----------
    centroids : array (..., k, d)
        In the dtype of ``x``.
    labels : integer array (..., n)
        -1 for rows that were left out.
    inertia : array (...)
        Weighted sum of the distances of the rows that were kept, in the accumulation
        dtype.
    n_iter : integer array (...)
    status : integer array (...)
        See `describe`.
    history : array (..., max_iter) or (..., 0)
        Inertia at the start of every iteration if asked for, then NaN.
    kept : bool array (..., n)
    weights : array (..., n)
        What every row counted: its weight, 0 if it was left out, or the rest of its
        weight where the share to leave out ends within the row.
    """

    centroids: Any
    labels: Any
    inertia: Any
    n_iter: Any
    status: Any
    history: Any
    kept: Any
    weights: Any


class _State(NamedTuple):
    """A state of Lloyd's loop, and the weights (..., n) that counted in the last iteration."""

    lloyd: LloydState
    weights: Any


@program("nd kd n w", "kd n:index n n:index n:index n . .:index .:index h")
def _trimmed_fit(x, centroids, weights, key, *, trim, **fields):
    """k-means-- as one operation."""
    options = Options(**fields)
    state = initial_state(x, centroids, weights, key, options)
    xp = array_namespace(x=x)
    nothing = xp.zeros(state.labels.shape, dtype=state.counts.dtype, device=device(x))
    state = while_loop(
        lambda state: state.lloyd.status == RUNNING,
        partial(_step, x, weights, key, options=options, trim=trim),
        _State(state, nothing),
        max_steps=options.max_iter,
    )
    return _finish(x, weights, state, options, trim)


def _step(x, weights, key, state, *, options, trim):
    """Algorithm 1 of the paper, lines 3 to 9: assign, leave out, update."""
    xp, (state, counted) = array_namespace(x=x), state
    space = Space(as_metric(options.metric), state.origin, options.chunk_size)
    dropped = state.counts == 0 if options.empty == "merge" else None
    labels, far, kept, inertia = _assigned(x, weights, state.centroids, space, dropped, trim)
    stats = label_stats(x, labels, kept, state.centroids, space, inertia)
    centroids = cluster_centres(x, labels, kept, stats, state.centroids, space)
    centroids = fill_empty(
        options.empty, x, kept, key, labels, stats.counts, centroids, state, space
    )
    labels = _marked(xp, labels, far, weights, kept)
    # A row whose weight changed keeps the loop running as one whose label did.
    previous = xp.where(kept == counted, state.labels, xp.full_like(labels, -2))
    before = state._replace(labels=previous)
    return _State(advance(before, labels, centroids, stats, weights, True, options), kept)


def _assigned(x, weights, centroids, space, dropped, trim):
    """Nearest centroid of every row, how far, the weights that count, the inertia."""
    labels = partition(x, centroids, weights, space, dropped=dropped, stats=False).labels
    far = own_distances(x, labels, centroids, space)
    kept = left_in(far, weights, trim)
    return labels, far, kept, weighted_sum(array_namespace(x=x), far, kept)


def _marked(xp, labels, far, weights, kept):
    """The labels, -1 for rows that were left out."""
    out = kept == 0
    if weights is not None:
        # A row of weight 0 never counts: it is out if it lies beyond all that do.
        reach = xp.max(xp.where(out, xp.zeros_like(far), far), axis=-1, keepdims=True)
        out = xp.where(weights > 0, out, far > reach)
    return xp.where(out, xp.full_like(labels, -1), labels)


def _finish(x, weights, state, options, trim):
    """Centroids as the caller sees them, with the labels and inertia that are theirs."""
    xp, (state, counted) = array_namespace(x=x), state
    space, dropped, centroids = last_centroids(x, state, options)
    found = _assigned(x, weights, space.relative(centroids), space, dropped, trim)
    labels, far, kept, inertia = found
    status = xp.where(xp.isfinite(inertia), state.status, xp.full_like(state.status, NONFINITE))
    previous = xp.clip(state.labels, 0, None)
    marked = _marked(xp, labels, far, weights, kept)
    result = (labels, marked, kept, inertia, state.n_iter, status, state.history)
    return centroids, previous, counted, *result


def trimmed_kmeans(
    x,
    k,
    /,
    *,
    trim,
    key,
    init="k-means++",
    n_init=1,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    empty="farthest",
    chunk_size=None,
    history=False,
):
    """k-means that leaves out a share of the rows: those farthest from all centroids.

    Every iteration leaves them out anew, so that outliers move no centroid.

    Parameters
    ----------
    x : array (..., n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters, from 1 to n.
    trim : float
        Share of the weight to leave out, from 0 to less than 1; without weights, of the
        rows.
    key : int, array (..., 2) or generator
        Source of all randomness, as for `kmeans`.
    init : str, array (..., k, d) or callable
        As for `kmeans`; "k-means++" does not draw rows that are far from all before
        (``trim`` of `kmeans_plusplus`).
    n_init : int
        Restarts, of which the one with the lowest inertia is returned.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, max_iter, tol, empty, chunk_size, history
        As for `lloyd`.

    Returns
    -------
    TrimmedResult

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and if `trim` is not from 0 to less than 1.

    Notes
    -----
    Where the share ends within a row (25% of 10 rows), this row counts with the rest of
    its weight: the inertia never rises only so, and m copies of a row act as its weight.
    For a whole number of rows it is the paper's algorithm. Of equally distant rows the
    first are left out.

    An outlier that a centroid starts on stays where it is, at distance 0: start more
    than once.

    Differentiable as `lloyd` is, with the rows that are left out as they are.

    References
    ----------
    .. [1] S. Chawla, A. Gionis, "k-means--: a unified approach to clustering and outlier
       detection", SDM 2013 (algorithm 1; theorem 4.2 for its convergence).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import trimmed_kmeans
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0], [500.0]])
    >>> result = trimmed_kmeans(x, 2, trim=0.2, key=0)
    >>> np.sort(result.centroids, axis=0)
    array([[ 0.5],
           [10.5]])
    >>> result.kept
    array([ True,  True,  True,  True, False])
    """
    trim = check_trim(trim)
    xp, x = check_points(x=x)
    k, n_init = check_k(k, x), check_integer("n_init", n_init, 1)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    words = as_key(key, xp, device(x))
    options = check_options(
        x, metric, max_iter, tol, empty, key, "lloyd", chunk_size, None, None, history
    )
    start = check_init(init, n_init, None)
    if start is kmeans_plusplus:
        start = partial(kmeans_plusplus, trim=trim)
    run = partial(_fit, options=options, trim=trim)
    return best_fit(xp, x, k, start, words, weights, metric, run, n_init)


def _fit(x, centroids, weights, key, *, options, trim):
    """k-means-- from given centroids."""
    fields = {**options.crossing(), "trim": trim}
    outputs = _trimmed_fit(x, centroids, weights, key, portable=options.portable, **fields)
    xp = array_namespace(x=x)
    centroids, previous, before, nearest, labels, kept, *rest = outputs
    fit = KMeansResult(xp.astype(centroids, x.dtype, copy=False), nearest, *rest)
    found = {**fit._asdict(), "labels": labels}
    result = TrimmedResult(**found, kept=labels >= 0, weights=kept)
    if not tracks_gradients(x, weights):
        return result
    moving, own = (_in_weights(xp, weights, share, trim) for share in (before, kept))
    fit = attach_gradients(x, moving, previous, fit, as_metric(options.metric), None, own)
    return result._replace(centroids=fit.centroids, inertia=fit.inertia)


def _in_weights(xp, weights, kept, trim):
    """The weights that count, as a function of those that were given.

    The row in which the cut falls counts with what the others leave of the share to keep.
    """
    if weights is None:
        return kept
    zeros = xp.zeros_like(kept)
    border = (kept > 0) & (kept < weights)
    inside = xp.where((kept > 0) & ~border, weights, zeros)
    rest = (1 - trim) * xp.sum(weights, axis=-1, keepdims=True)
    rest = rest - xp.sum(inside, axis=-1, keepdims=True)
    counted = xp.where(border, rest, inside)
    return kept + (counted - stop_gradient(counted))
