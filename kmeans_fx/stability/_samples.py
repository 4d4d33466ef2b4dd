"""Resampled fits, and how well each cluster is found again in them."""

from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device, index_dtype
from kmeans_fx._backend.random import normal, permutation, randint
from kmeans_fx._backend.segment import segment_sum
from kmeans_fx.metrics._table import codes_of, dense

__all__ = ["batches", "bootstrap_weights", "jaccard_of", "noisy", "subsample_weights"]

# Numbers of rows, or weights, that a batch of refits may hold.
_NUMBERS = 1 << 24


def batches(keys, size):
    """The keys (b, 2) in groups whose refits, of so many numbers each, fit in one batch."""
    count = max(1, _NUMBERS // size)
    return (keys[i : i + count, :] for i in range(0, keys.shape[0], count))


def bootstrap_weights(keys, x, weights):
    """How often each row was drawn, n draws with replacement, times its weight: (b, n)."""
    xp, n = array_namespace(x=x), x.shape[0]
    draws = xp.astype(randint(keys, (n,), n), index_dtype(xp, x), copy=False)
    ones = xp.ones((*draws.shape, 1), dtype=_real(xp, x), device=device(x))
    counts = segment_sum(ones, draws, n)[..., 0]
    return counts if weights is None else counts * weights


def subsample_weights(keys, x, weights, size):
    """1, or the weight, of ``size`` rows drawn without replacement, else 0: (b, n)."""
    xp = array_namespace(x=x)
    chosen = xp.astype(permutation(keys, x.shape[0]) < size, _real(xp, x))
    return chosen if weights is None else chosen * weights


def noisy(keys, x, deviation):
    """The rows and normal noise of the given deviation (d,): (b, n, d)."""
    xp = array_namespace(x=x)
    dtype = _real(xp, x)
    noise = normal(keys, tuple(x.shape), dtype) * deviation
    return xp.astype(xp.astype(x, dtype, copy=False) + noise, x.dtype, copy=False)


def jaccard_of(labels, others, k, weights):
    """Jaccard similarity of k clusters (n,) with the nearest of each of (b, n), and which: (b, k).

    Of the rows of positive weight (b, n); NaN for a cluster that has none of them.
    """
    xp = array_namespace(labels=labels)
    both = dense(codes_of(labels, others, k, weights))
    both = xp.astype(both, accumulation_dtype(xp, weights.dtype), copy=False)
    sizes = xp.sum(both, axis=-1, keepdims=True)
    union = sizes + xp.sum(both, axis=-2, keepdims=True) - both
    similarity = both / xp.where(union > 0, union, xp.ones_like(union))
    best = xp.max(similarity, axis=-1)
    best = xp.where(sizes[..., 0] > 0, best, xp.full_like(best, xp.nan))
    return best, xp.argmax(similarity, axis=-1)


def _real(xp, x):
    return accumulation_dtype(xp, x.dtype)
