"""k-means of Dask arrays: the functions of the package, on blocks that stay where they are.

Without ``client`` the one in use is taken, or a cluster of this machine's cores is started
for the call. Extra ``dask``.
"""

from functools import partial

from kmeans_fx._backend.checks import check_integer
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx.algorithms._block_fit import block_options, fit_blocks, look, start_blocks
from kmeans_fx.algorithms._block_minibatch import fit_drawn_batches
from kmeans_fx.algorithms._block_steps import How
from kmeans_fx.algorithms.minibatch import check_rules, check_search
from kmeans_fx.assign import Assignment
from kmeans_fx.assign import assign as assign_rows
from kmeans_fx.distances import pairwise_distances as distances_of_rows
from kmeans_fx.distributed._dask_engine import blocks_of, connected, dask_sweep
from kmeans_fx.metrics._block_scores import (
    block_calinski_harabasz,
    block_davies_bouldin,
    block_inertia,
    block_simplified_silhouette,
)
from kmeans_fx.metrics._block_silhouettes import block_silhouette

__all__ = [
    "assign",
    "calinski_harabasz_score",
    "davies_bouldin_score",
    "inertia",
    "kmeans",
    "kmeans_parallel",
    "minibatch_kmeans",
    "pairwise_distances",
    "silhouette_score",
    "simplified_silhouette_score",
]


def kmeans(
    x,
    k,
    /,
    *,
    key,
    init="k-means||",
    n_init=1,
    init_size=None,
    weights=None,
    metric="sqeuclidean",
    max_iter=300,
    tol=1e-4,
    chunk_size=None,
    callback=None,
    history=False,
    empty="farthest",
    checkpoint=None,
    client=None,
    persist=True,
):
    """`kmeans` of a Dask array: every iteration is a task for each block and a tree of merges.

    Parameters
    ----------
    x : dask.array.Array (n, d)
        Of blocks of NumPy, CuPy or PyTorch. Lengths of blocks need not be known.
    k, key, init, n_init, init_size
        As for `kmeans_blocks`.
    weights : dask.array.Array (n,), optional
        Not negative.
    metric, max_iter, tol, chunk_size, callback, history, empty, checkpoint
        As for `kmeans_blocks`. The callback and the checkpoint are on the client.
    client : distributed.Client, optional
        The one in use, or a cluster of this machine's cores for this call, if None.
    persist : bool
        Whether the workers keep the blocks, in memory or spilled to their disks. If not,
        every iteration computes ``x`` again: for rows that fit in neither.

    Returns
    -------
    KMeansResult
        Its labels are a Dask array that is not yet computed, the others are arrays of the
        blocks' library.

    Raises
    ------
    TypeError, ValueError
        As `kmeans_blocks`.

    Notes
    -----
    The result is that of `kmeans` to rounding, from the same initial centroids, and bit for
    bit the same when a worker is lost: its tasks run again, and totals merge in one order.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    options = block_options(metric, max_iter, tol, empty, chunk_size, callback, history)
    blocks = blocks_of(x, weights)
    with connected(client) as session:
        sweep = _engine(session, blocks, persist)
        result, _ = fit_blocks(
            sweep, k, key, init, init_size, options, n_init=n_init, checkpoint=checkpoint
        )
    found = assign(x, result.centroids, metric=metric, chunk_size=chunk_size)
    return result._replace(labels=found.labels)


def kmeans_parallel(x, k, /, *, key, weights=None, metric="sqeuclidean", client=None, persist=True):
    """`kmeans_parallel` of a Dask array.

    Parameters
    ----------
    x, k, key, weights, metric, client, persist
        As for `kmeans`.

    Returns
    -------
    array (k, d)
        Rows of ``x``: those that `kmeans_parallel` draws in memory for this key.

    Raises
    ------
    TypeError, ValueError
        As `kmeans`.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    how = How(metric, None)
    blocks = blocks_of(x, weights)
    with connected(client) as session:
        sweep = _engine(session, blocks, persist)
        seen = look(sweep, k, how)
        return start_blocks(sweep, seen, k, _words(key, seen), "k-means||", None, how)


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
    run_length=1,
    max_iter=100,
    tol=0.0,
    max_no_improvement=10,
    reassignment_ratio=0.01,
    smoothing=None,
    chunk_size=None,
    client=None,
    persist=True,
):
    """`minibatch_kmeans` of a Dask array: the rows of the batches come to the client.

    Parameters
    ----------
    x : dask.array.Array (n, d)
        As for `kmeans`.
    k, key, init, n_init, init_size
        As for `minibatch_kmeans`.
    weights : dask.array.Array (n,), optional
        Not negative.
    metric, batch_size, run_length, max_iter, tol, max_no_improvement
        As for `minibatch_kmeans`.
    reassignment_ratio, smoothing, chunk_size
        As for `minibatch_kmeans`.
    client, persist
        As for `kmeans`.

    Returns
    -------
    MiniBatchResult
        That of the rows in memory, to rounding. Its labels are a Dask array that is not
        yet computed, and its inertia is NaN.

    Raises
    ------
    TypeError, ValueError
        As `minibatch_kmeans`.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    k, size = check_integer("k", k, 1), check_integer("batch_size", batch_size, 1)
    length = check_integer("run_length", run_length, 1)
    max_iter = check_integer("max_iter", max_iter, 1)
    rules = check_rules(
        metric, reassignment_ratio, smoothing, tol, max_no_improvement, None, chunk_size
    )
    search = check_search(init, n_init, init_size, k, size, metric)
    blocks = blocks_of(x, weights)
    with connected(client) as session:
        sweep = _engine(session, blocks, persist)
        seen = look(sweep, k, How(metric, chunk_size))
        result = fit_drawn_batches(
            sweep, seen, k, _words(key, seen), search, rules, size, length, max_iter
        )
    found = assign(x, result.centroids, metric=metric, chunk_size=chunk_size)
    return result._replace(labels=found.labels)


def assign(x, centroids, /, *, metric="sqeuclidean", chunk_size=None):
    """`assign` of a Dask array, block by block when it is computed (``predict``).

    Parameters
    ----------
    x : dask.array.Array (n, d)
    centroids : array (k, d)
        Of the library of the blocks.
    metric, chunk_size
        As for `assign`.

    Returns
    -------
    Assignment
        Of Dask arrays, neither of which is computed yet.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    function = partial(_entry, centroids=centroids, metric=metric, chunk_size=chunk_size)
    fields = (("labels", "int64"), ("distances", _real_dtype(x)))
    return Assignment(*(_by_blocks(partial(function, field=f), x, d) for f, d in fields))


