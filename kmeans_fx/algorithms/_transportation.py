"""The cheapest assignment of rows to clusters whose sizes have bounds: a minimum cost flow.

Rows go to clusters, and clusters to a sink that takes from each no less than its minimum
and no more than its maximum. Any prices give a flow that is the cheapest of its sizes (see
`_prices`); what the sizes miss is then moved along shortest paths between the clusters, one
row a step, which keeps it the cheapest [1]_. So good prices save steps, and none are
needed. A path visits clusters, not rows: the graph has k + 1 nodes.

References
----------
.. [1] R. K. Ahuja, T. L. Magnanti, J. B. Orlin, "Network flows", 1993 (section 9.7, the
   successive shortest path algorithm).
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.segment import take_one, take_rows
from kmeans_fx.algorithms._prices import cheapest, fair_prices, places, sizes_of, wanted_sizes

__all__ = ["assign_within"]


class _Flow(NamedTuple):
    """A flow that is the cheapest of its kind.

    Attributes
    ----------
    labels : integer array (..., n)
    sizes, sunk : integer arrays (..., k)
        Rows that a cluster gets, and that it passes to the sink.
    prices : array (..., k + 1)
        Of the clusters and of the sink.
    step : array (..., k, k)
        What it costs to move one row from the first cluster to the second.
    row : integer array (..., k, k)
        Which row that is.
    stale : bool array (..., k)
        Clusters whose rows changed since.
    turn : integer array (...)
    """

    labels: Any
    sizes: Any
    sunk: Any
    prices: Any
    step: Any
    row: Any
    stale: Any
    turn: Any


class _Paths(NamedTuple):
    """Length (..., k + 1) of the shortest path to every node, and the node before it."""

    length: Any
    before: Any
    again: Any


class _Walk(NamedTuple):
    """A flow, and the node (...) up to which a path is not yet walked back."""

    flow: _Flow
    node: Any


def assign_within(costs, present, low, high, prices):
    """Labels (..., n) of least total cost, and prices (..., k) that prove it.

    Parameters
    ----------
    costs : array (..., k, n)
        Finite.
    present : bool array (..., n), or None
        Rows that count; the others go where they like.
    low, high : integer arrays (..., 1)
        Bounds on the numbers of rows that can be met.
    prices : array (..., k)
        To start from: zeros, or those of a similar problem.
    """
    xp, (*_, k, n) = array_namespace(costs=costs), costs.shape
    most = (k + 1) * n
    prices = fair_prices(costs, present, low, high, prices)
    flow = while_loop(
        lambda flow: xp.any(_excess(flow) > 0, axis=-1) & (flow.turn < most),
        lambda flow: _augmented(costs, present, low, high, flow),
        _start(costs, present, low, high, prices),
        max_steps=most,
    )
    return flow.labels, flow.prices[..., :-1] - flow.prices[..., -1:]


def _start(costs, present, low, high, prices):
    """Every row where it is cheapest; the sink takes what the prices allow."""
    xp, (*_, k, _) = array_namespace(costs=costs), costs.shape
    labels = xp.astype(cheapest(costs, prices), low.dtype, copy=False)
    sizes = xp.astype(sizes_of(labels, present, k), low.dtype, copy=False)
    zero = xp.zeros_like(prices[..., :1])
    step = xp.broadcast_to(prices[..., None], (*prices.shape, k))
    return _Flow(
        labels=labels,
        sizes=sizes,
        sunk=xp.astype(wanted_sizes(prices, sizes, low, high), low.dtype, copy=False),
        prices=xp.concat([prices, zero], axis=-1),
        step=xp.zeros_like(step),
        row=xp.zeros(step.shape, dtype=low.dtype, device=device(costs)),
        stale=sizes >= 0,
        turn=xp.zeros(prices.shape[:-1], dtype=low.dtype, device=device(costs)),
    )


def _excess(flow):
    """What every node (..., k + 1) gets and does not pass on; the sink wants all rows."""
    xp = array_namespace(sizes=flow.sizes)
    rest = flow.sizes - flow.sunk
    return xp.concat([rest, -xp.sum(rest, axis=-1, keepdims=True)], axis=-1)


def _augmented(costs, present, low, high, flow):
    """Move one row's worth along the shortest path from any excess to any lack."""
    xp = array_namespace(costs=costs)
    flow = while_loop(
        lambda flow: xp.any(flow.stale, axis=-1),
        lambda flow: _priced(costs, present, flow),
        flow,
        max_steps=costs.shape[-2],
    )
    paths, excess = _shortest(flow, low, high), _excess(flow)
    lack = xp.where(excess < 0, paths.length, xp.full_like(paths.length, xp.inf))
    end, reach = xp.argmin(lack, axis=-1), xp.min(lack, axis=-1)
    # With these prices no step of the flow to come costs less than nothing.
    prices = flow.prices - xp.minimum(paths.length, reach[..., None])
    some = xp.isfinite(reach)
    flow = flow._replace(
        prices=xp.where(some[..., None], prices, flow.prices),
        turn=flow.turn + 1,
    )
    return while_loop(
        lambda walk: take_one(paths.before, walk.node) >= 0,
        lambda walk: _moved(paths.before, walk),
        _Walk(flow, xp.astype(end, flow.labels.dtype, copy=False)),
        max_steps=costs.shape[-2] + 1,
    ).flow


