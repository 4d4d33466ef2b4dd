"""Checks of arguments. Shapes and dtypes always; values only where they can be read."""

import operator

from kmeans_fx._backend.half import all_finite, is_float16
from kmeans_fx._backend.host import at_hand
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, as_real
from kmeans_fx._backend.transform import is_concrete, quiet

__all__ = [
    "check_features",
    "check_finite",
    "check_integer",
    "check_k",
    "check_k_each",
    "check_labels",
    "check_number",
    "check_one_problem",
    "check_option",
    "check_points",
    "check_weights",
]


def check_points(**points):
    """The namespace, and the points (..., n, d) as real numbers; n and d at least 1."""
    xp = array_namespace(**points)
    ((name, x),) = points.items()
    if type(x).__name__ == "DTensor":
        msg = f"{name} must be no DTensor: give {name}.to_local(), and reduce= over its group"
        raise TypeError(msg)
    if x.ndim < 2:
        msg = f"{name} must have shape (..., n, d), got {tuple(x.shape)}"
        raise ValueError(msg)
    if 0 in x.shape:
        msg = f"{name} must not be empty, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    return xp, as_real(xp, x, name)


def check_one_problem(x):
    """`check_points` of a single problem: x of shape (n, d)."""
    xp, x = check_points(x=x)
    if x.ndim != 2:
        msg = f"x must have shape (n, d), got {tuple(x.shape)}"
        raise ValueError(msg)
    return xp, x


def check_number(name, value):
    """A number as a float; what range it is in is the caller's to check."""
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"{name} must be a number, got {value!r}"
        raise TypeError(msg) from None


def check_features(xp, x, **centroids):
    """The centroids (..., k, d) in the dtype of ``x``, with as many columns."""
    ((name, c),) = centroids.items()
    array_namespace(x=x, **centroids)
    if c.ndim < 2 or c.shape[-1] != x.shape[-1] or c.shape[-2] == 0:
        msg = (
            f"{name} must have shape (..., k, {x.shape[-1]}) to match x "
            f"{tuple(x.shape)}, got {tuple(c.shape)}"
        )
        raise ValueError(msg)
    check_batch(name, c.shape[:-2], x.shape[:-2])
    return xp.astype(as_real(xp, c, name), x.dtype, copy=False)


def check_batch(name, shape, batch):
    """Leading dimensions must broadcast with those of ``x``."""
    try:
        broadcast_shapes(shape, batch)
    except ValueError:
        msg = f"the leading dimensions of {name}, {shape}, must broadcast with those of x, {batch}"
        raise ValueError(msg) from None


def check_weights(xp, x, weights, *, of_all=True):
    """The weights (..., n) in the accumulation dtype of ``x``, or None.

    Where they are not those of all rows they may be 0 in total.

    Raises
    ------
    ValueError
        On a wrong shape and, in an eager call, on a negative or non-finite weight
        or a total of zero.
    """
    if weights is None:
        return None
    array_namespace(x=x, weights=weights)
    if weights.ndim == 0 or weights.shape[-1] != x.shape[-2]:
        msg = f"weights must have shape (..., {x.shape[-2]}) to match x, got {tuple(weights.shape)}"
        raise ValueError(msg)
    check_batch("weights", weights.shape[:-1], x.shape[:-2])
    weights = xp.astype(
        as_real(xp, weights, "weights"), accumulation_dtype(xp, x.dtype), copy=False
    )
    check_finite(weights=weights)
    negative = xp.any(weights < 0)
    if is_concrete(negative):
        if bool(negative):
            msg = f"weights must not be negative, got a minimum of {float(xp.min(weights))}"
            raise ValueError(msg)
        if of_all and not bool(xp.all(xp.sum(weights, axis=-1) > 0)):
            msg = "weights must not all be zero"
            raise ValueError(msg)
    return weights


def check_labels(xp, x, labels):
    """The labels (..., n) of ``x``, of an integer dtype."""
    array_namespace(x=x, labels=labels)
    if not xp.isdtype(labels.dtype, "integral"):
        msg = f"labels must have an integer dtype, got {labels.dtype}"
        raise TypeError(msg)
    if labels.ndim == 0 or labels.shape[-1] != x.shape[-2]:
        msg = f"labels must have shape (..., {x.shape[-2]}) to match x, got {tuple(labels.shape)}"
        raise ValueError(msg)
    check_batch("labels", labels.shape[:-1], x.shape[:-2])
    return labels


def check_finite(**arrays):
    """In an eager call, refuse NaN and infinity.

    Raises
    ------
    ValueError
        Naming the argument.
    """
    for name, given in arrays.items():
        if given is None or not is_concrete(given):
            continue
        if not _is_finite(at_hand(given)):
            msg = f"{name} must be finite, got NaN or infinity"
            raise ValueError(msg)


def _is_finite(array):
    xp = array_namespace(array=array)
    if is_float16(xp, array):
        return all_finite(xp, array)
    with quiet(xp):
        total = xp.sum(array)
    # Under jit JAX traces what is computed from a constant, too.
    if not is_concrete(total) or bool(xp.isfinite(total)):
        return True
    # A sum that overflows proves nothing; the extremes tell, without a mask of that size.
    extremes = xp.stack([xp.min(array), xp.max(array)])
    return bool(xp.all(xp.isfinite(extremes)))


def check_integer(name, value, minimum):
    """A Python int of at least ``minimum``."""
    try:
        value = operator.index(value)
    except TypeError:
        msg = f"{name} must be an integer, got {type(value).__name__}"
        raise TypeError(msg) from None
    if value < minimum:
        msg = f"{name} must be at least {minimum}, got {value}"
        raise ValueError(msg)
    return value


def check_k(k, x, n=None):
    """The number of clusters: an int from 1 to the number of rows, n if not those of x."""
    k = check_integer("k", k, 1)
    n = x.shape[-2] if n is None else n
    if k > n:
        msg = f"k must be at most the number of rows, {n}, got {k}"
        raise ValueError(msg)
    return k


def check_k_each(xp, x, k_each, k):
    """The numbers of clusters (...) of the problems of a batch, from 1 to ``k``, or None."""
    if k_each is None:
        return None
    array_namespace(x=x, k_each=k_each)
    if not xp.isdtype(k_each.dtype, "integral"):
        msg = f"k_each must have an integer dtype, got {k_each.dtype}"
        raise TypeError(msg)
    check_batch("k_each", tuple(k_each.shape), x.shape[:-2])
    usable = xp.all((k_each >= 1) & (k_each <= k))
    if is_concrete(usable) and not bool(usable):
        msg = f"k_each must be from 1 to {k}, the number of centroids, got {k_each}"
        raise ValueError(msg)
    return k_each


def check_option(name, value, allowed):
    """One of the allowed names."""
    if value not in allowed:
        msg = f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}"
        raise ValueError(msg)
    return value
