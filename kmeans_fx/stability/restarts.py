"""Fits from several starts: how alike they are, and which of them got stuck."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer
from kmeans_fx._backend.random import split
from kmeans_fx.algorithms.kmeans import lowest
from kmeans_fx.algorithms.lloyd import lloyd
from kmeans_fx.init import kmeans_plusplus
from kmeans_fx.stability._shared import alike, checked, ratio

__all__ = ["InertiaTrace", "RestartAgreement", "inertia_trace", "restart_agreement"]


class RestartAgreement(NamedTuple):
    """Fits from several starts, and how alike they are.

    Attributes
    ----------
    agreement : array (r, r)
        Adjusted Rand index of each two fits: 1 for the same clusters, 0 on average for
        random ones.
    mean : array ()
        Its mean over the pairs of different fits.
    labels : integer array (r, n)
    inertia : array (r,)
    best : integer array ()
        The fit of the lowest inertia.
    """

    agreement: Any
    mean: Any
    labels: Any
    inertia: Any
    best: Any


class InertiaTrace(NamedTuple):
    """The inertia along the iterations from several starts.

    Attributes
    ----------
    history : array (r, max_iter)
        Inertia at the start of every iteration, then NaN.
    inertia : array (r,)
        At the end.
    n_iter : integer array (r,)
    best : integer array ()
        The start that ended lowest.
    excess : array (r,)
        By which share the end is above the lowest.
    local_minimum : boolean array (r,)
        The warning: this start ended above the lowest by more than ``rtol``, so it is
        certainly stuck. A start without it may be stuck as well, with all others.
    """

    history: Any
    inertia: Any
    n_iter: Any
    best: Any
    excess: Any
    local_minimum: Any


def restart_agreement(
    x, k, /, *, key, n_init=10, weights=None, metric="sqeuclidean", max_iter=300, tol=1e-4
):
    """Whether fits from different starts find the same clusters.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters.
    key : int, array (2,) or generator
        Source of all randomness; see `kmeans_fx.kmeans`.
    n_init : int
        Starts by k-means++, r.
    weights : array (n,), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, max_iter, tol
        As for `kmeans_fx.lloyd`.

    Returns
    -------
    RestartAgreement

    Raises
    ------
    TypeError, ValueError
        As `kmeans_fx.kmeans`, and if there are fewer than two starts.

    Notes
    -----
    Agreement says that the optimum is easy to find, not that the clusters are real: a
    single elongated group may be cut at the same place every time.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.stability import restart_agreement
    >>> x = np.array([[0.0], [1.0], [20.0], [21.0]])
    >>> float(restart_agreement(x, 2, key=0, n_init=3).mean)
    1.0
    """
    xp, x, k, weights, words = checked(x, k, weights, key)
    n_init = check_integer("n_init", n_init, 2)
    options = {"weights": weights, "metric": metric, "max_iter": max_iter, "tol": tol}
    fits = _restarts(x, k, words, n_init, options)
    # In turn: all pairs at once would hold r^2 labelings.
    rows = [alike(fits.labels[i, :], fits.labels, k, weights, x) for i in range(n_init)]
    agreement = xp.stack(rows)
    mean = (xp.sum(agreement) - n_init) / (n_init * (n_init - 1))
    return RestartAgreement(agreement, mean, fits.labels, fits.inertia, lowest(fits.inertia))


def inertia_trace(
    x,
    k,
    /,
    *,
    key,
    n_init=10,
    weights=None,
    metric="sqeuclidean",
    max_iter=100,
    tol=0.0,
    rtol=1e-3,
):
    """The inertia of every iteration from several starts, and which of them got stuck.

    Parameters
    ----------
    x : array (n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters.
    key : int, array (2,) or generator
        Source of all randomness; see `kmeans_fx.kmeans`.
    n_init : int
        Starts by k-means++, r.
    weights : array (n,), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, max_iter, tol
        As for `kmeans_fx.lloyd`.
    rtol : float
        An end above the lowest by more than this share is a local minimum.

    Returns
    -------
    InertiaTrace

    Raises
    ------
    TypeError, ValueError
        As `kmeans_fx.kmeans`, and if ``rtol`` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.stability import inertia_trace
    >>> x = np.array([[0.0], [1.0], [20.0], [21.0]])
    >>> inertia_trace(x, 2, key=0, n_init=3).local_minimum
    array([False, False, False])
    """
    if not rtol >= 0:
        msg = f"rtol must not be negative, got {rtol}"
        raise ValueError(msg)
    xp, x, k, weights, words = checked(x, k, weights, key)
    n_init = check_integer("n_init", n_init, 1)
    options = {"weights": weights, "metric": metric, "max_iter": max_iter, "tol": tol}
    fits = _restarts(x, k, words, n_init, {**options, "history": True})
    least = xp.min(fits.inertia)
    excess = ratio(xp, fits.inertia - least, least)
    best = lowest(fits.inertia)
    return InertiaTrace(fits.history, fits.inertia, fits.n_iter, best, excess, excess > rtol)


def _restarts(x, k, words, n_init, options):
    """All fits from so many starts, as a batch."""
    starts = kmeans_plusplus(
        x, k, key=split(words, n_init), weights=options["weights"], metric=options["metric"]
    )
    return lloyd(x, starts, **options)