def pairwise_distances(x, centroids, /, *, metric="sqeuclidean"):
    """`pairwise_distances` of a Dask array to centroids, when it is computed (``transform``).

    Parameters
    ----------
    x : dask.array.Array (n, d)
    centroids : array (k, d)
        Of the library of the blocks.
    metric : str or Metric

    Returns
    -------
    dask.array.Array (n, k)

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    function = partial(_distances, centroids=centroids, metric=metric)
    return _by_blocks(function, x, _real_dtype(x), centroids.shape[0])


def inertia(x, labels, /, *, centroids=None, metric="sqeuclidean", k=None, client=None):
    """`inertia` of a Dask array and its labels.

    Parameters
    ----------
    x : dask.array.Array (n, d)
    labels : dask.array.Array (n,)
        0 to ``k`` - 1.
    centroids : array (k, d), optional
        The means of the clusters if None.
    metric : str or Metric
    k : int, optional
        One more than the largest label if None, which costs a pass.
    client : distributed.Client, optional
        As for `kmeans`.

    Returns
    -------
    array ()
        In float64 where the device has it.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    return _score(block_inertia, x, labels, k, client, centroids, metric)


def davies_bouldin_score(x, labels, /, *, k=None, client=None):
    """`davies_bouldin_score` of a Dask array and its labels.

    Parameters
    ----------
    x, labels, k, client
        As for `inertia`.

    Returns
    -------
    array ()

    Raises
    ------
    ValueError
        If there are not 2 to n - 1 clusters.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    return _score(block_davies_bouldin, x, labels, k, client)


def calinski_harabasz_score(x, labels, /, *, k=None, client=None):
    """`calinski_harabasz_score` of a Dask array and its labels.

    Parameters
    ----------
    x, labels, k, client
        As for `inertia`.

    Returns
    -------
    array ()

    Raises
    ------
    ValueError
        If there are not 2 to n - 1 clusters.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    return _score(block_calinski_harabasz, x, labels, k, client)


def silhouette_score(x, labels, /, *, metric="euclidean", k=None, client=None):
    """`silhouette_score` of a Dask array and its labels: all pairs of rows.

    Parameters
    ----------
    x, labels
        As for `inertia`.
    metric : str or Metric
    k, client
        As for `inertia`.

    Returns
    -------
    array ()

    Raises
    ------
    ValueError
        If there are not 2 to n - 1 clusters.

    Notes
    -----
    Every block in turn comes to the client and goes to all workers. n^2 distances are
    taken, for every metric: of many rows take a sample, or `simplified_silhouette_score`.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    return _score(block_silhouette, x, labels, k, client, metric)


def simplified_silhouette_score(
    x, labels, /, *, centroids=None, metric="euclidean", k=None, client=None
):
    """`simplified_silhouette_score` of a Dask array and its labels.

    Parameters
    ----------
    x, labels
        As for `inertia`.
    centroids : array (k, d), optional
        The means of the clusters if None.
    metric : str or Metric
    k, client
        As for `inertia`.

    Returns
    -------
    array ()

    Raises
    ------
    ValueError
        If there are not 2 to n - 1 clusters.

    Examples
    --------
    See the page about Dask, Spark and Ray.
    """
    return _score(block_simplified_silhouette, x, labels, k, client, centroids, metric)


def _engine(client, blocks, persist):
    return dask_sweep(client, client.compute(blocks) if persist else blocks)


def _words(key, seen):
    return as_key(key, array_namespace(like=seen.like), device(seen.like))


def _score(function, x, labels, k, client, *args):
    blocks = blocks_of(x, labels, "labels")
    with connected(client) as session:
        if k is None:
            k = int(session.compute(labels.max()).result()) + 1
        return function(_engine(session, blocks, persist=True), k, *args)


def _real_dtype(x):
    return x.dtype if x.dtype.kind == "f" else "float64"


def _by_blocks(function, x, dtype, columns=None):
    """``function`` of every block of rows, one number or so many columns a row."""
    import dask.array as da
    import numpy as np

    x = x.rechunk({1: -1}) if x.numblocks[1] > 1 else x
    meta = np.empty((0,) if columns is None else (0, 0), dtype=dtype)
    if columns is None:
        return da.map_blocks(function, x, drop_axis=1, meta=meta)
    return da.map_blocks(function, x, chunks=(x.chunks[0], (columns,)), meta=meta)


def _entry(rows, *, centroids, metric, chunk_size, field):
    if rows.shape[0] == 0:
        return rows[:, 0]
    return getattr(assign_rows(rows, centroids, metric=metric, chunk_size=chunk_size), field)


def _distances(rows, *, centroids, metric):
    return distances_of_rows(rows, centroids, metric=metric)
