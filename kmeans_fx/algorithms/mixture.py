"""Gaussian mixtures by expectation maximisation, of which k-means is the limit."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_integer,
    check_k,
    check_option,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.transform import stop_gradient
from kmeans_fx._partition import Space, centred_space, map_rows, variance
from kmeans_fx._soft import log_sum_exp
from kmeans_fx.algorithms._gaussians import (
    COVARIANCES,
    Components,
    estimate,
    log_joint,
    moments,
    narrow,
    nearest,
    sizes_of,
)
from kmeans_fx.algorithms.kmeans import check_init, initial_centroids, kmeans
from kmeans_fx.assign import check_chunk_size
from kmeans_fx.converge import CONVERGED, MAX_ITER, NONFINITE, RUNNING, centroid_shift
from kmeans_fx.distances import METRICS
from kmeans_fx.update import weighted_sum

__all__ = ["MixtureResult", "MixtureState", "gaussian_mixture", "mixture_init", "mixture_step"]

_SQEUCLIDEAN = METRICS["sqeuclidean"]


class MixtureResult(NamedTuple):
    """A Gaussian mixture. Log likelihood and labels are those of its parameters.

    Attributes
    ----------
    means : array (..., k, d)
        In the dtype of ``x``.
    covariances : array
        "full" (..., k, d, d), "tied" (..., d, d), "diag" (..., k, d) or "spherical"
        (..., k), in the accumulation dtype.
    proportions : array (..., k)
        Mixing weights: they sum to 1.
    log_likelihood : array (...)
        Weighted sum of the log densities of the rows.
    labels : integer array (..., n)
        Component of the largest responsibility.
    n_iter : integer array (...)
    status : integer array (...)
        See `describe`.
    """

    means: Any
    covariances: Any
    proportions: Any
    log_likelihood: Any
    labels: Any
    n_iter: Any
    status: Any


class MixtureState(NamedTuple):
    """What the next iteration needs.

    Attributes
    ----------
    means : array (..., k, d)
        Relative to ``origin``, in the accumulation dtype.
    covariances : array
        "full" (..., k, d, d), "tied" (..., 1, d, d), "diag" (..., k, 1, d) or "spherical"
        (..., k, 1, 1).
    proportions : array (..., k)
    origin : array (..., d)
        Weighted mean of the rows: constant.
    log_likelihood : array (...)
        Weighted mean over the rows, of the parameters before the last iteration; -inf
        at the start.
    n_iter, status : integer array (...)
    """

    means: Any
    covariances: Any
    proportions: Any
    origin: Any
    log_likelihood: Any
    n_iter: Any
    status: Any


_STATE = "kd qef k d . .:index .:index"
_INPUT = _STATE.replace(":index", "")


@program("nd kd n", _STATE)
def _init_program(x, centroids, weights, **options):
    return _initial(x, centroids, weights, **options)


@program("nd n " + _INPUT, _STATE)
def _step_program(x, weights, *state, **options):
    return _step(x, weights, MixtureState(*state), **options)


@program("nd kd n", "kd qef k . n:index .:index .:index")
def _fit(x, centroids, weights, **options):
    """Expectation maximisation as one operation."""
    return _finish(
        x,
        weights,
        while_loop(
            lambda state: state.status == RUNNING,
            lambda state: _step(x, weights, state, **options),
            _initial(x, centroids, weights, **options),
            max_steps=options["max_iter"],
        ),
        options,
    )


def _initial(x, centroids, weights, *, kind, reg_covar, chunk_size, **_):
    """Every row belongs to the nearest centroid, and the components are estimated so."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, _SQEUCLIDEAN, chunk_size)
    usable = xp.isfinite(xp.sum(space.origin, axis=-1))
    usable = usable & xp.all(xp.isfinite(centroids), axis=(-2, -1))
    leads = [x.shape[:-2], centroids.shape[:-2]]
    if weights is not None:
        leads.append(weights.shape[:-1])
        usable = usable & xp.all(weights >= 0, axis=-1) & (xp.sum(weights, axis=-1) > 0)
    batch = broadcast_shapes(*map(tuple, leads))
    k, d = centroids.shape[-2:]
    means = xp.broadcast_to(space.relative(centroids), (*batch, k, d))
    # What a component without rows is left with: the spread of all.
    spread = variance(x, weights, space)[..., None, None, None] + reg_covar
    sizes = tuple(sizes_of(kind, k, d).values())
    shape = xp.ones((*batch, *sizes), dtype=means.dtype, device=device(x))
    if kind in ("full", "tied"):
        shape = shape * xp.eye(d, dtype=means.dtype, device=device(x))
    before = Components(means, spread * shape, xp.ones_like(means[..., 0]) / k)
    found = moments(x, means, weights, space, kind, nearest(means))
    zero = xp.zeros(batch, dtype=index_dtype(xp, x), device=device(x))
    components = estimate(before, found, kind, reg_covar)
    return MixtureState(
        components.means,
        components.covariances,
        components.proportions,
        origin=xp.broadcast_to(space.origin, (*batch, d)),
        log_likelihood=xp.full(batch, -xp.inf, dtype=means.dtype, device=device(x)),
        n_iter=zero,
        status=xp.where(xp.broadcast_to(usable, batch), zero + RUNNING, zero + NONFINITE),
    )


