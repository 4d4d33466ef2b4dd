"""Scores that count pairs of rows."""

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.metrics._table import poisoned, tabulate
from kmeans_fx.metrics.contingency import pair_counts

__all__ = ["adjusted_rand_score", "fowlkes_mallows_score", "rand_score"]


def rand_score(labels_true, labels_pred, *, n_labels=None, weights=None):
    """Share of the pairs of rows that both labelings treat alike.

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
    array (...)
        From 0 to 1; 1 where there are no pairs. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] W. M. Rand, "Objective criteria for the evaluation of clustering methods",
       JASA 66, 1971.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import rand_score
    >>> float(rand_score(np.array([0, 0, 1, 1]), np.array([5, 5, 5, 3])))
    0.5
    """
    table = tabulate(labels_true, labels_pred, n_labels, weights)
    apart, false, missed, together = pair_counts(table)
    alike = apart + together
    return poisoned(table.valid, _ratio(alike, alike + false + missed, 1.0))


def adjusted_rand_score(labels_true, labels_pred, *, n_labels=None, weights=None):
    """The Rand index, adjusted for chance: 0 is as good as random labels, 1 is perfect.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`.
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out. A common factor means
        more rows, which changes the score a little, as copies of all rows would.

    Returns
    -------
    array (...)
        From -0.5 to 1. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] L. Hubert, P. Arabie, "Comparing partitions", Journal of Classification 2,
       1985 (equation 5).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import adjusted_rand_score
    >>> float(adjusted_rand_score(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3])))
    1.0
    """
    table = tabulate(labels_true, labels_pred, n_labels, weights)
    tn, fp, fn, tp = pair_counts(table)
    xp = array_namespace(tn=tn)
    score = _ratio(2 * (tp * tn - fn * fp), (tp + fn) * (fn + tn) + (tp + fp) * (fp + tn), 1.0)
    perfect = (fn == 0) & (fp == 0)
    return poisoned(table.valid, xp.where(perfect, xp.ones_like(score), score))


def fowlkes_mallows_score(labels_true, labels_pred, *, n_labels=None, weights=None):
    """Geometric mean of the precision and the recall of pairs.

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
    array (...)
        From 0 to 1; 0 where no pair is together in both. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] E. B. Fowlkes, C. L. Mallows, "A method for comparing two hierarchical
       clusterings", JASA 78, 1983 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import fowlkes_mallows_score
    >>> float(fowlkes_mallows_score(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])))
    1.0
    """
    table = tabulate(labels_true, labels_pred, n_labels, weights)
    _, false, missed, together = pair_counts(table)
    xp = array_namespace(together=together)
    precision = _ratio(together, together + false, 0.0)
    recall = _ratio(together, together + missed, 0.0)
    return poisoned(table.valid, xp.sqrt(precision) * xp.sqrt(recall))


def _ratio(part, whole, otherwise):
    """``part / whole``, and ``otherwise`` where the whole is 0."""
    xp = array_namespace(part=part)
    empty = whole == 0
    ratio = part / xp.where(empty, xp.ones_like(whole), whole)
    return xp.where(empty, xp.full_like(ratio, otherwise), ratio)
