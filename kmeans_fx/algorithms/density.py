"""What a Gaussian mixture says of rows: densities, responsibilities, information criteria."""

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_option,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import differentiable
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace
from kmeans_fx._backend.transform import stop_gradient
from kmeans_fx._partition import Space, map_rows
from kmeans_fx._soft import log_sum_exp, softmax
from kmeans_fx.algorithms._gaussians import (
    COVARIANCES,
    Components,
    log_joint,
    parameters_of,
    widen,
)
from kmeans_fx.distances import METRICS
from kmeans_fx.update import weighted_sum

__all__ = ["mixture_aic", "mixture_bic", "mixture_log_prob", "mixture_responsibilities"]


def mixture_log_prob(x, mixture, /, *, covariance="full"):
    """Log density of every row under a Gaussian mixture.

    Parameters
    ----------
    x : array (..., n, d)
    mixture : MixtureResult
        Or anything with ``means``, ``covariances`` and ``proportions``.
    covariance : {"full", "tied", "diag", "spherical"}
        The kind of ``mixture.covariances``.

    Returns
    -------
    array (..., n)
        In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or an
        unknown name.

    Notes
    -----
    Differentiable in ``x`` and the arrays of ``mixture``. NaN where a covariance is not
    positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import gaussian_mixture, mixture_log_prob
    >>> x = np.array([[0.0], [2.0]])
    >>> mixture = gaussian_mixture(x, 1, key=0, reg_covar=0.0)
    >>> mixture_log_prob(x, mixture).round(4)
    array([-1.4189, -1.4189])
    """
    return _evidence(*_checked(x, mixture, covariance), kind=covariance)[0]


def mixture_responsibilities(x, mixture, /, *, covariance="full"):
    """Probability of every component, given the row.

    Parameters
    ----------
    x, mixture, covariance
        As for `mixture_log_prob`.

    Returns
    -------
    array (..., n, k)
        Rows sum to 1. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        As `mixture_log_prob`.

    Notes
    -----
    Differentiable as `mixture_log_prob` is.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import gaussian_mixture, mixture_responsibilities
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> mixture = gaussian_mixture(x, 2, key=0)
    >>> mixture_responsibilities(x, mixture).max(axis=1).round(6)
    array([1., 1., 1., 1.])
    """
    return _posterior(*_checked(x, mixture, covariance), kind=covariance)[0]


def mixture_bic(x, mixture, /, *, covariance="full", weights=None):
    """Bayesian information criterion: the lower, the better.

    ``-2 log likelihood + p log n`` for p free parameters and n rows by weight.

    Parameters
    ----------
    x, mixture, covariance
        As for `mixture_log_prob`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (...)

    Raises
    ------
    TypeError, ValueError
        As `mixture_log_prob`, and for ``weights``.

    References
    ----------
    .. [1] G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6(2),
       1978.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import gaussian_mixture, mixture_bic
    >>> x = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> fits = [gaussian_mixture(x, k, key=0, covariance="tied") for k in (1, 2)]
    >>> [float(mixture_bic(x, fit, covariance="tied").round(2)) for fit in fits]
    [40.08, 30.08]
    """
    fit, free, total = _fit_and_size(x, mixture, covariance, weights)
    xp = array_namespace(fit=fit)
    return free * xp.log(total) - 2.0 * fit


def mixture_aic(x, mixture, /, *, covariance="full", weights=None):
    """Akaike information criterion: the lower, the better.

    ``-2 log likelihood + 2 p`` for p free parameters.

    Parameters
    ----------
    x, mixture, covariance, weights
        As for `mixture_bic`.

    Returns
    -------
    array (...)

    Raises
    ------
    TypeError, ValueError
        As `mixture_bic`.

    References
    ----------
    .. [1] H. Akaike, "A new look at the statistical model identification", IEEE Trans.
       Automatic Control 19(6), 1974.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import gaussian_mixture, mixture_aic
    >>> x = np.array([[0.0], [2.0]])
    >>> mixture = gaussian_mixture(x, 1, key=0, reg_covar=0.0)
    >>> float(mixture_aic(x, mixture).round(4))
    9.6758
    """
    fit, free, _ = _fit_and_size(x, mixture, covariance, weights)
    return 2.0 * free - 2.0 * fit


def _fit_and_size(x, mixture, kind, weights):
    """Log likelihood, number of free parameters and total weight."""
    rows = mixture_log_prob(x, mixture, covariance=kind)
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights)
    fit = weighted_sum(xp, rows, weights)
    total = weighted_sum(xp, xp.ones_like(rows), weights)
    return fit, float(parameters_of(kind, *mixture.means.shape[-2:])), total


def _checked(x, mixture, kind):
    """Rows, and the arrays of the mixture in their accumulation dtype."""
    check_option("covariance", kind, COVARIANCES)
    xp, x = check_points(x=x)
    means = check_features(xp, x, **{"mixture.means": mixture.means})
    check_finite(x=x)
    array_namespace(x=x, **{f"mixture.{f}": getattr(mixture, f) for f in _OTHERS})
    covariances, proportions = (getattr(mixture, f) for f in _OTHERS)
    k, d = means.shape[-2:]
    wanted = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]
    if tuple(covariances.shape[-len(wanted) :]) != wanted or proportions.shape[-1:] != (k,):
        msg = (
            f"mixture must have covariances (..., {', '.join(map(str, wanted))}) and proportions "
            f"(..., {k}) for {kind!r}, got {tuple(covariances.shape)} and "
            f"{tuple(proportions.shape)}"
        )
        raise ValueError(msg)
    dtype = accumulation_dtype(xp, x.dtype)
    return x, *(
        xp.astype(a, dtype, copy=False) for a in (means, widen(kind, covariances), proportions)
    )


_OTHERS = ("covariances", "proportions")


@differentiable("nd kd qef k", "n")
def _evidence(x, means, covariances, proportions, *, kind):
    joint, space = _model(means, covariances, proportions, kind)

    def block(part):
        logs, _ = joint(space.rows(part))
        return (log_sum_exp(logs, axis=-2)[..., 0, :],), ()

    (found,), _ = map_rows(block, (x,), means, 3 * means.shape[-2] * means.shape[-1], None)
    return (found,)


@differentiable("nd kd qef k", "nk")
def _posterior(x, means, covariances, proportions, *, kind):
    joint, space = _model(means, covariances, proportions, kind)
    xp = array_namespace(x=x)

    def block(part):
        logs, _ = joint(space.rows(part))
        return (xp.matrix_transpose(softmax(logs, axis=-2)),), ()

    (found,), _ = map_rows(block, (x,), means, 3 * means.shape[-2] * means.shape[-1], None)
    return (found,)


def _model(means, covariances, proportions, kind):
    """Log densities of rows that are relative to the mean of the means."""
    xp = array_namespace(means=means)
    space = Space(METRICS["sqeuclidean"], stop_gradient(xp.mean(means, axis=-2)), None)
    return log_joint(Components(space.relative(means), covariances, proportions), kind), space
