"""k-means of rows that do not fit in memory, block by block."""

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.algorithms._block_fit import block_options, fit_blocks
from kmeans_fx.algorithms._sweeps import block_reader, local_sweep

__all__ = ["kmeans_blocks"]


def kmeans_blocks(
    blocks,
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
    block_rows=None,
    labels=False,
    checkpoint=None,
    device=None,
):
    """`kmeans` of rows that are read block by block: the same algorithm, out of core.

    Every iteration reads all blocks once, in their order; while one is computed on, a
    thread reads the next, so that two are in memory.

    Parameters
    ----------
    blocks : array (n, d), iterable or callable
        The rows: an array that is read in parts (a memory-mapped file, a Zarr array, an
        HDF5 dataset); something that gives blocks each time it is iterated over, such as a
        list; or a function without arguments that returns a new iterator. A block is an
        array (m, d) or a pair of such rows and their weights (m,). Blocks may differ in
        length; one without rows adds nothing.
    k : int
        Number of clusters, from 1 to n.
    key : int, array (2,) or generator
        Source of all randomness, as for `kmeans`.
    init : str, array (k, d) or callable
        "k-means||" draws from all rows, in 13 passes, the rows that `kmeans` draws; its
        memory is 4 bytes a row. Other names and callables work on a sample of the rows.
    n_init : int
        Fits, one after the other, of which the one with the lowest inertia is returned.
    init_size : int, optional
        Rows of that sample, at least k; 12,288 or 10 k, whichever is more, if None.
    weights : array (n,), optional
        Not negative, of an array's rows. A row of weight m acts as m copies of it, of
        weight 0 as none.
    metric : str or Metric
        One whose centre follows from the mean (all but "manhattan" by name).
    max_iter, tol, chunk_size, callback, history
        As for `lloyd`; ``tol`` must not read labels.
    empty : {"farthest", "split", "merge", "keep"}
        As for `lloyd`. "farthest" costs one more pass for every cluster without rows.
    block_rows : int, optional
        Rows of a block that is read from an array; as many as 32 MiB hold if None.
    labels : bool
        Whether to keep the labels of all rows.
    checkpoint : path, optional
        A file that holds the state of the fit after every iteration, in NumPy's NPZ format.
        If it is there the fit goes on from it, with the same result as if it had never
        stopped. It is replaced as a whole, so that it is always whole.
    device : torch.device or str, optional
        Where to work on the blocks, if that is not where they are: blocks of NumPy or
        PyTorch come as tensors on this device, copied from pinned memory while the block
        before is worked on. Results are on it, too.

    Returns
    -------
    KMeansResult
        Without ``labels``, its labels have the shape (0,).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or an unknown name; if blocks differ in columns,
        dtype, library or device, or hold a value that is not finite, naming the block; if
        weights are negative or sum to zero; if ``checkpoint`` is of another fit.

    Notes
    -----
    The result is that of `kmeans` to rounding, from the same initial centroids. Sums are
    added up in float64 where the device has it. A fit ends when no centroid moves, and is
    not differentiable. Rows are looked for in every iteration: what `kmeans` skips by its
    bounds would have to be kept in memory for every row.

    References
    ----------
    .. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory
       28(2), 1982.
    .. [2] B. Bahmani, B. Moseley, A. Vattani, R. Kumar, S. Vassilvitskii, "Scalable
       k-means++", VLDB 2012 (algorithm 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans_blocks
    >>> blocks = [np.array([[0.0], [10.0]]), np.array([[1.0], [11.0], [12.0]])]
    >>> result = kmeans_blocks(blocks, 2, key=0)
    >>> np.sort(result.centroids[:, 0])
    array([ 0.5, 11. ])
    """
    options = block_options(metric, max_iter, tol, empty, chunk_size, callback, history)
    sweep = local_sweep(block_reader(blocks, weights, block_rows), device)
    result, outputs = fit_blocks(
        sweep,
        k,
        key,
        init,
        init_size,
        options,
        n_init=n_init,
        labels=labels,
        checkpoint=checkpoint,
    )
    if not labels:
        return result
    xp = array_namespace(x=result.centroids)
    kept = [output.kept for output in outputs if output.kept is not None]
    return result._replace(labels=xp.concat(kept))
