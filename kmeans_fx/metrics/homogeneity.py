"""Homogeneity, completeness and their harmonic mean."""

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.metrics._table import poisoned, tabulate
from kmeans_fx.metrics.information import entropy, information

__all__ = [
    "completeness_score",
    "homogeneity_completeness_v_measure",
    "homogeneity_score",
    "v_measure_score",
]


def homogeneity_completeness_v_measure(
    labels_true, labels_pred, *, beta=1.0, n_labels=None, weights=None
):
    """Homogeneity, completeness and V-measure at once.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`.
    beta : float
        Above 1 completeness weighs more in the V-measure, below 1 homogeneity.
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    homogeneity : array (...)
        From 0 to 1, in the widest real dtype; so are the others.
    completeness : array (...)
    v_measure : array (...)

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] A. Rosenberg, J. Hirschberg, "V-measure: a conditional entropy-based external
       cluster evaluation measure", EMNLP-CoNLL 2007 (section 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import homogeneity_completeness_v_measure
    >>> scores = homogeneity_completeness_v_measure(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]))
    >>> [round(float(score), 6) for score in scores]
    [1.0, 0.5, 0.666667]
    """
    table = tabulate(labels_true, labels_pred, n_labels, weights)
    xp = array_namespace(total=table.total)
    shared = information(table)
    homogeneity, completeness = (
        _ratio(xp, shared, entropy(sizes), 1.0) for sizes in (table.classes, table.clusters)
    )
    product = (1 + beta) * homogeneity * completeness
    v_measure = _ratio(xp, product, beta * homogeneity + completeness, 0.0)
    return tuple(poisoned(table.valid, s) for s in (homogeneity, completeness, v_measure))


def homogeneity_score(labels_true, labels_pred, *, n_labels=None, weights=None):
    """How far every cluster holds rows of one class only.

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
        From 0 to 1; 1 if there is one class. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] A. Rosenberg, J. Hirschberg, "V-measure: a conditional entropy-based external
       cluster evaluation measure", EMNLP-CoNLL 2007 (equation 1).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import homogeneity_score
    >>> float(homogeneity_score(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])))
    1.0
    """
    options = {"n_labels": n_labels, "weights": weights}
    return homogeneity_completeness_v_measure(labels_true, labels_pred, **options)[0]


def completeness_score(labels_true, labels_pred, *, n_labels=None, weights=None):
    """How far all rows of a class are in one cluster.

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
        From 0 to 1; 1 if there is one cluster. In the widest real dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] A. Rosenberg, J. Hirschberg, "V-measure: a conditional entropy-based external
       cluster evaluation measure", EMNLP-CoNLL 2007 (equation 2).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import completeness_score
    >>> float(completeness_score(np.array([0, 0, 1, 1]), np.array([3, 3, 3, 3])))
    1.0
    """
    options = {"n_labels": n_labels, "weights": weights}
    return homogeneity_completeness_v_measure(labels_true, labels_pred, **options)[1]


def v_measure_score(labels_true, labels_pred, *, beta=1.0, n_labels=None, weights=None):
    """Harmonic mean of homogeneity and completeness.

    Parameters
    ----------
    labels_true, labels_pred : integer array (..., n)
        Any integers; see `contingency_matrix`.
    beta : float
        Above 1 completeness weighs more, below 1 homogeneity.
    n_labels : int, optional
        A static number of labels, for jit; see `contingency_matrix`.
    weights : array (..., n), optional
        Weight m counts a row m times, weight 0 leaves it out.

    Returns
    -------
    array (...)
        From 0 to 1. In the widest real dtype. With ``beta`` 1 it equals
        `normalized_mutual_info_score` with the arithmetic mean.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device.

    References
    ----------
    .. [1] A. Rosenberg, J. Hirschberg, "V-measure: a conditional entropy-based external
       cluster evaluation measure", EMNLP-CoNLL 2007 (equation 3).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import v_measure_score
    >>> round(float(v_measure_score(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]))), 6)
    0.666667
    """
    options = {"beta": beta, "n_labels": n_labels, "weights": weights}
    return homogeneity_completeness_v_measure(labels_true, labels_pred, **options)[2]


def _ratio(xp, part, whole, otherwise):
    empty = whole == 0
    ratio = part / xp.where(empty, xp.ones_like(whole), whole)
    return xp.where(empty, xp.full_like(ratio, otherwise), ratio)
