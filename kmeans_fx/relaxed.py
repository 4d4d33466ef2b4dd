"""Hard choices that pass a gradient: straight through, and by Gumbel noise."""

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key, uniform
from kmeans_fx._backend.segment import one_hot
from kmeans_fx._backend.transform import stop_gradient
from kmeans_fx._soft import check_parameter, soft_scores, softmax
from kmeans_fx.assign import soft_assign

__all__ = ["gumbel_assign", "straight_through_assign"]


def straight_through_assign(x, centroids, /, *, temperature=1.0, metric="sqeuclidean"):
    """One-hot nearest centroids whose derivative is that of `soft_assign`.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    temperature : float or array (...)
        Of the derivative; the values do not depend on it.
    metric : str or Metric

    Returns
    -------
    array (..., n, k)
        Rows of one 1 and zeros. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        As `soft_assign`.

    Notes
    -----
    The value is hard, the slope soft: a biased gradient, of lower variance than one by
    sampling. Ties go to the first centroid.

    References
    ----------
    .. [1] Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients
       through stochastic neurons for conditional computation", arXiv:1308.3432, 2013
       (section 4).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import straight_through_assign
    >>> straight_through_assign(np.array([[0.4]]), np.array([[0.0], [1.0]]))
    array([[1., 0.]])
    """
    return _straight_through(soft_assign(x, centroids, temperature=temperature, metric=metric))


def gumbel_assign(
    x,
    centroids,
    /,
    *,
    key,
    temperature=1.0,
    relaxation=1.0,
    hard=False,
    metric="sqeuclidean",
):
    """A sample of labels from the responsibilities, relaxed so that it has a derivative.

    Parameters
    ----------
    x : array (..., n, d)
    centroids : array (..., k, d)
    key : int, array (..., 2) or generator
        As for `kmeans`. The members of a batch share the noise of a key of shape (2,).
    temperature : float or array (...)
        Of the responsibilities that are sampled, as for `soft_assign`.
    relaxation : float or array (...)
        Positive. Towards 0 the result becomes one-hot and its derivative wilder; the
        place of its largest entry does not depend on it.
    hard : bool
        Whether to return one-hot samples with the derivative of the relaxed ones.
    metric : str or Metric

    Returns
    -------
    array (..., n, k)
        Rows sum to 1. The place of the largest entry has the distribution that
        `soft_assign` gives. In the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        As `soft_assign`, and for ``key`` and ``relaxation``.

    Notes
    -----
    Differentiable in ``x``, ``centroids``, ``temperature`` and ``relaxation``, with the
    noise held. The same key gives the same noise on every backend.

    References
    ----------
    .. [1] E. Jang, S. Gu, B. Poole, "Categorical reparameterization with Gumbel-softmax",
       ICLR 2017 (equation 2; "hard" is section 2.2).
    .. [2] C. J. Maddison, A. Mnih, Y. W. Teh, "The concrete distribution", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import gumbel_assign
    >>> gumbel_assign(np.array([[0.4], [0.6]]), np.array([[0.0], [1.0]]), key=0, hard=True)
    array([[0., 1.],
           [0., 1.]])
    """
    scores = soft_scores(x, centroids, temperature, metric)
    xp = array_namespace(scores=scores)
    relaxation = check_parameter(scores, 0.0, relaxation=relaxation)[..., None, None]
    (noise,) = _gumbel_noise(scores, as_key(key, xp, device(scores)))
    sample = softmax((scores + noise) / relaxation)
    return _straight_through(sample) if hard else sample


@program("nk w", "nk")
def _gumbel_noise(scores, key):
    """Standard Gumbel noise: a program, because compilers take long over a key."""
    xp = array_namespace(scores=scores)
    # Half a step away from 0 and 1, where a logarithm is infinite.
    draws = uniform(key, scores.shape[-2:], scores.dtype) + 2.0**-24
    batch = broadcast_shapes(tuple(scores.shape[:-2]), tuple(key.shape[:-1]))
    return (xp.broadcast_to(-xp.log(-xp.log(draws)), (*batch, *scores.shape[-2:])),)


def _straight_through(shares):
    """One-hot largest shares, with the derivative of the shares."""
    xp = array_namespace(shares=shares)
    hard = one_hot(xp, xp.argmax(shares, axis=-1), shares.shape[-1], shares.dtype)
    return hard + (shares - stop_gradient(shares))
