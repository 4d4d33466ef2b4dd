"""Lloyd's algorithm: assign every row to its nearest centroid, move centroids to means."""

from functools import partial

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_k_each,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import any_member, while_loop
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_numpy_namespace,
    is_torch_namespace,
)
from kmeans_fx._backend.random import as_key
from kmeans_fx._backend.transform import is_concrete, jit
from kmeans_fx._empty import fill_empty
from kmeans_fx._partition import Space, cluster_centres, partition
from kmeans_fx._ranks import agreed, from_first, rows_of_all
from kmeans_fx._result import KMeansResult, attach_gradients
from kmeans_fx.algorithms._options import Options, check_options
from kmeans_fx.algorithms._passes import choose_partition
from kmeans_fx.algorithms._state import (
    LloydState,
    advance,
    finish,
    initial_state,
    present_clusters,
    without_rows,
)
from kmeans_fx.algorithms._strides import looks_rarely, runs_ahead
from kmeans_fx.converge import NONFINITE, RUNNING, STOPPED, reads
from kmeans_fx.distances import as_metric

__all__ = ["LloydState", "lloyd", "lloyd_init", "lloyd_step"]


FIT = "nd kd n w .", "kd n:index n:index . .:index .:index h"


@program(*FIT, by_numpy=True)
def _fit(x, centroids, weights, key, k_each, **fields):
    """Lloyd's algorithm as one operation."""
    options = Options(**fields)
    present = present_clusters(array_namespace(x=x), centroids, k_each)
    state = initial_state(x, centroids, weights, key, options, present)
    assigned = choose_partition(x, state.centroids, options)
    state = iterate(x, weights, key, state, options, present, assigned)
    return finish(x, weights, state, options, present, assigned)


def iterate(x, weights, key, state, options, present=None, assigned=None):
    """Lloyd's iterations, until the status of the state is no longer RUNNING."""
    assigned = assigned or choose_partition(x, state.centroids, options)
    step = partial(_step, x, weights, key, options=options, assigned=assigned, present=present)
    step = looks_rarely(step, x, options, present)
    step = runs_ahead(step, x, weights, options, present, assigned)
    if options.callback is not None:
        step = _announced(jit(step, x), options.callback)
    return while_loop(
        lambda state: state.status == RUNNING,
        step,
        state,
        max_steps=options.max_iter,
        eager=options.callback is not None,
    )


def _step(x, weights, key, state, *, options, assigned=partition, present=None):
    """One iteration."""
    space = Space(as_metric(options.metric), state.origin, options.chunk_size)
    dropped = without_rows(state, present, options)
    track = options.h > 0 or reads(options.rule, "inertia")

    part = assigned(x, state.centroids, weights, space, dropped=dropped, distances=track)
    stats = part.stats if options.reduce is None else options.reduce(part.stats)
    centroids = cluster_centres(x, part.labels, weights, stats, state.centroids, space)
    labels, counts = part.labels, stats.counts
    centroids = fill_empty(
        options.empty, x, weights, key, labels, counts, centroids, state, space, present
    )
    return advance(state, labels, centroids, stats, weights, track, options)


def _announced(step, callback):
    """A step that shows its state to the caller, who may stop."""

    def announced(state):
        state = step(state)
        if callback(state):
            state = state._replace(status=state.status * 0 + STOPPED)
        return state

    return announced


def lloyd_init(
    x,
    centroids,
    /,
    *,
    weights=None,
    metric="sqeuclidean",
    tol=1e-4,
    empty="farthest",
    chunk_size=None,
    reduce=None,
):
    """The state before the first iteration, for loops of your own.

    Parameters
    ----------
    x, centroids, weights, metric, tol, empty, chunk_size, reduce
        As for `lloyd`.

    Returns
    -------
    LloydState

    Raises
    ------
    TypeError, ValueError
        As `lloyd`.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import lloyd_init, lloyd_step
    >>> x, centroids = np.array([[0.0], [1.0], [10.0]]), np.array([[0.0], [1.0]])
    >>> state = lloyd_step(x, lloyd_init(x, centroids))
    >>> state.centroids + state.origin
    array([[0. ],
           [5.5]])
    """
    _, x, centroids, weights = _check_start(x, centroids, weights, reduce)
    check_finite(x=x, centroids=centroids)
    _check_size(x, centroids, reduce)
    options = check_options(x, metric, 1, tol, empty, 0, "lloyd", chunk_size, reduce, None, False)
    fields = options.crossing()
    return LloydState(*_init_program(x, centroids, weights, portable=options.portable, **fields))


