"""The contingency table of two labelings, as a list of its cells."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_weights
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace, device, widest
from kmeans_fx._backend.segment import segment_sum
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx.metrics._labels import as_integers, distinct, number, within

__all__ = [
    "Codes",
    "Table",
    "codes_of",
    "dense",
    "poisoned",
    "table_of_matrix",
    "tabulate",
]


class Codes(NamedTuple):
    """Two labelings (..., n) numbered from 0, and the label of every number."""

    true: Any
    pred: Any
    classes: Any
    clusters: Any
    weights: Any
    valid: Any


class Table(NamedTuple):
    """Weights of the pairs (class, cluster) and their sums, in the widest real dtype.

    Cells that hold nothing may be left out, so that two labelings of n rows never need
    more than n of them.
    """

    cells: Any
    cell_classes: Any
    cell_clusters: Any
    classes: Any
    clusters: Any
    total: Any
    valid: Any


def codes_of(labels_true, labels_pred, n_labels, weights):
    """Check two labelings and number their labels."""
    xp = array_namespace(labels_true=labels_true, labels_pred=labels_pred)
    true = as_integers(xp, labels_true, "labels_true")
    pred = as_integers(xp, labels_pred, "labels_pred")
    if true.shape[-1] != pred.shape[-1]:
        msg = (
            f"labels_pred must have as many labels as labels_true, {true.shape[-1]}, "
            f"got {pred.shape[-1]}"
        )
        raise ValueError(msg)
    shape = (*broadcast_shapes(true.shape[:-1], pred.shape[:-1]), true.shape[-1])
    true, pred = xp.broadcast_to(true, shape), xp.broadcast_to(pred, shape)
    if weights is not None:
        rows = xp.astype(true, widest(xp, true))[..., None]
        weights = xp.broadcast_to(check_weights(xp, rows, weights), shape)
    valid = None
    if n_labels is not None and not (is_concrete(true) and is_concrete(pred)):
        valid = within(true, n_labels) & within(pred, n_labels)
    true, classes = number(true, n_labels, "labels_true", "n_labels")
    pred, clusters = number(pred, n_labels, "labels_pred", "n_labels")
    return Codes(true, pred, classes, clusters, weights, valid)


def tabulate(labels_true, labels_pred, n_labels, weights=None):
    """The Table of two labelings; with ``n_labels`` it has all cells."""
    codes = codes_of(labels_true, labels_pred, n_labels, weights)
    xp = array_namespace(true=codes.true)
    r, c = max(1, codes.classes.shape[0]), max(1, codes.clusters.shape[0])
    _check_size(xp, r, c, codes.true.dtype)
    joint = codes.true * c + codes.pred
    if n_labels is None and joint.shape[-1] > 0:
        joint, pairs = distinct(joint)
    else:
        pairs = xp.arange(r * c, dtype=joint.dtype, device=device(joint))
    cells = _sums(xp, joint, pairs.shape[0], codes.weights)
    classes = _sums(xp, codes.true, r, codes.weights)
    clusters = _sums(xp, codes.pred, c, codes.weights)
    own_class = xp.take(classes, pairs // c, axis=-1)
    own_cluster = xp.take(clusters, pairs % c, axis=-1)
    total = xp.sum(classes, axis=-1)
    return Table(cells, own_class, own_cluster, classes, clusters, total, codes.valid)


def table_of_matrix(matrix):
    """The Table of a contingency matrix (..., r, c)."""
    xp = array_namespace(contingency=matrix)
    if matrix.ndim < 2:
        msg = f"contingency must have shape (..., r, c), got {tuple(matrix.shape)}"
        raise ValueError(msg)
    matrix = xp.astype(matrix, widest(xp, matrix))
    classes, clusters = xp.sum(matrix, axis=-1), xp.sum(matrix, axis=-2)

    def flat(cells):
        return xp.reshape(xp.broadcast_to(cells, matrix.shape), (*matrix.shape[:-2], -1))

    own_class, own_cluster = flat(classes[..., :, None]), flat(clusters[..., None, :])
    total = xp.sum(classes, axis=-1)
    return Table(flat(matrix), own_class, own_cluster, classes, clusters, total, None)


def dense(codes):
    """The contingency matrix (..., r, c): integers, or real numbers if there are weights."""
    xp = array_namespace(true=codes.true)
    r, c = codes.classes.shape[0], codes.clusters.shape[0]
    if r == 0:
        return xp.zeros(
            (*codes.true.shape[:-1], 0, 0), dtype=codes.true.dtype, device=device(codes.true)
        )
    _check_size(xp, r, c, codes.true.dtype)
    flat = _counts(xp, codes.true * c + codes.pred, r * c, codes.weights)
    return xp.reshape(flat, (*flat.shape[:-1], r, c))


def poisoned(valid, score):
    """NaN where labels that could not be read turned out to be none of 0 to n_labels - 1."""
    if valid is None:
        return score
    xp = array_namespace(score=score)
    return xp.where(valid, score, xp.full_like(score, xp.nan))


def _sums(xp, codes, k, weights):
    return xp.astype(_counts(xp, codes, k, weights), widest(xp, codes), copy=False)


def _counts(xp, codes, k, weights):
    # Integers count exactly, where float32 would stop at 2^24.
    values = xp.ones_like(codes) if weights is None else weights
    return segment_sum(values[..., None], codes, k)[..., 0]


def _check_size(xp, r, c, dtype):
    if r * c > xp.iinfo(dtype).max:
        msg = f"labels_true and labels_pred have too many labels for {dtype} indices: {r} and {c}"
        raise ValueError(msg)
