"""Labels: checked, and numbered from 0."""

from kmeans_fx._backend.checks import check_integer
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.transform import is_concrete

__all__ = ["as_integers", "number", "within"]


def as_integers(xp, labels, name):
    """Labels (..., n) of an integer or boolean dtype, in the default index dtype."""
    if not xp.isdtype(labels.dtype, ("integral", "bool")):
        msg = f"{name} must have an integer dtype, got {labels.dtype}"
        raise TypeError(msg)
    if labels.ndim == 0:
        msg = f"{name} must have shape (..., n), got ()"
        raise ValueError(msg)
    return xp.astype(labels, index_dtype(xp, labels), copy=False)


def number(labels, k, name, keyword):
    """``(codes, values)``: labels as 0, 1, ..., and the label of every code.

    With ``k`` the labels are their own codes, 0 to k - 1. Without it the distinct labels
    are found, for which they must be readable.

    Raises
    ------
    ValueError
        If ``k`` is missing under a trace, or a label that can be read is not below it.
    """
    xp = array_namespace(labels=labels)
    if k is None:
        if not is_concrete(labels):
            msg = f"{keyword} must be given where {name} cannot be read (under jit, vmap, compile)"
            raise ValueError(msg)
        return distinct(labels)
    k = check_integer(keyword, k, 1)
    if is_concrete(labels) and not bool(xp.all(within(labels, k))):
        msg = (
            f"{name} must be from 0 to {keyword} - 1 = {k - 1}, "
            f"got {int(xp.min(labels))} to {int(xp.max(labels))}"
        )
        raise ValueError(msg)
    return labels, xp.arange(k, dtype=labels.dtype, device=device(labels))


def within(labels, k):
    """Whether all labels (..., n) of a labeling are from 0 to k - 1, shape (...)."""
    xp = array_namespace(labels=labels)
    return xp.all((labels >= 0) & (labels < k), axis=-1)


def distinct(labels):
    """The place (..., n) of every label among the distinct ones, and those, in order."""
    xp = array_namespace(labels=labels)
    flat = xp.reshape(labels, (-1,))
    if flat.shape[0] == 0:
        return labels, flat
    ordered = xp.sort(flat)
    new = xp.astype(ordered[1:] != ordered[:-1], labels.dtype)
    rank = xp.cumulative_sum(xp.concat([xp.zeros_like(ordered[:1]), new]))
    # Textbook form: ordered[new]; but a mask is not in every library.
    ranks = xp.arange(int(rank[-1]) + 1, dtype=rank.dtype, device=device(rank))
    values = xp.take(ordered, xp.searchsorted(rank, ranks), axis=0)
    codes = xp.astype(xp.searchsorted(values, flat), labels.dtype, copy=False)
    return xp.reshape(codes, labels.shape), values
