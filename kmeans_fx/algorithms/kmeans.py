"""The front door: initial centroids, restarts, Lloyd's algorithm, the best result."""

from functools import partial

from kmeans_fx._backend.checks import (
    check_features,
    check_finite,
    check_integer,
    check_k,
    check_k_each,
    check_option,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key, split
from kmeans_fx._ranks import agreed, from_first, rows_of_all
from kmeans_fx.algorithms._breathing import check_search
from kmeans_fx.algorithms._options import check_options
from kmeans_fx.algorithms.lloyd import fit
from kmeans_fx.init import INITS, kmeans_coreset, random_partition

__all__ = [
    "best_fit",
    "check_init",
    "check_start",
    "initial_centroids",
    "kmeans",
    "restart_keys",
    "shared_start",
]


def kmeans(
    x,
    k,
    /,
    *,
    key,
    init="k-means++",
    n_init=1,
    search=None,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    empty="farthest",
    algorithm="auto",
    chunk_size=None,
    reduce=None,
    callback=None,
    history=False,
    k_each=None,
):
    """k-means: initial centroids, Lloyd's algorithm, the best of ``n_init`` restarts.

    Parameters
    ----------
    x : array (..., n, d)
        Rows to cluster. Integers are promoted to the default real dtype.
    k : int
        Number of clusters, from 1 to n.
    key : int, array (..., 2) or generator
        Source of all randomness: a non-negative int, an integer array of two words, a
        ``jax.random.key``, a ``numpy.random.Generator`` or a ``torch.Generator``. The
        same key starts from the same rows on every backend. The members of a batch
        share a key of shape (2,).
    init : str, array (..., k, d) or callable
        "k-means++", "k-means||", "coreset", "random", "random-partition",
        "farthest-first"; centroids; or ``(x, k, *, key, weights) -> centroids``. With
        ``reduce`` a name draws from the rows of all processes.
    n_init : int
        Restarts, of which the one with the lowest inertia is returned.
    search : {None, "breathing"}
        Whether to search for a better optimum from the result of Lloyd's algorithm, by
        breathing k-means [3]_: centroids are added where the error is large and removed
        where they are needed least, again and again, and the best fit is kept. Needs a
        metric by name, and no ``reduce``, ``callback``, ``history`` or ``k_each``.
    weights : array (..., n), optional
        Not negative. A row of weight m acts as m copies of it, of weight 0 as none.
    metric, max_iter, tol, empty, algorithm, chunk_size, reduce, callback, history
        As for `lloyd`.
    k_each : integer array (...), optional
        The number of clusters of each problem, from 1 to k, where the problems of a batch
        differ, or where one problem is fitted with several: the first so many of its
        initial centroids take part. The others are returned as copies of their nearest
        neighbour, and no row has their label.

    Returns
    -------
    KMeansResult

    Raises
    ------
    TypeError, ValueError
        As `lloyd`, and for ``k``, ``key``, ``init``, ``n_init`` and ``search``.

    Notes
    -----
    Differentiable as `lloyd` is. The restarts of a small problem run side by side, of
    a large one in turn.

    With ``search`` the inertia is never larger than without it, from the same key.
    ``max_iter`` bounds each run of Lloyd's algorithm, ``n_iter`` counts all of them, and
    ``status`` is that of the run that is kept.

    References
    ----------
    .. [1] D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful
       seeding", SODA 2007.
    .. [2] S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory
       28(2), 1982.
    .. [3] B. Fritzke, "Breathing k-means: superior k-means solutions through dynamic
       k-values", arXiv:2006.15666, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans
    >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> result = kmeans(x, 2, key=0)
    >>> float(result.inertia)
    1.0
    """

    def check():
        xp, rows = check_points(x=x)
        shares = check_weights(xp, rows, weights, of_all=reduce is None)
        check_finite(x=rows)
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
        start = check_start(xp, rows, k, init, check_integer("n_init", n_init, 1), reduce)
        return xp, rows, shares, as_key(key, xp, device(rows)), options, start

    xp, x, weights, words, options, start = agreed(reduce, check, k=k, n_init=n_init)
    k = check_k(k, x, rows_of_all(x, reduce))
    words, start = from_first(words, reduce), shared_start(start, reduce)
    k_each = check_k_each(xp, x, k_each, k)
    search = check_search(search, options, k_each)
    together = callback is None
    if k_each is not None and n_init > 1 and together:
        k_each = k_each[..., None]  # the axis of the restarts
    run = partial(fit, options=options, k_each=k_each, **search)
    return best_fit(xp, x, k, start, words, weights, metric, run, n_init, together)


def best_fit(xp, x, k, start, words, weights, metric, run, n_init, together=True):
    """The best of ``n_init`` restarts of ``run(x, centroids, weights, words)``."""
    if n_init == 1:
        centroids = initial_centroids(xp, x, k, start, words, weights, metric)
        return run(x, centroids, weights, words)
    (keys,) = restart_keys(words, r=n_init)
    restarts = _side_by_side if together else _in_turn
    return restarts(xp, x, k, start, keys, weights, metric, run)


@program("w", "rw:index")
def restart_keys(key, *, r):
    """A key for each restart."""
    # A program, because torch.compile takes minutes over the arithmetic of a key.
    return (split(key, r),)


def check_init(init, n_init, reduce):
    """A callable, or the array of centroids."""
    if isinstance(init, str):
        start = INITS[check_option("init", init, INITS)]
        return start if reduce is None else _of_all_ranks(start, reduce)
    if callable(init):
        return init if reduce is None else _of_all_ranks(init, reduce)
    if n_init > 1:
        msg = f"n_init must be 1 with an array of centroids as init, got {n_init}"
        raise ValueError(msg)
    return init


def check_start(xp, x, k, init, n_init, reduce):
    """`check_init`, with an array of k centroids in the dtype of x."""
    start = check_init(init, n_init, reduce)
    return start if callable(start) else _check_centroids(xp, x, k, start)


def _check_centroids(xp, x, k, init):
    centroids = check_features(xp, x, init=init)
    if centroids.shape[-2] != k:
        msg = f"init must give k = {k} centroids, got {centroids.shape[-2]}"
        raise ValueError(msg)
    check_finite(init=centroids)
    return centroids


def _of_all_ranks(init, reduce):
    """An init of the package that draws from the rows of all ranks; another's on rank 0."""
    if _takes_metric(init):
        name = getattr(init, "func", init)
        if name in (random_partition, kmeans_coreset):
            msg = f"init must not be {name.__name__} with reduce=, where each process has its rows"
            raise ValueError(msg)
        return partial(init, reduce=reduce)
    return lambda *args, **options: from_first(init(*args, **options), reduce)


def shared_start(start, reduce):
    """A start for all ranks: of arrays of centroids, that of the first one."""
    return start if callable(start) else from_first(start, reduce)


def _takes_metric(start):
    """Whether a start is one of the package's own, by itself or with options."""
    return getattr(start, "func", start) in INITS.values()


def initial_centroids(xp, x, k, start, words, weights, metric):
    """The centroids to start from: those that are given, or those that ``start`` finds."""
    if callable(start) and _takes_metric(start):
        return start(x, k, key=words, weights=weights, metric=metric)
    given = start(x, k, key=words, weights=weights) if callable(start) else start
    return _check_centroids(xp, x, k, given)


def _side_by_side(xp, x, k, start, keys, weights, metric, run):
    """Restarts as one more batch dimension, after those of ``x``."""
    rows = x if x.ndim == 2 else x[..., None, :, :]
    shares = weights if weights is None or weights.ndim == 1 else weights[..., None, :]
    if _takes_metric(start):
        centroids = start(rows, k, key=keys, weights=shares, metric=metric)
    else:
        each = [initial_centroids(xp, x, k, start, key, weights, metric) for key in _rows(keys)]
        centroids = xp.stack(each, axis=-3)
    restarts = run(rows, centroids, shares, keys)
    return best_of(restarts)


def _in_turn(xp, x, k, start, keys, weights, metric, run):
    """Restarts one after the other, because the caller watches."""
    results = []
    for key in _rows(keys):
        centroids = initial_centroids(xp, x, k, start, key, weights, metric)
        results.append(run(x, centroids, weights, key))
    fields = (xp.stack(field) for field in zip(*results, strict=True))
    return best_of(type(results[0])(*fields))


def _rows(keys):
    return (keys[i, :] for i in range(keys.shape[0]))


def lowest(inertia):
    """The first fit of lowest inertia (..., r); one that failed is none."""
    xp = array_namespace(inertia=inertia)
    failed = xp.full_like(inertia, xp.inf)
    return xp.argmin(xp.where(xp.isnan(inertia), failed, inertia), axis=-1)


def best_of(restarts):
    """The restart with the lowest inertia, of results with a last batch axis of restarts."""
    xp = array_namespace(inertia=restarts.inertia)
    inertia = restarts.inertia
    best = lowest(inertia)[..., None]

    def pick(field):
        axis = inertia.ndim - 1
        index = xp.reshape(best, (*best.shape, *(1,) * (field.ndim - inertia.ndim)))
        shape = (*field.shape[:axis], 1, *field.shape[axis + 1 :])
        picked = xp.take_along_axis(field, xp.broadcast_to(index, shape), axis=axis)
        return xp.reshape(picked, (*shape[:axis], *shape[axis + 1 :]))

    return type(restarts)(*(pick(field) for field in restarts))