def lloyd_step(
    x,
    state,
    /,
    *,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    empty="farthest",
    key=None,
    chunk_size=None,
    reduce=None,
):
    """One iteration: assign, update, fill empty clusters, decide whether to go on.

    Parameters
    ----------
    x : array (..., n, d)
    state : LloydState
    weights, metric, max_iter, tol, empty, key, chunk_size, reduce
        As for `lloyd`, and the same as for `lloyd_init`.

    Returns
    -------
    LloydState
        Its ``status`` is RUNNING until a rule or ``max_iter`` ends the loop.

    Raises
    ------
    TypeError, ValueError
        As `lloyd`.

    Notes
    -----
    Has no derivative: see `lloyd`.

    Examples
    --------
    See `lloyd_init`.
    """
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights, of_all=reduce is None)
    options = check_options(
        x, metric, max_iter, tol, empty, key, "lloyd", chunk_size, reduce, None, False
    )
    arrays = (x, weights, _words(key, xp, x), *state)
    fields = options._replace(h=state.history.shape[-1]).crossing()
    return LloydState(*_step_program(*arrays, portable=options.portable, **fields))


_STATE = "kd n:index k d . . . . .:index .:index h"


@program("nd kd n", _STATE)
def _init_program(x, centroids, weights, **options):
    return initial_state(x, centroids, weights, None, Options(**options))


@program("nd n w " + _STATE.replace(":index", ""), _STATE)
def _step_program(x, weights, key, *state, **options):
    return _step(x, weights, key, LloydState(*state), options=Options(**options))


