"""Rows drawn by weight, none twice: those whose exponential clocks ring first, of all ranks."""

from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.random import uniform

__all__ = ["first_in_race"]


def first_in_race(x, weights, key, m, ranks):
    """Numbers (..., m) of the rows that come in first, in order."""
    xp = array_namespace(x=x)
    clocks = _clocks(xp, x, weights, key, ranks)
    order = xp.argsort(clocks, axis=-1, stable=True)[..., :m]
    if ranks.reduce is None:
        return order
    # The first m of all are among the first m of each rank.
    times = xp.take_along_axis(clocks, order, axis=-1)
    times = _filled(xp, times, m, float(xp.finfo(times.dtype).max))
    told = ranks.gather(times)
    places = xp.argsort(xp.reshape(told, (*told.shape[:-2], -1)), axis=-1, stable=True)[..., :m]
    place, owner = places // ranks.reduce.size, places % ranks.reduce.size
    numbers = xp.take_along_axis(_filled(xp, order, m, 0), place, axis=-1) + ranks.start
    return ranks.masked_total(numbers, owner == ranks.rank)


def _clocks(xp, x, weights, key, ranks):
    """When the rows (..., n) ring: absent ones last, and each when it would on one rank."""
    dtype = xp.float32 if weights is None else weights.dtype
    # From (0, 1], so that only an absent row is never there.
    clocks = -xp.log(1.0 - uniform(key, (ranks.n,), dtype))
    if ranks.reduce is not None:
        clocks = xp.take(clocks, xp.arange(x.shape[-2], device=device(x)) + ranks.start, axis=-1)
    if weights is None:
        return clocks
    safe = xp.where(weights > 0, weights, xp.ones_like(weights))
    last = xp.full_like(weights, float(xp.finfo(dtype).max))
    return xp.where(weights > 0, clocks / safe, last)


def _filled(xp, array, m, value):
    """An array (..., up to m) with so many entries; ranks may have different numbers of rows."""
    missing = (*array.shape[:-1], m - array.shape[-1])
    if missing[-1] == 0:
        return array
    filling = xp.full(missing, value, dtype=array.dtype, device=device(array))
    return xp.concat([array, filling], axis=-1)
