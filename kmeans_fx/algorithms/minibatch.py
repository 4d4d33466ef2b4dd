"""Mini-batch k-means: centroids that follow random batches, for data that do not fit."""

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_integer,
    check_number,
    check_points,
    check_weights,
)
from kmeans_fx._backend.namespace import device
from kmeans_fx._backend.random import as_key
from kmeans_fx._ranks import knows_ranks
from kmeans_fx.algorithms._minibatch import MiniBatchState, Rules, initial_minibatch
from kmeans_fx.algorithms._minibatch_fit import MiniBatchResult, fit_array, step_minibatch
from kmeans_fx.algorithms._minibatch_iterable import fit_batches
from kmeans_fx.algorithms._online import check_online_metric
from kmeans_fx.algorithms._samples import Search
from kmeans_fx.algorithms.kmeans import check_init
from kmeans_fx.assign import check_chunk_size

__all__ = [
    "MiniBatchResult",
    "MiniBatchState",
    "minibatch_init",
    "minibatch_kmeans",
    "minibatch_step",
]


def minibatch_init(centroids, /, *, metric="sqeuclidean"):
    """The state before the first batch, for loops of your own.

    Parameters
    ----------
    centroids : array (..., k, d)
        To start from. The first rows that a centroid gets replace it.
    metric : str or Metric
        As for `minibatch_kmeans`.

    Returns
    -------
    MiniBatchState

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of a wrong dtype or shape, or an unknown name; in an
        eager call also if a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import minibatch_init, minibatch_step
    >>> state = minibatch_init(np.array([[0.0], [9.0]]))
    >>> for batch in (np.array([[1.0], [10.0]]), np.array([[2.0], [12.0], [14.0]])):
    ...     state = minibatch_step(batch, state, key=0)
    >>> state.centroids + state.origin
    array([[ 1.5],
           [12. ]])
    >>> state.counts
    array([2., 3.])
    """
    check_online_metric(metric)
    _, centroids = check_points(centroids=centroids)
    check_finite(centroids=centroids)
    return initial_minibatch(centroids, metric)


def minibatch_step(
    x,
    state,
    /,
    *,
    key,
    weights=None,
    metric="sqeuclidean",
    reassignment_ratio=0.01,
    smoothing=0.1,
    tol=0.0,
    max_no_improvement=10,
    max_steps=None,
    chunk_size=None,
    reduce=None,
):
    """One step: assign a batch, move every centroid towards the mean of its rows.

    A centroid is the mean of all rows that it ever got: its step is the share of the
    batch in their weight, so that it settles as the weight grows.

    Parameters
    ----------
    x : array (..., n, d)
        The batch. Batches may differ in size.
    state : MiniBatchState
    key : int, array (..., 2) or generator
        For reassignment. The number of the step is folded in: give all steps the same.
    weights, metric, reassignment_ratio
        As for `minibatch_kmeans`, and the same in every step.
    smoothing : float
        Share of the newest batch in the smoothed inertia, above 0 and at most 1.
    tol, max_no_improvement
        As for `minibatch_kmeans`.
    max_steps : int, optional
        Ask to stop after so many steps.
    chunk_size : int, optional
        As for `lloyd`.
    reduce : callable, optional
        As for `lloyd`: ``x`` is the part of the batch that this process has. Without a
        ``rank`` and a ``size`` it needs a ``reassignment_ratio`` of 0.

    Returns
    -------
    MiniBatchState
        Its ``status`` is RUNNING until a rule or ``max_steps`` asks to stop. Steps after
        that go on learning.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, out of
        range, or an unknown name. Values that are not finite are reported in ``status``.

    Notes
    -----
    Has no derivative.

    References
    ----------
    .. [1] D. Sculley, "Web-scale k-means clustering", WWW 2010 (algorithm 1).

    Examples
    --------
    See `minibatch_init`.
    """
    xp, x = check_points(x=x)
    check_features(xp, x, state=state.centroids)
    weights = check_weights(xp, x, weights, of_all=reduce is None)
    stop = (tol, max_no_improvement, max_steps)
    rules = check_rules(metric, reassignment_ratio, smoothing, *stop, chunk_size, reduce)
    return step_minibatch(x, weights, as_key(key, xp, device(x)), state, rules)