def lloyd(
    x,
    centroids,
    /,
    *,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    empty="farthest",
    key=None,
    algorithm="auto",
    chunk_size=None,
    reduce=None,
    callback=None,
    history=False,
    k_each=None,
):
    """Lloyd's algorithm from given centroids.

    Parameters
    ----------
    x : array (..., n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    centroids : array (..., k, d)
        To start from. Leading dimensions broadcast with those of ``x``: one ``x`` of
        (n, d) with centroids (r, k, d) is r restarts.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric : str or Metric
        "sqeuclidean", "euclidean", "manhattan", "cosine" or one of your own. The
        centre is the mean, also (by convention) for "euclidean"; the per-feature
        median for "manhattan"; the normalised mean of directions for "cosine".
    max_iter : int
    tol : float or Rule
        A bound on the squared shift of the centroids, relative to the data's mean
        per-feature variance, or a rule such as `label_change`. 0 runs to the fixed
        point, where no label changes, which always ends the loop.
    empty : {"farthest", "random", "split", "merge", "keep"}
        What becomes of a cluster without rows: it moves to the row farthest from its
        centroid, moves to a random row (needs ``key``), takes half of the largest
        cluster, is dropped (a copy of its nearest neighbour that gets no rows), or
        stays where it is.
    key : int, array or generator, optional
        For ``empty="random"``.
    algorithm : {"auto", "lloyd", "bounded"}
        How rows find their centroid, with the same partition to rounding: "lloyd"
        searches for every row, "bounded" skips rows that provably stay (Hamerly's
        bounds [2]_), "auto" goes over to bounds on large problems while they pay.
        Bounds are kept on NumPy and PyTorch, and on a CPU also on JAX where there are
        many rows, for one problem at a time with a metric of the Euclidean family;
        everything else searches.
    chunk_size : int, optional
        Rows that are held against all centroids at a time; chosen by the cache if
        None.
    reduce : callable, optional
        ``ClusterStats -> ClusterStats``: adds the statistics of all processes, each
        of which holds some of the rows (``lax.psum``, an all-reduce). Those of
        `kmeans_fx.distributed` also see to it that all processes start from what the
        first one was given, and stop together when one is given something wrong.
    callback : callable, optional
        ``LloydState -> bool or None`` after every iteration of an eager call; True
        stops.
    history : bool
        Whether to record the inertia of every iteration, which costs a pass more.
    k_each : integer array (...), optional
        The number of clusters of each problem, from 1 to k, where they differ: the first
        so many centroids take part. The others are returned as copies of their nearest
        neighbour, and no row has their label.

    Returns
    -------
    KMeansResult

    Raises
    ------
    TypeError, ValueError
        If an argument is no array, of another library, dtype, shape or device, or an
        unknown name; in an eager call also if a value is not finite, or the weights
        are negative or sum to zero. A traced call reports these as the status
        NONFINITE.

    Notes
    -----
    ``centroids`` and ``inertia`` of the result are differentiable in ``x`` and
    ``weights``: exactly almost everywhere at a fixed point, in any framework and
    with memory that does not grow with the iterations. The gradient of an empty
    cluster is 0. There is no gradient in the initial centroids.

    Ties go to the first centroid. In-loop arithmetic is on centred rows.

    References
    ----------
    .. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory
       28(2), 1982 (Method I).
    .. [2] G. Hamerly, "Making k-means even faster", SDM 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import lloyd
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> result = lloyd(x, np.array([[0.0], [1.0]]))
    >>> result.centroids
    array([[ 0.5],
           [10.5]])
    """

    def check():
        xp, rows, start, shares = _check_start(x, centroids, weights, reduce)
        if _looks_first(xp, reduce):
            check_finite(x=rows, centroids=start)
        options = check_options(
            rows,
            metric,
            max_iter,
            tol,
            empty,
            key,
            algorithm,
            chunk_size,
            reduce,
            callback,
            history,
        )
        return xp, rows, start, shares, options

    same = {"shape of centroids": getattr(centroids, "shape", None)}
    xp, x, centroids, weights, options = agreed(reduce, check, **same)
    _check_size(x, centroids, reduce)
    centroids = from_first(centroids, reduce)
    if callback is not None and max(x.ndim, centroids.ndim) > 2:
        msg = "callback needs a single problem: x of shape (n, d) and centroids of shape (k, d)"
        raise ValueError(msg)
    k_each = check_k_each(xp, x, k_each, centroids.shape[-2])
    result = fit(x, centroids, weights, _words(key, xp, x), options, k_each=k_each)
    if not _looks_first(xp, reduce):
        _find_fault(result.status, x=x, centroids=centroids)
    return result


def fit(x, centroids, weights, key, options, run=_fit, k_each=None):
    """Lloyd's algorithm, or another program that ends with it, on checked arguments."""
    arrays = (x, centroids, weights, key, k_each)
    outputs = run(*arrays, portable=options.portable, **options.crossing())
    xp = array_namespace(x=x)
    centroids, previous, *rest = outputs
    result = KMeansResult(xp.astype(centroids, x.dtype, copy=False), *rest)
    metric = as_metric(options.metric)
    return attach_gradients(x, weights, previous, result, metric, options.reduce)


def _check_start(x, centroids, weights, reduce):
    xp, x = check_points(x=x)
    centroids = check_features(xp, x, centroids=centroids)
    weights = check_weights(xp, x, weights, of_all=reduce is None)
    return xp, x, centroids, weights


def _looks_first(xp, reduce):
    """Whether values are checked before a fit. Else its status tells, which costs no pass.

    Ranks agree before they begin, and a call of JAX does not wait for its result.
    """
    return reduce is not None or not (is_numpy_namespace(xp) or is_torch_namespace(xp))


def _find_fault(status, **arrays):
    """`check_finite` of an eager call whose status says that a value was not."""
    if not is_concrete(status):
        return
    # PyTorch gives a number sooner than it compares one.
    found = any_member(status == NONFINITE) if status.ndim else int(status) == NONFINITE
    if found:
        check_finite(**arrays)


def _check_size(x, centroids, reduce):
    n, k = rows_of_all(x, reduce), centroids.shape[-2]
    if k > n:
        msg = f"centroids must be at most as many as rows, {n}, got {k}"
        raise ValueError(msg)


def _words(key, xp, x):
    return None if key is None else as_key(key, xp, device(x))