def _step(x, weights, state, *, kind, reg_covar, tol, max_iter, chunk_size, **_):
    """One iteration: expectation, maximisation, and whether it was the last."""
    xp = array_namespace(x=x)
    space = Space(_SQEUCLIDEAN, state.origin, chunk_size)
    before = Components(state.means, state.covariances, state.proportions)
    found = moments(x, before.means, weights, space, kind, log_joint(before, kind))
    evidence = found.log_likelihood / _total(xp, x, weights)
    n_iter = state.n_iter + 1
    status = xp.where(n_iter >= max_iter, xp.full_like(n_iter, MAX_ITER), state.status)
    done = xp.abs(evidence - state.log_likelihood) <= tol
    status = xp.where(done, xp.full_like(n_iter, CONVERGED), status)
    status = xp.where(xp.isfinite(evidence), status, xp.full_like(n_iter, NONFINITE))
    components = estimate(before, found, kind, reg_covar)
    return state._replace(
        **components._asdict(), log_likelihood=evidence, n_iter=n_iter, status=status
    )


def _total(xp, x, weights):
    return float(x.shape[-2]) if weights is None else xp.sum(weights, axis=-1)


def _finish(x, weights, state, options):
    """Parameters as the caller sees them, and the log likelihood and labels that are theirs."""
    xp, kind = array_namespace(x=x), options["kind"]
    space = Space(_SQEUCLIDEAN, state.origin, options["chunk_size"])
    means = xp.astype(xp.astype(space.absolute(state.means), x.dtype), state.means.dtype)
    joint = log_joint(Components(space.relative(means), state.covariances, state.proportions), kind)

    def block(part, share):
        logs, _ = joint(space.rows(part))
        evidence = log_sum_exp(logs, axis=-2)[..., 0, :]
        return (xp.argmax(logs, axis=-2),), (weighted_sum(xp, evidence, share),)

    columns = 3 * means.shape[-2] * means.shape[-1]
    (labels,), (evidence,) = map_rows(block, (x, weights), means, columns, space.chunk_size)
    bad = ~xp.isfinite(evidence)
    status = xp.where(bad, xp.full_like(state.status, NONFINITE), state.status)
    return means, state.covariances, state.proportions, evidence, labels, state.n_iter, status


def mixture_init(
    x, centroids, /, *, weights=None, covariance="full", reg_covar=1e-6, chunk_size=None
):
    """The state before the first iteration: every row belongs to its nearest centroid.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    weights, covariance, reg_covar, chunk_size
        As for `gaussian_mixture`.

    Returns
    -------
    MixtureState

    Raises
    ------
    TypeError, ValueError
        As `gaussian_mixture`.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import mixture_init, mixture_step
    >>> x, centroids = np.array([[0.0], [1.0], [10.0], [12.0]]), np.array([[0.0], [10.0]])
    >>> state = mixture_step(x, mixture_init(x, centroids, covariance="diag"), covariance="diag")
    >>> state.means + state.origin
    array([[ 0.5],
           [11. ]])
    """
    xp, x = check_points(x=x)
    centroids = check_features(xp, x, centroids=centroids)
    weights = check_weights(xp, x, weights)
    check_finite(x=x, centroids=centroids)
    options = _options(x, centroids.shape[-2], covariance, reg_covar, 1, 0.0, chunk_size)
    return MixtureState(*_init_program(x, centroids, weights, **options))


