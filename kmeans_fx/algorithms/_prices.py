"""Prices of the clusters, under which nearly every cluster gets the number of rows it may hold.

The dual of the transportation problem in `_transportation`: every row takes the cluster
whose cost plus price is least. Bounds on a size show in the sign of its price: a positive
one pushes rows out of a full cluster, a negative one draws them into one at its minimum.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.factor import inverse_cholesky
from kmeans_fx._backend.linalg import matmul
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._soft import softmax

__all__ = ["cheapest", "fair_prices", "missed_sizes", "places", "sizes_of", "wanted_sizes"]

# Steps at one temperature, and by how many temperatures no price changes at once.
_STEPS, _REACH = 4, 4


class _State(NamedTuple):
    """Prices and temperature, steps at it, and the best prices so far with what they miss."""

    prices: Any
    temperature: Any
    steps: Any
    best: Any
    missed: Any


def fair_prices(costs, present, low, high, prices):
    """Prices (..., k) close to the best ones, from ``prices`` on, and no worse.

    Where a softmax shares out the rows, the sizes are a smooth function of all prices: so
    Newton's method, while the temperature of the softmax falls.
    """
    xp, (*_, k, n) = array_namespace(costs=costs), costs.shape
    margin = _margin(costs, prices)

    def body(state):
        prices, miss = _stepped(costs, present, low, high, state)
        missed = _missed(costs, present, low, high, prices)
        better = missed < state.missed
        cool = (64 * miss < n) | (state.steps + 1 >= _STEPS)
        return _State(
            prices,
            xp.where(cool, state.temperature / 2, state.temperature),
            xp.where(cool, xp.zeros_like(state.steps), state.steps + 1),
            xp.where(better[..., None], prices, state.best),
            xp.where(better, missed, state.missed),
        )

    missed = _missed(costs, present, low, high, prices)
    # Where few rows have to move, only those near a border count.
    share = xp.clip(4 * xp.astype(missed, costs.dtype) / n, 1 / n, 1.0)
    return while_loop(
        lambda s: (s.missed > k) & (s.temperature * n > margin),
        body,
        _State(prices, margin * share, xp.zeros_like(missed), prices, missed),
        max_steps=_STEPS * (n.bit_length() + 1),
    ).best


def _missed(costs, present, low, high, prices):
    xp = array_namespace(costs=costs)
    return xp.sum(xp.abs(missed_sizes(costs, present, low, high, prices)), axis=-1)


def _margin(costs, prices):
    """By how much (...) the second cheapest cluster costs more, on average."""
    xp, lifted = array_namespace(costs=costs), costs + prices[..., None]
    labels = cheapest(costs, prices)
    place = places(costs, costs.shape[-2])[:, None]
    first = xp.astype(labels, place.dtype, copy=False)[..., None, :] == place
    second = xp.min(xp.where(first, xp.full_like(lifted, xp.inf), lifted), axis=-2)
    mean = xp.mean(second - xp.min(lifted, axis=-2), axis=-1)
    return xp.where((mean > 0) & xp.isfinite(mean), mean, xp.ones_like(mean))


def _stepped(costs, present, low, high, state):
    """The prices after a step, and what the smooth sizes (...) missed before it."""
    xp, k = array_namespace(costs=costs), costs.shape[-2]
    prices, temperature = state.prices, state.temperature[..., None]
    share = softmax(-(costs + prices[..., None]) / temperature[..., None], axis=-2)
    if present is not None:
        share = xp.where(present[..., None, :], share, xp.zeros_like(share))
    sizes = xp.sum(share, axis=-1)
    real = (xp.astype(bound, costs.dtype) for bound in (low, high))
    excess = sizes - wanted_sizes(prices, sizes, *real)
    eye = xp.eye(k, dtype=costs.dtype, device=device(costs))
    slope = sizes[..., None] * eye - matmul(share, xp.matrix_transpose(share))
    step = _solved(xp, slope, excess, (prices != 0) | (excess != 0)) * temperature
    step = xp.where(xp.all(xp.isfinite(step), axis=-1, keepdims=True), step, 0.0 * prices)
    largest = xp.max(xp.abs(step), axis=-1, keepdims=True)
    most = _REACH * temperature
    step = step * most / xp.where(largest > most, largest, most)
    # A price changes its sign only by way of 0, where no bound binds.
    passed = (prices * (prices + step) < 0) & (low < high)
    return xp.where(passed, 0.0 * prices, prices + step), xp.sum(xp.abs(excess), axis=-1)


def _solved(xp, slope, excess, moves):
    """The step (..., k) that takes the excess away; prices that do not move stay."""
    k, dtype = slope.shape[-1], slope.dtype
    eye = xp.eye(k, dtype=dtype, device=device(slope))
    slope = xp.where(moves[..., None] & moves[..., None, :], slope, xp.zeros_like(slope))
    scale = xp.max(slope, axis=(-2, -1), keepdims=True)
    scale = xp.where(scale > 0, scale, xp.ones_like(scale))
    # A common change of all prices moves no row, so that the slope may be singular.
    ridge = float(xp.finfo(dtype).eps) ** 0.5
    factor = inverse_cholesky(xp.where(moves[..., None], slope / scale, eye) + ridge * eye)
    step = matmul(factor, excess[..., None] / scale)
    return matmul(xp.matrix_transpose(factor), step)[..., 0]


def missed_sizes(costs, present, low, high, prices):
    """How many rows (..., k) too many every cluster gets at these prices."""
    xp, k = array_namespace(costs=costs), costs.shape[-2]
    sizes = xp.astype(sizes_of(cheapest(costs, prices), present, k), low.dtype, copy=False)
    return sizes - wanted_sizes(prices, sizes, low, high)


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
