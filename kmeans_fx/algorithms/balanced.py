"""k-means with bounds on the sizes of the clusters."""

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
from kmeans_fx._backend.linalg import matmul
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._empty import POLICIES, fill_empty
from kmeans_fx._partition import Space, cluster_centres, label_stats, map_rows, own_distances
from kmeans_fx._result import KMeansResult, attach_gradients
from kmeans_fx.algorithms._options import Options, check_options
from kmeans_fx.algorithms._state import LloydState, advance, initial_state, last_centroids
from kmeans_fx.algorithms._transportation import assign_within
from kmeans_fx.algorithms.kmeans import best_fit, check_init
from kmeans_fx.converge import NONFINITE, RUNNING
from kmeans_fx.distances import METRICS, as_metric
from kmeans_fx.update import weighted_sum

__all__ = ["balanced_kmeans"]


class _State(NamedTuple):
    """A state of Lloyd's loop, and the prices (..., k) of its assignment."""

    lloyd: LloydState
    prices: Any


@program("nd kd n w", "kd n:index n:index . .:index .:index h")
def _balanced_fit(x, centroids, weights, key, *, low, high, **fields):
    """k-means with bounds as one operation."""
    options = Options(**fields)
    state = initial_state(x, centroids, weights, key, options)
    xp = array_namespace(x=x)
    present, least = _bounds(xp, x, weights, state, low)
    enough = least[..., 0] == low
    state = state._replace(
        status=xp.where(enough, state.status, xp.full_like(state.status, NONFINITE))
    )
    low = least
    high = xp.full_like(low, high)
    assigned = partial(_assigned, x, weights, present, low, high)
    state = while_loop(
        lambda state: state.lloyd.status == RUNNING,
        partial(_step, x, weights, key, options=options, assigned=assigned),
        _State(state, xp.zeros_like(state.counts)),
        max_steps=options.max_iter,
    )
    return _finish(x, state, options, assigned)


