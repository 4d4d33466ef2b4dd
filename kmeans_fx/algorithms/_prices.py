"""Prices of the clusters, under which nearly every cluster gets the number of rows it may hold.

The dual of the transportation problem in `_transportation`: every row takes the cluster
whose cost plus price is least. Bounds on a size show in the sign of its price: a positive
one pushes rows out of a full cluster, a negative one draws them into one at its minimum.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.segment import take_rows

__all__ = ["cheapest", "fair_prices", "places", "sizes_of", "wanted_sizes"]


class _State(NamedTuple):
    """Prices, by how much their sizes miss, the least miss, and the turns since it fell."""

    prices: Any
    excess: Any
    least: Any
    idle: Any


def fair_prices(costs, present, low, high, prices):
    """Prices (..., k) close to the best ones, from ``prices`` on.

    The cluster that misses its size by most gets the price that is best as long as the
    others keep theirs. This ends where k turns in a row have not lowered the sum of the
    misses by a quarter: on prices that are as good as they can be one at a time.
    """
    xp, k = array_namespace(costs=costs), costs.shape[-2]

    def excess(prices):
        sizes = sizes_of(cheapest(costs, prices), present, k)
        return sizes - wanted_sizes(prices, sizes, low, high)

    def body(state):
        cluster = xp.argmax(xp.abs(state.excess), axis=-1, keepdims=True)
        best = _best_price(costs, present, low, high, state.prices, cluster)
        here = places(costs, k) == xp.astype(cluster, low.dtype)
        prices = xp.where(here, best, state.prices)
        missed = excess(prices)
        total = xp.sum(xp.abs(missed), axis=-1)
        lower = 4 * total < 3 * state.least
        least = xp.where(lower, total, state.least)
        idle = xp.where(lower, xp.zeros_like(state.idle), state.idle + 1)
        return _State(prices, missed, least, idle)

    missed = excess(prices)
    total = xp.sum(xp.abs(missed), axis=-1)
    state = _State(prices, missed, total, xp.zeros_like(total))
    most = k * (4 * costs.shape[-1].bit_length() + 4)
    return while_loop(
        lambda s: xp.any(s.excess != 0, axis=-1) & (s.idle < k), body, state, max_steps=most
    ).prices


def _best_price(costs, present, low, high, prices, cluster):
    """The price (..., 1) of one cluster, in the middle of those that give it its size."""
    xp, k = array_namespace(costs=costs), costs.shape[-2]
    here = places(costs, k)[:, None] == xp.astype(cluster, low.dtype)[..., None]
    lifted = costs + prices[..., None]
    others = xp.min(xp.where(here, xp.full_like(lifted, xp.inf), lifted), axis=-2)
    # A row comes at any price below its margin; an absent one at none.
    margin = others - take_rows(xp, costs, cluster)[..., 0, :]
    if present is not None:
        margin = xp.where(present, margin, xp.full_like(margin, -xp.inf))
    ordered = xp.sort(margin, axis=-1, descending=True)
    zero = xp.zeros_like(margin[..., :1])
    free = xp.sum(xp.astype(margin > 0, low.dtype), axis=-1, keepdims=True)
    price = xp.where(free < low, _between(xp, ordered, low), zero)
    return xp.where(free > high, _between(xp, ordered, high), price)


def _between(xp, ordered, size):
    """The middle (..., 1) between the margins of the last row that comes and of the next."""
    n = ordered.shape[-1]
    shape = (*ordered.shape[:-1], 1)
    last, following = (xp.broadcast_to(xp.clip(size + i, 0, n - 1), shape) for i in (-1, 0))
    return sum(xp.take_along_axis(ordered, i, axis=-1) for i in (last, following)) / 2


def cheapest(costs, prices):
    """The cluster (..., n) of least cost plus price for every row."""
    return array_namespace(costs=costs).argmin(costs + prices[..., None], axis=-2)


def sizes_of(labels, present, k):
    """Numbers (..., k) of rows of every label, of those that are present."""
    xp = array_namespace(labels=labels)
    own = labels[..., None, :] == xp.arange(k, dtype=labels.dtype, device=device(labels))[:, None]
    own = own if present is None else own & present[..., None, :]
    return xp.count_nonzero(own, axis=-1)


def wanted_sizes(prices, sizes, low, high):
    """The sizes (..., k) that go with the signs of the prices; any allowed one with 0."""
    xp = array_namespace(prices=prices)
    sizes = xp.minimum(xp.maximum(sizes, low), high)
    return xp.where(prices > 0, high, xp.where(prices < 0, low, sizes))


def places(costs, k):
    """The integers below k."""
    xp = array_namespace(costs=costs)
    return xp.arange(k, dtype=index_dtype(xp, costs), device=device(costs))
