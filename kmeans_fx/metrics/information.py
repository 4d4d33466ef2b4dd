"""Scores that measure information, in nats."""

from kmeans_fx._backend.checks import check_option
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.metrics._expected import expected_mutual_information
from kmeans_fx.metrics._table import poisoned, table_of_matrix, tabulate

__all__ = [
    "adjusted_mutual_info_score",
    "mutual_info_score",
    "normalized_mutual_info_score",
]

_AVERAGES = ("min", "geometric", "arithmetic", "max")


def mutual_info_score(labels_true, labels_pred, *, contingency=None, n_labels=None, weights=None):
    """What one labeling tells about the other, in nats.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`. None where ``contingency`` is given.
    contingency : array (..., r, c), optional
        A contingency matrix, instead of labels.
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (...)
        At least 0. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] N. X. Vinh, J. Epps, J. Bailey, "Information theoretic measures for clusterings
       comparison", JMLR 11, 2010 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import mutual_info_score
    >>> round(float(mutual_info_score(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))), 6)
    0.693147
    """
    if contingency is None:
        table = tabulate(labels_true, labels_pred, n_labels, weights)
    else:
        table = table_of_matrix(contingency)
    return poisoned(table.valid, information(table))


def normalized_mutual_info_score(
    labels_true, labels_pred, *, average_method="arithmetic", n_labels=None, weights=None
):
    """Mutual information over an average of the two entropies.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`.
    average_method : {"min", "geometric", "arithmetic", "max"}
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (...)
        From 0 to 1; 1 if both have one label, 0 if one has. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device, or
        ``average_method`` is unknown.

    References
    ----------
    .. [1] N. X. Vinh, J. Epps, J. Bailey, "Information theoretic measures for clusterings
       comparison", JMLR 11, 2010 (table 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import normalized_mutual_info_score
    >>> float(normalized_mutual_info_score(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])))
    1.0
    """
    check_option("average_method", average_method, _AVERAGES)
    table = tabulate(labels_true, labels_pred, n_labels, weights)
    xp = array_namespace(total=table.total)
    bound = _average(xp, entropy(table.classes), entropy(table.clusters), average_method)
    informed = bound > 0
    score = information(table) / xp.where(informed, bound, xp.ones_like(bound))
    # Nothing to tell: all in one cluster, twice.
    score = xp.where(informed, score, xp.astype(_both_trivial(table), score.dtype))
    return poisoned(table.valid, score)


def adjusted_mutual_info_score(
    labels_true, labels_pred, *, average_method="arithmetic", n_labels=None
):
    """Mutual information, adjusted for chance: 0 is as good as random labels, 1 is perfect.

    The expectation costs a few passes over the r x c cells, whatever the number of rows.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`.
    average_method : {"min", "geometric", "arithmetic", "max"}
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.

    Returns
    -------
    array (...)
        At most 1; 1 if both have one label, 0 if one has. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device, or
        ``average_method`` is unknown.

    Notes
    -----
    There are no ``weights``: chance is counted over labelings of whole rows.

    References
    ----------
    .. [1] N. X. Vinh, J. Epps, J. Bailey, "Information theoretic measures for clusterings
       comparison", JMLR 11, 2010 (table 2 and equation 24a).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import adjusted_mutual_info_score
    >>> float(adjusted_mutual_info_score(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])))
    1.0
    """
    check_option("average_method", average_method, _AVERAGES)
    table = tabulate(labels_true, labels_pred, n_labels)
    xp = array_namespace(total=table.total)
    (chance,) = expected_mutual_information(table.classes, table.clusters)
    bound = _average(xp, entropy(table.classes), entropy(table.clusters), average_method)
    score = _away_from_zero(xp, information(table) - chance) / _away_from_zero(xp, bound - chance)
    trivial = _trivial(table.classes) | _trivial(table.clusters)
    score = xp.where(trivial, xp.astype(_both_trivial(table), score.dtype), score)
    return poisoned(table.valid, score)


def information(table):
    """Mutual information of a Table, not below 0."""
    xp = array_namespace(cells=table.cells)
    some = table.cells > 0
    one = xp.ones_like(table.cells)
    cells = xp.where(some, table.cells, one)
    total = xp.where(table.total > 0, table.total, xp.ones_like(table.total))[..., None]
    # Two quotients, because a product of two sizes overflows float32 sooner.
    by_chance = xp.where(some, table.cell_classes / total * table.cell_clusters, one)
    terms = cells / total * xp.log(cells / by_chance)
    return xp.clip(xp.sum(xp.where(some, terms, xp.zeros_like(terms)), axis=-1), 0.0, None)


def entropy(sizes):
    """Entropy of cluster sizes (..., r)."""
    xp = array_namespace(sizes=sizes)
    total = xp.sum(sizes, axis=-1, keepdims=True)
    some = sizes > 0
    one = xp.ones_like(sizes)
    shares = xp.where(some, sizes / xp.where(total > 0, total, one), one)
    return xp.clip(-xp.sum(shares * xp.log(shares), axis=-1), 0.0, None)


def _average(xp, first, second, method):
    if method == "geometric":
        return xp.sqrt(first * second)
    if method == "arithmetic":
        return (first + second) / 2
    return xp.minimum(first, second) if method == "min" else xp.maximum(first, second)


def _trivial(sizes):
    """Whether no more than one cluster has rows."""
    xp = array_namespace(sizes=sizes)
    return xp.sum(xp.astype(sizes > 0, sizes.dtype), axis=-1) <= 1


def _both_trivial(table):
    return _trivial(table.classes) & _trivial(table.clusters)


def _away_from_zero(xp, difference):
    """What is 0 up to rounding becomes a unit of rounding, so that 0 / 0 is 1."""
    eps = float(xp.finfo(difference.dtype).eps)
    return xp.where(xp.abs(difference) < 16 * eps, xp.full_like(difference, eps), difference)