def minibatch_kmeans(
    x,
    k,
    /,
    *,
    key,
    init="k-means++",
    n_init=1,
    init_size=None,
    weights=None,
    metric="sqeuclidean",
    batch_size=4096,
    run_length=None,
    max_iter=100,
    tol=0.0,
    max_no_improvement=10,
    reassignment_ratio=0.01,
    smoothing=None,
    labels=True,
    chunk_size=None,
    reduce=None,
):
    """k-means from batches, with memory for one batch: of an array, a file or a stream.

    Parameters
    ----------
    x : array (n, d) or iterable
        Rows to cluster: an array in memory; a memory-mapped file (``numpy.memmap``, or
        ``numpy.load`` with ``mmap_mode="r"``), which is never loaded; or batches, each
        an array (m, d) or a pair of such rows and their weights (m,).
    k : int
        Number of clusters.
    key : int, array (2,) or generator
        Source of all randomness, as for `kmeans`.
    init : str, array (k, d) or callable
        As for `kmeans`, on a sample of the rows; on the first batches of an iterable.
    n_init : int
        Initial centroids to try, each on a sample of its own. The one with the lowest
        inertia on yet another sample begins.
    init_size : int, optional
        Rows of a sample; ``max(3 * batch_size, 3 * k)`` if None.
    weights : array (n,), optional
        Not negative, of an array's rows. A row of weight m acts as m copies of it in
        its batch; batches are drawn without regard to weights.
    metric : str or Metric
        One whose centre follows from the mean (all but "manhattan" by name).
    batch_size : int
        Rows of a batch that is drawn from an array.
    run_length : int, optional
        Neighbouring rows that are drawn together: 1 is plain sampling with replacement.
        If None, 1 in memory and as many as 64 KiB hold in a mapped file, where a row
        costs as much to read as its neighbourhood. See Notes.
    max_iter : int
        Limit of steps, in passes over the rows. An iterator has one pass.
    tol : float
        Stop when the squared shift of the centroids in a step is at most this many times
        the batch's mean per-feature variance. 0 never stops.
    max_no_improvement : int, optional
        Stop after so many batches in a row without a new minimum of the smoothed
        inertia; None never stops.
    reassignment_ratio : float
        From 0, never, to 1. A centroid with less than this share of the largest count
        moves to a random row of the batch, and its count to the least of the others.
        This is looked for whenever a weight of 10 k has come, or a count is 0.
    smoothing : float, optional
        Share of the newest batch in the smoothed inertia, above 0 and at most 1. If
        None, that of a mean over one pass over the array, but at least 0.02.
    labels : bool
        Whether to label the rows of an array at the end, in blocks: one more pass. The
        batches of an iterable are gone by then.
    chunk_size : int, optional
        As for `lloyd`.
    reduce : callable, optional
        As for `lloyd`, one of `kmeans_fx.distributed`: ``x`` is an array of those rows that
        this process has. Of a batch or a sample every process draws its part, in
        proportion to its rows.

    Returns
    -------
    MiniBatchResult

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, out of
        range, or an unknown name; if an iterable has fewer than k rows; in an eager call
        also if a value that was read is not finite, or weights are negative or sum to
        zero.

    Notes
    -----
    With ``batch_size`` of at least n, every batch is all rows. Then, and with an
    ``init_size`` of at least n, a fit with ``reduce`` is that of one process.

    A run begins at a row drawn uniformly, and goes on from the first row after the last,
    so all rows are equally likely in a batch. If neighbours in the file are alike,
    with a correlation r of what belongs to them, a batch in runs of m rows is worth as
    many independent rows as its size over ``1 + (m - 1) r``: nothing is lost in a
    shuffled file, and in a sorted one a batch is worth as many rows as it has runs.
    Shuffle such a file once, or choose a larger batch or shorter runs.

    The same key gives the same batches on every backend. Has no derivative. An array is
    clustered in one program, also under jit; JAX compiles a step once for every size of
    batch that an iterable has.

    References
    ----------
    .. [1] D. Sculley, "Web-scale k-means clustering", WWW 2010 (algorithm 1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import minibatch_kmeans
    >>> x = np.random.default_rng(0).normal(size=(9000, 2)) + np.repeat([[0.0], [9.0]], 4500, 0)
    >>> result = minibatch_kmeans(x, 2, key=0, batch_size=256)
    >>> np.sort(result.centroids[:, 0]).round().tolist()
    [0.0, 9.0]
    >>> result.labels.shape
    (9000,)
    """
    k, size = check_integer("k", k, 1), check_integer("batch_size", batch_size, 1)
    max_iter = check_integer("max_iter", max_iter, 1)
    stop = (tol, max_no_improvement, None)
    rules = check_rules(metric, reassignment_ratio, smoothing, *stop, chunk_size, reduce)
    search = check_search(init, n_init, init_size, k, size, metric, reduce)
    if hasattr(x, "shape"):
        length = None if run_length is None else check_integer("run_length", run_length, 1)
        return fit_array(x, k, key, weights, search, rules, size, length, max_iter, bool(labels))
    if reduce is not None:
        msg = "x must be an array with reduce=; for batches of your own call minibatch_step"
        raise ValueError(msg)
    if weights is not None:
        msg = "weights must come with the batches, as pairs (rows, weights), if x is an iterable"
        raise ValueError(msg)
    if not hasattr(x, "__iter__"):
        msg = f"x must be an array or an iterable of batches, got {type(x).__name__}"
        raise TypeError(msg)
    return fit_batches(x, k, key, search, rules, max_iter)


