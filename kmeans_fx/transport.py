"""Balanced soft assignment: entropic optimal transport from rows to clusters."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_batch, check_finite, check_integer, check_weights
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace, as_real, device, index_dtype
from kmeans_fx._backend.transform import is_concrete, stop_gradient, tracks_gradients, with_slope
from kmeans_fx._implicit import at_fixed_point, guarded_inverse
from kmeans_fx._partition import map_rows
from kmeans_fx._soft import log_sum_exp, soft_scores, softmax
from kmeans_fx.converge import CONVERGED, MAX_ITER, NONFINITE, RUNNING, centroid_shift

__all__ = ["BalancedAssignment", "sinkhorn_assign"]


class BalancedAssignment(NamedTuple):
    """Responsibilities whose columns have given totals.

    Attributes
    ----------
    responsibilities : array (..., n, k)
        Rows sum to 1, weighted columns to the sizes up to ``tol``.
    potentials : array (..., k)
        What was added to ``-distance / temperature`` before the softmax; their mean is 0.
    n_iter : integer array (...)
    status : integer array (...)
        See `describe`.
    """

    responsibilities: Any
    potentials: Any
    n_iter: Any
    status: Any


def sinkhorn_assign(
    x,
    centroids,
    /,
    *,
    temperature=1.0,
    weights=None,
    sizes=None,
    metric="sqeuclidean",
    max_iter=1000,
    tol=1e-5,
):
    """Responsibilities under which every cluster gets its share of the rows.

    Of all responsibilities with the wanted column totals, those with the smallest
    ``sum_i w_i sum_j r_ij (distance_ij + temperature log r_ij)``.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    temperature : float or array (...)
        Positive, in the units of the distance. Towards 0 the assignment hardens, and
        takes more iterations.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.
    sizes : array (..., k), optional
        Positive; only their ratios matter. Equal if None.
    metric : str or Metric
    max_iter : int
    tol : float
        The largest sum of misses of the columns, as a share of the total weight.

    Returns
    -------
    BalancedAssignment

    Raises
    ------
    TypeError, ValueError
        As `soft_assign`, and for ``weights``, ``sizes``, ``max_iter`` and ``tol``.

    Notes
    -----
    Sinkhorn's scalings as sums of logarithms, of which only those of the k columns are
    kept, so that nothing underflows. ``responsibilities`` and ``potentials`` are
    differentiable in ``x``, ``centroids``, ``temperature``, ``weights`` and ``sizes``, up
    to second order: by the equations of the fixed point (a matrix of k^2 numbers is
    inverted), with memory that does not grow with the iterations.

    References
    ----------
    .. [1] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport",
       NeurIPS 2013 (algorithm 1).
    .. [2] G. Peyre, M. Cuturi, "Computational optimal transport", Foundations and Trends
       in Machine Learning 11, 2019 (section 4.4: the log domain).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import sinkhorn_assign
    >>> x, centroids = np.array([[0.0], [0.1], [0.2], [1.0]]), np.array([[0.0], [1.0]])
    >>> balanced = sinkhorn_assign(x, centroids, temperature=0.1)
    >>> balanced.responsibilities.sum(axis=0).round(3)
    array([2., 2.])
    """
    scores = soft_scores(x, centroids, temperature, metric)
    xp = array_namespace(scores=scores)
    weights = check_weights(xp, x, weights)
    sizes = _check_sizes(xp, scores, sizes)
    options = {"max_iter": check_integer("max_iter", max_iter, 1), "tol": centroid_shift(tol).bound}
    potentials, n_iter, status = _search(scores, weights, sizes, **options)
    if tracks_gradients(scores, weights, sizes):
        (potentials,) = with_slope(_solution, (potentials,), (scores, weights, sizes, potentials))
    responsibilities = softmax(scores + potentials[..., None, :])
    return BalancedAssignment(responsibilities, potentials, n_iter, status)


def _check_sizes(xp, scores, sizes):
    k = scores.shape[-1]
    if sizes is None:
        return xp.ones((k,), dtype=scores.dtype, device=device(scores))
    array_namespace(x=scores, sizes=sizes)
    if sizes.ndim == 0 or sizes.shape[-1] != k:
        msg = f"sizes must have shape (..., {k}), got {tuple(sizes.shape)}"
        raise ValueError(msg)
    check_batch("sizes", sizes.shape[:-1], scores.shape[:-2])
    sizes = xp.astype(as_real(xp, sizes, "sizes"), scores.dtype, copy=False)
    check_finite(sizes=sizes)
    positive = xp.all(sizes > 0)
    if is_concrete(positive) and not bool(positive):
        msg = f"sizes must be positive, got a minimum of {float(xp.min(sizes))}"
        raise ValueError(msg)
    return sizes


class _State(NamedTuple):
    """Potentials, and whether they are those wanted."""

    potentials: Any
    n_iter: Any
    status: Any


@program("nk n k", "k .:index .:index")
def _search(scores, weights, sizes, *, max_iter, tol):
    """To the fixed point, without derivatives."""
    xp = array_namespace(scores=scores)
    shares = sizes / xp.sum(sizes, axis=-1, keepdims=True)
    logs = _log_weights(xp, scores, weights)

    def body(state):
        filled = _log_columns(scores, logs, state.potentials)
        miss = xp.sum(xp.abs(xp.exp(filled) - shares), axis=-1)
        met, n_iter = miss <= tol, state.n_iter + 1
        potentials = state.potentials + xp.log(shares) - filled
        potentials = potentials - xp.mean(potentials, axis=-1, keepdims=True)
        status = xp.where(n_iter >= max_iter, xp.full_like(n_iter, MAX_ITER), state.status)
        status = xp.where(met, xp.full_like(n_iter, CONVERGED), status)
        status = xp.where(xp.isfinite(miss), status, xp.full_like(n_iter, NONFINITE))
        return _State(xp.where(met[..., None], state.potentials, potentials), n_iter, status)

    leads = [scores.shape[:-2], logs.shape[:-1], sizes.shape[:-1]]
    batch = broadcast_shapes(*map(tuple, leads))
    zero = xp.zeros(batch, dtype=index_dtype(xp, scores), device=device(scores))
    potentials = xp.zeros((*batch, sizes.shape[-1]), dtype=scores.dtype, device=device(scores))
    state = _State(potentials, zero, zero + RUNNING)
    return while_loop(lambda s: s.status == RUNNING, body, state, max_steps=max_iter)


def _log_weights(xp, scores, weights):
    """Logarithms (..., n) of the shares of the rows; -inf for an absent one."""
    if weights is None:
        weights = xp.ones(scores.shape[-2:-1], dtype=scores.dtype, device=device(scores))
    shares = weights / xp.sum(weights, axis=-1, keepdims=True)
    some = shares > 0
    logs = xp.log(xp.where(some, shares, xp.ones_like(shares)))
    return xp.where(some, logs, xp.full_like(logs, -xp.inf))


def _log_columns(scores, logs, potentials):
    """Logarithms (..., k) of the column totals, which sum to 1."""

    def block(part, log):
        lifted = part + potentials[..., None, :]
        lifted = lifted - log_sum_exp(lifted) + log[..., None]
        # One row a block, so that blocks add in the log domain, too.
        return (log_sum_exp(lifted, axis=-2),), ()

    columns = 4 * potentials.shape[-1]
    (totals,), _ = map_rows(block, (scores, logs), potentials[..., None, :], columns, None)
    return log_sum_exp(totals, axis=-2)[..., 0, :]


def _solution(scores, weights, sizes, potentials):
    """Potentials with the derivative of those that fill the columns."""
    xp = array_namespace(scores=scores)
    n = scores.shape[-2]
    if weights is None:
        weights = xp.ones((n,), dtype=scores.dtype, device=device(scores))
    weights = weights / xp.sum(weights, axis=-1, keepdims=True)
    shares = sizes / xp.sum(sizes, axis=-1, keepdims=True)

    def columns(potentials):
        own = softmax(scores + potentials[..., None, :])
        return xp.sum(own * weights[..., None], axis=-2)

    fixed = stop_gradient(potentials)
    own = stop_gradient(softmax(scores + fixed[..., None, :]))
    weighted = own * stop_gradient(weights)[..., None]
    root = xp.sqrt(stop_gradient(shares))
    eye = xp.eye(root.shape[-1], dtype=root.dtype, device=device(root))
    filled = xp.sum(weighted, axis=-2)
    slopes = filled[..., None] * eye - xp.matmul(xp.matrix_transpose(own), weighted)
    outer = root[..., :, None] * root[..., None, :]
    # A constant added to all potentials changes nothing: that direction is closed here.
    inverse = guarded_inverse(xp, slopes / outer + outer)

    def apply_inverse(moves):
        return xp.matmul(inverse, (moves * root)[..., None])[..., 0] / root

    def move(potentials):
        return potentials + (shares - columns(potentials)) / stop_gradient(shares)

    point = at_fixed_point(move, fixed, apply_inverse)
    return (point - xp.mean(point - fixed, axis=-1, keepdims=True),)