def mixture_step(
    x,
    state,
    /,
    *,
    weights=None,
    covariance="full",
    reg_covar=1e-6,
    max_iter=100,
    tol=1e-3,
    chunk_size=None,
):
    """One iteration: responsibilities, and the components that maximise what they expect.

    Parameters
    ----------
    x : array (..., n, d)
    state : MixtureState
    weights, covariance, reg_covar, max_iter, tol, chunk_size
        As for `gaussian_mixture`, and the same as for `mixture_init`.

    Returns
    -------
    MixtureState
        Its ``status`` is RUNNING until ``tol`` or ``max_iter`` ends the loop.

    Raises
    ------
    TypeError, ValueError
        As `gaussian_mixture`.

    Notes
    -----
    Has no derivative.

    Examples
    --------
    See `mixture_init`.
    """
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights)
    k = state.means.shape[-2]
    options = _options(x, k, covariance, reg_covar, max_iter, tol, chunk_size)
    return MixtureState(*_step_program(x, weights, *state, **options))


def gaussian_mixture(
    x,
    k,
    /,
    *,
    key,
    init="kmeans",
    weights=None,
    covariance="full",
    reg_covar=1e-6,
    max_iter=100,
    tol=1e-3,
    chunk_size=None,
):
    """Gaussian mixture by expectation maximisation.

    Parameters
    ----------
    x : array (..., n, d)
    k : int
        Number of components.
    key : int, array (..., 2) or generator
        As for `kmeans`.
    init : str, array (..., k, d) or callable
        "kmeans", or as for `kmeans`. Each row first belongs to the nearest of these
        centroids.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    covariance : {"full", "tied", "diag", "spherical"}
        Of every component one matrix, of all together one, of every component one
        variance a column, or one in all.
    reg_covar : float
        Added to all variances, in squared units of ``x``.
    max_iter : int
    tol : float
        A bound on the change of the mean log likelihood in an iteration.
    chunk_size : int, optional
        Rows that are held against all components at a time; chosen by the cache if None.

    Returns
    -------
    MixtureResult

    Raises
    ------
    TypeError, ValueError
        As `kmeans`, and for ``covariance`` and ``reg_covar``. A covariance that is not
        positive definite, also by rounding, ends the loop with the status NONFINITE.

    Notes
    -----
    All probabilities are logarithms, and second moments are of deviations from the means
    before, so that little cancels. A component without rows stays as it is, with
    proportion 0. With equal proportions and one variance for all that goes to 0, the
    iteration becomes that of `lloyd`.

    The fit has no derivative; `mixture_log_prob` and `mixture_responsibilities` have.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete
       data via the EM algorithm", JRSS B 39(1), 1977 (section 4.3).
    .. [2] C. M. Bishop, "Pattern recognition and machine learning", Springer, 2006
       (section 9.3.2: k-means as the limit).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import gaussian_mixture
    >>> x = np.array([[0.0], [1.0], [2.0], [10.0], [12.0], [14.0]])
    >>> result = gaussian_mixture(x, 2, key=0, covariance="diag")
    >>> np.sort(result.covariances[:, 0]).round(3)
    array([0.667, 2.667])
    """
    xp, x = check_points(x=x)
    k = check_k(k, x)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    options = _options(x, k, covariance, reg_covar, max_iter, tol, chunk_size)
    if isinstance(init, str) and init == "kmeans":
        centroids = kmeans(
            stop_gradient(x), k, key=key, weights=stop_gradient(weights), chunk_size=chunk_size
        ).centroids
    else:
        start, words = check_init(init, 1, None), as_key(key, xp, device(x))
        centroids = initial_centroids(xp, x, k, start, words, weights, "sqeuclidean")
    means, covariances, *rest = _fit(x, centroids, weights, **options)
    means = xp.astype(means, x.dtype, copy=False)
    return MixtureResult(means, narrow(covariance, covariances), *rest)


def _options(x, k, covariance, reg_covar, max_iter, tol, chunk_size):
    check_option("covariance", covariance, COVARIANCES)
    if not 0 <= reg_covar < float("inf"):
        msg = f"reg_covar must be finite and not negative, got {reg_covar}"
        raise ValueError(msg)
    return {
        "kind": covariance,
        "reg_covar": float(reg_covar),
        "max_iter": check_integer("max_iter", max_iter, 1),
        "tol": centroid_shift(tol).bound,
        "chunk_size": check_chunk_size(chunk_size),
        **sizes_of(covariance, k, x.shape[-1]),
    }
