"""What all of them share: checks, shares of the rows, agreement."""

from kmeans_fx._backend.checks import check_finite, check_k, check_one_problem, check_weights
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.random import as_key
from kmeans_fx.metrics.pairs import adjusted_rand_score

__all__ = ["alike", "checked", "ratio", "shares"]


def checked(x, k, weights, key):
    """The namespace, and the arguments checked; the key as words."""
    xp, x = check_one_problem(x)
    k = check_k(k, x)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    return xp, x, k, weights, as_key(key, xp, device(x))


def shares(xp, x, weights):
    """The weights, or ones (n,)."""
    if weights is not None:
        return weights
    return xp.ones(x.shape[0], dtype=accumulation_dtype(xp, x.dtype), device=device(x))


def alike(labels, others, k, weights, x):
    """Adjusted Rand index, in the accumulation dtype of x."""
    xp = array_namespace(x=x)
    score = adjusted_rand_score(labels, others, n_labels=k, weights=weights)
    return xp.astype(score, accumulation_dtype(xp, x.dtype), copy=False)


def ratio(xp, part, whole):
    """``part / whole``: 0 for 0 / 0, else infinite where the whole is 0."""
    empty = whole == 0
    ratio = part / xp.where(empty, xp.ones_like(whole), whole)
    return xp.where(empty & (part > 0), xp.full_like(ratio, xp.inf), ratio)