def _bounds(xp, x, weights, state, low):
    """Which rows are present, and the least size (..., 1), which they can meet."""
    shape, like = (*state.n_iter.shape, 1), state.n_iter
    if weights is None:
        return None, xp.full(shape, low, dtype=like.dtype, device=device(x))
    present = xp.broadcast_to(weights > 0, state.labels.shape)
    count = xp.astype(xp.count_nonzero(present, axis=-1, keepdims=True), like.dtype)
    return present, xp.clip(count // state.counts.shape[-1], None, low)


def _step(x, weights, key, state, *, options, assigned):
    """One iteration: the best assignment within the bounds, then the means."""
    state, prices = state
    space = Space(as_metric(options.metric), state.origin, options.chunk_size)
    labels, prices, inertia = assigned(state.labels, state.centroids, space, prices)
    stats = label_stats(x, labels, weights, state.centroids, space, inertia)
    centroids = cluster_centres(x, labels, weights, stats, state.centroids, space)
    centroids = fill_empty(
        options.empty, x, weights, key, labels, stats.counts, centroids, state, space
    )
    return _State(advance(state, labels, centroids, stats, weights, True, options), prices)


def _assigned(x, weights, present, low, high, previous, centroids, space, prices):
    """Labels of least cost, their prices and inertia; the previous ones if they cost no more.

    Prices of the last iteration are nearly those of this one.
    """
    xp = array_namespace(x=x)
    costs = _costs(x, weights, centroids, space)
    labels, prices = assign_within(costs, present, low, high, prices)
    # Of two assignments of one cost each could follow the other for ever.
    before = xp.clip(previous, 0, None)
    gain = _cost(xp, costs, before) - _cost(xp, costs, labels)
    keep = (xp.sum(gain, axis=-1, keepdims=True) <= 0) & (previous >= 0)
    labels = xp.where(keep, before, labels)
    far = own_distances(x, labels, centroids, space)
    return labels, prices, weighted_sum(xp, far, weights)


def _cost(xp, costs, labels):
    """What every row (..., n) costs in its cluster."""
    return xp.take_along_axis(costs, labels[..., None, :], axis=-2)[..., 0, :]


def _costs(x, weights, centroids, space):
    """Weighted distances (..., k, n), up to a constant of every row; finite."""
    xp = array_namespace(x=x)
    if space.metric == METRICS["sqeuclidean"]:
        bias = xp.sum(centroids * centroids, axis=-1)[..., None]
        costs = matmul(centroids * -2.0, xp.matrix_transpose(space.rows(x))) + bias
    else:
        costs = xp.matrix_transpose(_distances(x, centroids, space))
    if weights is not None:
        costs = costs * weights[..., None, :]
    # What is not finite ends as a status.
    return xp.where(xp.isfinite(costs), costs, xp.zeros_like(costs))


def _distances(x, centroids, space):
    """Distances (..., n, k) in any metric."""
    xp, absolute = array_namespace(x=x), space.absolute(centroids)

    def block(part):
        part = xp.astype(part, absolute.dtype, copy=False)
        return (space.metric.distance(part[..., :, None, :], absolute[..., None, :, :]),), ()

    k, d = centroids.shape[-2:]
    (distances,), _ = map_rows(block, (x,), centroids, 2 * k * d, space.chunk_size)
    return distances


def _finish(x, state, options, assigned):
    """Centroids as the caller sees them, with the labels and inertia that are theirs."""
    xp, (state, prices) = array_namespace(x=x), state
    space, _, centroids = last_centroids(x, state, options)
    found = assigned(state.labels, space.relative(centroids), space, prices)
    labels, _, inertia = found
    status = xp.where(xp.isfinite(inertia), state.status, xp.full_like(state.status, NONFINITE))
    previous = xp.clip(state.labels, 0, None)
    return centroids, previous, labels, inertia, state.n_iter, status, state.history


def balanced_kmeans(
    x,
    k,
    /,
    *,
    key,
    min_size=None,
    max_size=None,
    init="k-means++",
    n_init=1,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    empty="farthest",
    history=False,
):
    """k-means in which every cluster has a minimum and a maximum number of rows.

    Every iteration finds the assignment of least cost of all that keep the bounds.

    Parameters
    ----------
    x : array (..., n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters, from 1 to n.
    key : int, array (..., 2) or generator
        Source of all randomness, as for `kmeans`.
    min_size : int, optional
        The least number of rows of a cluster, from 0 to n / k; 0 if None.
    max_size : int, optional
        The largest number of rows of a cluster, n / k or more; n if None. With both at
        n / k all clusters are of one size.
    init : str, array (..., k, d) or callable
        As for `kmeans`.
    n_init : int
        Restarts, of which the one with the lowest inertia is returned.
    weights : array (..., n), optional
        Not negative. They count in the centroids and in the inertia; in a size every row
        of positive weight counts once, and one of weight 0 not at all.
    metric, max_iter, tol
        As for `lloyd`.
    empty : {"farthest", "random", "split", "keep"}
        As for `lloyd`, for clusters that may be and are empty.
    history : bool
        As for `lloyd`; it costs nothing more.

    Returns
    -------
    KMeansResult
        ``labels`` keep the bounds: they are not those of the nearest centroids.

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and if no sizes are within the bounds. A traced call reports too few
        rows of positive weight for ``min_size`` as the status NONFINITE.

    Notes
    -----
    The assignment is exact up to rounding, by a minimum cost flow over k + 1 nodes, and
    takes memory for a few arrays of all n k distances. Prices of the clusters, one for
    each, bring the sizes near their bounds in some ten passes of O(n k^2); what they still
    miss is moved along shortest paths at O(n k) a row and cluster on the path. An iteration
    begins with the prices of the one before. Many equal rows are the slow case: no price
    parts them, so they move one by one.

    The inertia never rises from one iteration to the next, but with "euclidean", whose
    centre is by convention the mean. Of two assignments that cost the same the earlier one
    stays; else which of equal ones is found is open.

    Without bounds this is `lloyd`, more slowly. Differentiable as `lloyd` is, with the
    labels as they are.

    References
    ----------
    .. [1] P. S. Bradley, K. P. Bennett, A. Demiriz, "Constrained k-means clustering",
       Microsoft Research MSR-TR-2000-65, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import balanced_kmeans
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0]])
    >>> result = balanced_kmeans(x, 2, key=0, min_size=3)
    >>> np.sort(result.centroids, axis=0)
    array([[1.],
           [8.]])
    """
    check_option("empty", empty, [policy for policy in POLICIES if policy != "merge"])
    xp, x = check_points(x=x)
    k, n_init = check_k(k, x), check_integer("n_init", n_init, 1)
    low, high = _check_sizes(x.shape[-2], k, min_size, max_size)
    weights = check_weights(xp, x, weights)
    _check_enough(xp, weights, k, low)
    check_finite(x=x)
    words = as_key(key, xp, device(x))
    options = check_options(
        x, metric, max_iter, tol, empty, key, "lloyd", None, None, None, history
    )
    start = check_init(init, n_init, None)
    run = partial(_fit, options=options, low=low, high=high)
    return best_fit(xp, x, k, start, words, weights, metric, run, n_init)


def _check_sizes(n, k, min_size, max_size):
    """The bounds as integers that some sizes of k clusters of n rows keep."""
    low = 0 if min_size is None else check_integer("min_size", min_size, 0)
    high = n if max_size is None else check_integer("max_size", max_size, 1)
    if low > high:
        msg = f"min_size must be at most max_size, got {low} and {high}"
        raise ValueError(msg)
    if k * low > n:
        msg = f"min_size must be at most n / k = {n} / {k}, got {low}"
        raise ValueError(msg)
    if k * high < n:
        msg = f"max_size must be at least n / k = {n} / {k}, got {high}"
        raise ValueError(msg)
    return low, min(high, n)


def _check_enough(xp, weights, k, low):
    """In an eager call, enough rows of positive weight for the least size."""
    if weights is None:
        return
    count = xp.min(xp.count_nonzero(weights > 0, axis=-1))
    if is_concrete(count) and int(count) < k * low:
        msg = (
            f"min_size must be at most the number of rows of positive weight / k = "
            f"{int(count)} / {k}, got {low}"
        )
        raise ValueError(msg)


def _fit(x, centroids, weights, key, *, options, low, high):
    """k-means with bounds from given centroids."""
    fields = {**options.crossing(), "low": low, "high": high}
    outputs = _balanced_fit(x, centroids, weights, key, portable=options.portable, **fields)
    xp = array_namespace(x=x)
    centroids, previous, *rest = outputs
    result = KMeansResult(xp.astype(centroids, x.dtype, copy=False), *rest)
    return attach_gradients(x, weights, previous, result, as_metric(options.metric), None)