def check_rules(
    metric, ratio, smoothing, tol, max_no_improvement, max_steps, chunk_size, reduce=None
):
    """The Rules of a call, or an error that names the argument."""
    check_online_metric(metric)
    ratio = _check_number("reassignment_ratio", ratio, most=1.0)
    if ratio > 0 and reduce is not None and not knows_ranks(reduce):
        msg = f"reassignment_ratio must be 0 if reduce has no rank and no size, got {ratio}"
        raise ValueError(msg)
    tol = _check_number("tol", tol)
    if smoothing is not None:
        smoothing = _check_number("smoothing", smoothing, most=1.0)
        if smoothing == 0:
            msg = "smoothing must be positive, got 0"
            raise ValueError(msg)
    if max_no_improvement is not None:
        max_no_improvement = check_integer("max_no_improvement", max_no_improvement, 1)
    if max_steps is not None:
        max_steps = check_integer("max_steps", max_steps, 1)
    stop = (tol, max_no_improvement, max_steps)
    return Rules(metric, ratio, smoothing, *stop, check_chunk_size(chunk_size), reduce)


def _check_number(name, value, most=float("inf")):
    """A number from 0 to ``most``."""
    value = check_number(name, value)
    if not 0 <= value <= most or value == float("inf"):
        limit = "finite and not negative" if most == float("inf") else f"from 0 to {most:g}"
        msg = f"{name} must be {limit}, got {value}"
        raise ValueError(msg)
    return value


def check_search(init, n_init, init_size, k, batch_size, metric, reduce=None):
    """How initial centroids are to be found."""
    n_init = check_integer("n_init", n_init, 1)
    start = check_init(init, n_init, reduce)
    size = max(3 * batch_size, 3 * k) if init_size is None else init_size
    return Search(start, n_init, check_integer("init_size", size, k), metric, reduce)
