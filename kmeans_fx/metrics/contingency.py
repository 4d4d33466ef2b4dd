"""How often each class meets each cluster, and how often pairs of rows do."""

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.metrics._table import codes_of, dense, poisoned, tabulate

__all__ = ["contingency_matrix", "pair_confusion_matrix", "pair_counts"]


def contingency_matrix(labels_true, labels_pred, *, eps=None, n_labels=None, weights=None):
    """Number of rows of every class in every cluster.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers. Under jit or vmap, and whenever ``n_labels`` is given: 0 to
        ``n_labels`` - 1.
    eps : float, optional
        Added to every entry.
    n_labels : int, optional
        A static number of labels that both labelings keep below. Found by sorting if
        None, for which the labels must be readable.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (..., r, c)
        One row for each distinct label of ``labels_true`` and one column for each of
        ``labels_pred``, in ascending order; (..., n_labels, n_labels) where that is
        given. Integers; with ``eps`` or ``weights`` real numbers.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    Notes
    -----
    Traced labels outside of 0 to ``n_labels`` - 1 count in no entry of their own: the
    scores of this module are NaN then.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import contingency_matrix
    >>> contingency_matrix(np.array([0, 0, 7, 7]), np.array([1, 1, 1, 2]))
    array([[2, 0],
           [1, 1]])
    """
    matrix = dense(codes_of(labels_true, labels_pred, n_labels, weights))
    if eps is None:
        return matrix
    xp = array_namespace(matrix=matrix)
    real = tabulate(labels_true, labels_pred, n_labels).cells.dtype
    return xp.astype(matrix, real) + eps


def pair_confusion_matrix(labels_true, labels_pred, *, n_labels=None, weights=None):
    """Ordered pairs of rows, by whether each labeling puts them together.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`.
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (..., 2, 2)
        Entry [i, j] counts the pairs that are apart (0) or together (1) in
        ``labels_true`` (i) and in ``labels_pred`` (j). Real, in the widest dtype of the
        device, because 32-bit integers hold the pairs of 46341 rows at most.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] L. Hubert, P. Arabie, "Comparing partitions", Journal of Classification 2,
       1985 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import pair_confusion_matrix
    >>> pair_confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]))
    array([[8., 0.],
           [2., 2.]])
    """
    table = tabulate(labels_true, labels_pred, n_labels, weights)
    counts = pair_counts(table)
    xp = array_namespace(total=table.total)
    pairs = xp.reshape(xp.stack(counts, axis=-1), (*table.total.shape, 2, 2))
    return poisoned(None if table.valid is None else table.valid[..., None, None], pairs)


def pair_counts(table):
    """Pairs (apart in both, together in pred alone, in true alone, in both).

    Sums of products that are not negative: nothing is cancelled.
    """
    xp = array_namespace(cells=table.cells)
    n, classes, clusters = table.cells, table.cell_classes, table.cell_clusters
    rest = table.total[..., None] - classes - clusters + n
    return tuple(xp.sum(n * others, axis=-1) for others in (rest, clusters - n, classes - n, n - 1))