def _priced(costs, present, flow):
    """What the cheapest move from the first stale cluster to every other costs."""
    xp, k = array_namespace(costs=costs), costs.shape[-2]
    cluster = xp.argmax(xp.astype(flow.stale, xp.int32), axis=-1, keepdims=True)
    cluster = xp.astype(cluster, flow.labels.dtype, copy=False)
    own = flow.labels == cluster
    own = own if present is None else own & present
    more = costs - take_rows(xp, costs, cluster)
    more = xp.where(own[..., None, :], more, xp.full_like(more, xp.inf))
    row = xp.astype(xp.argmin(more, axis=-1), flow.row.dtype, copy=False)
    here = places(costs, k) == cluster
    return flow._replace(
        step=xp.where(here[..., None], xp.min(more, axis=-1)[..., None, :], flow.step),
        row=xp.where(here[..., None], row[..., None, :], flow.row),
        stale=flow.stale & ~here,
    )


def _shortest(flow, low, high):
    """Bellman and Ford's paths from all excess.

    Steps are at least 0 and only a shorter path replaces one, so that also with rounding
    the nodes before others never go in a circle.
    """
    xp = array_namespace(step=flow.step)
    infinite = xp.full_like(flow.sunk, xp.inf, dtype=flow.step.dtype)
    zeros = xp.zeros_like(infinite)
    passes = xp.where(flow.sunk < high, zeros, infinite)
    returns = xp.where(flow.sunk > low, zeros, infinite)
    returns = xp.concat([returns, zeros[..., :1]], axis=-1)
    step = xp.concat([flow.step, passes[..., None]], axis=-1)
    step = xp.concat([step, returns[..., None, :]], axis=-2)
    step = xp.clip(step + flow.prices[..., None, :] - flow.prices[..., None], 0.0, None)

    def body(paths):
        through = paths.length[..., None] + step
        closer = xp.min(through, axis=-2) < paths.length
        before = xp.astype(xp.argmin(through, axis=-2), paths.before.dtype, copy=False)
        return _Paths(
            xp.where(closer, xp.min(through, axis=-2), paths.length),
            xp.where(closer, before, paths.before),
            xp.any(closer, axis=-1),
        )

    excess = _excess(flow)
    none = xp.full_like(excess, -1)
    length = xp.zeros_like(flow.prices)
    length = xp.where(excess > 0, length, xp.full_like(length, xp.inf))
    start = _Paths(length, none, none[..., 0] < 0)
    return while_loop(lambda paths: paths.again, body, start, max_steps=none.shape[-1])


def _moved(before, walk):
    """Move one row's worth from the node before to the one at which the walk is."""
    xp, (flow, node) = array_namespace(before=before), walk
    k, n = flow.sizes.shape[-1], flow.labels.shape[-1]
    source = take_one(before, node)
    inside = (source < k) & (node < k)
    where = xp.clip(source, None, k - 1) * k + xp.clip(node, None, k - 1)
    row = take_one(xp.reshape(flow.row, (*flow.row.shape[:-2], k * k)), where)
    moves = (places(before, n) == row[..., None]) & inside[..., None]
    left, entered = (places(before, k) == end[..., None] for end in (source, node))
    less, more = (xp.astype(end, flow.sizes.dtype) for end in (left, entered))
    within = inside[..., None]
    change = more - less
    zeros = xp.zeros_like(change)
    moved = flow._replace(
        labels=xp.where(moves, node[..., None], flow.labels),
        sizes=flow.sizes + xp.where(within, change, zeros),
        # From a cluster to the sink it takes one more, and back one less.
        sunk=flow.sunk - xp.where(within, zeros, change),
        stale=flow.stale | ((left | entered) & within),
    )
    return _Walk(moved, source)
