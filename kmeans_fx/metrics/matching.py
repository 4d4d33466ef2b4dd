"""Which cluster is which: labels of one clustering renamed after another."""

from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace, device, widest
from kmeans_fx._backend.segment import take_rows
from kmeans_fx.metrics._assignment import best_assignment
from kmeans_fx.metrics._table import codes_of, dense, poisoned

__all__ = ["Matching", "match_labels"]


class Matching(NamedTuple):
    """A clustering under the names of another.

    Attributes
    ----------
    labels : integer array (..., n)
        ``labels_pred``, renamed.
    mapping : integer array (..., c)
        The new name of every label of ``labels_pred``, in ascending order of these.
    agreement : array (...)
        Share of the rows, by weight, that now have the same label in both.
    """

    labels: Any
    mapping: Any
    agreement: Any


def match_labels(labels_true, labels_pred, /, *, n_labels=None, weights=None):
    """Rename clusters so that as many rows as possible keep their label.

    Exact and in pure array operations, so that no other library is needed and it runs
    under jit: shortest augmenting paths, O(k^3) for k labels, the larger of both numbers.

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
    Matching
        A cluster for which no class is left gets a new label, above all of
        ``labels_true``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no array of integers, of another library, shape or device, or
        there are no rows.

    References
    ----------
    .. [1] R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and
       sparse linear assignment problems", Computing 38, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.metrics import match_labels
    >>> match_labels(np.array([4, 4, 7, 7]), np.array([0, 1, 2, 2])).labels
    array([4, 8, 7, 7])
    """
    codes = codes_of(labels_true, labels_pred, n_labels, weights)
    xp = array_namespace(labels_true=labels_true)
    if codes.true.shape[-1] == 0:
        msg = "labels_true must not be empty"
        raise ValueError(msg)
    matrix = _square(xp, dense(codes))
    (owner,) = best_assignment(matrix)
    names = _names(xp, codes.classes, matrix.shape[-1])
    mapping = take_rows(xp, names[:, None], owner[..., : codes.clusters.shape[0]])[..., 0]
    kept = xp.take_along_axis(matrix, owner[..., None, :], axis=-2)[..., 0, :]
    agreement = xp.sum(kept, axis=-1) / xp.sum(matrix, axis=(-2, -1))
    labels = xp.take_along_axis(mapping, codes.pred, axis=-1)
    return Matching(labels, mapping, poisoned(codes.valid, agreement))


def _square(xp, matrix):
    """Real, with empty classes or clusters so that both are as many."""
    matrix = xp.astype(matrix, widest(xp, matrix), copy=False)
    *batch, r, c = matrix.shape
    where = device(matrix)
    if r < c:
        empty = xp.zeros((*batch, c - r, c), dtype=matrix.dtype, device=where)
        return xp.concat([matrix, empty], axis=-2)
    empty = xp.zeros((*batch, r, r - c), dtype=matrix.dtype, device=where)
    return xp.concat([matrix, empty], axis=-1)


def _names(xp, classes, k):
    """The labels of the classes, then new ones above them."""
    fresh = xp.arange(1, k - classes.shape[0] + 1, dtype=classes.dtype, device=device(classes))
    return xp.concat([classes, classes[-1:] + fresh])
