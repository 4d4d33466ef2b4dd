"""Mean distances between rows and clusters, without an n x n array.

Two ways: over all pairs of rows, in blocks; and by the centres, where the metric is the
squared Euclidean distance of mapped rows, for which

    sum over y in C of |x - y|^2 = |C| |x - mean(C)|^2 + sum over y in C of |y - mean(C)|^2.
"""

from math import isqrt
from typing import Any, NamedTuple

from kmeans_fx._backend.blocks import map_blocks, map_in_turn
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype, is_jax_namespace
from kmeans_fx._backend.pairs import euclidean_block, rows_per_tile, squared_block
from kmeans_fx._backend.segment import segment_sum, take_rows
from kmeans_fx._backend.sharding import row_parts
from kmeans_fx._partition import map_rows
from kmeans_fx._ranks import ranks_of, total
from kmeans_fx.distances import METRICS
from kmeans_fx.metrics._clusters import centres_of

__all__ = [
    "Spread",
    "by_label",
    "copies",
    "nearest_other",
    "own_and_other",
    "pairwise_sums",
    "spread_of",
]

# Differences (c, b, d) that a block may hold for a metric without a product form.
_NUMBERS = 1 << 20


def pairwise_sums(function, x, members, mass, metric, collect, reduce=None, asked=None):
    """Apply ``function`` to the summed distances of blocks of rows to the clusters.

    A block goes to all devices and processes, each of which sums the distances to the rows
    that it has: no other rows travel, and none are kept.

    Parameters
    ----------
    function : callable
        ``(sums (..., k, b), itself (..., b), *own) -> array (..., b)``: ``itself`` is what
        came out as the distance of each row to itself, ``own`` its part of ``members``.
    x : array (..., n, d)
        In the accumulation dtype.
    members : tuple of arrays (..., n) or (..., n, m), with the leading dimensions of x
    mass : callable
        ``(*own) -> weights (..., b)``: a row of weight 0 must not take a block's centre along.
    metric : Metric
    collect : callable
        ``(distances (..., c, b), *part of members) -> sums (..., k, b)``.
    reduce : callable, optional
        It knows its rank. The rows of a block are those of one process, or of neighbours.
    asked : tuple of arrays, optional
        Other rows and their members, whose distances to the rows of ``x`` are summed.

    Returns
    -------
    array (..., n)
    """
    xp, axis, ranks = array_namespace(x=x), x.ndim - 2, ranks_of(x, reduce)
    # Blocks are cut along the first axis: bring the rows there, and back inside.
    front = tuple(_front(array, axis) for array in (x, *members))
    n = ranks.n if asked is None else asked[0].shape[axis]
    asked = (x, *members) if asked is None else asked
    size = _block_rows(x, metric)

    def outer(numbers):
        rows, *own = (ranks.entries(array, numbers, axis) for array in asked)
        centre = _centre(rows, mass(*own))

        def inner(*block):
            others, *part = (_back(array, axis) for array in block)
            return (), (collect(_distances(metric, others, rows, centre), *part),)

        _, (sums,) = map_blocks(inner, front, 2 * size)
        sums = ranks.total(sums)
        return (_front(function(sums, _itself(metric, rows, centre), *own), axis),), ()

    in_turn = reduce is not None or is_jax_namespace(xp)
    walk = map_in_turn if in_turn else map_blocks
    # Equal blocks, the last rows more than once, so that JAX compiles one kind of block.
    blocks = -(-n // size)
    size = -(-n // blocks)
    numbers = xp.arange(blocks * size, dtype=index_dtype(xp, x), device=device(x))
    (result,), _ = walk(outer, (xp.clip(numbers, None, n - 1),), size)
    return ranks.own(_back(result, axis), asked[0].shape[axis], axis)


def _block_rows(x, metric):
    """Rows b so that b * 2 b distances, of all members of a batch, are one block."""
    members = 1
    for size in x.shape[:-2]:
        members *= size
    most = rows_per_tile(array_namespace(x=x))
    if metric == METRICS["euclidean"]:
        return max(16, isqrt(most * most // members))
    return max(16, min(most, isqrt(_NUMBERS // (2 * members * x.shape[-1]))))


def _distances(metric, others, rows, centre):
    """Distances (..., c, b) of c others to b rows."""
    if metric == METRICS["euclidean"]:
        return euclidean_block(others - centre, rows - centre)
    return metric.distance(others[..., :, None, :], rows[..., None, :, :])


def _itself(metric, rows, centre):
    """What rounding (or the metric) makes of the distance of a row to itself."""
    xp = array_namespace(rows=rows)
    if metric != METRICS["euclidean"]:
        return metric.distance(rows, rows)
    block = _distances(metric, rows, rows, centre)
    index = xp.arange(rows.shape[-2], device=device(rows))
    return xp.sum(xp.where(index[:, None] == index, block, xp.zeros_like(block)), axis=-1)


def by_label(labels, *arrays):
    """Arrays (..., n) or (..., n, m) in the order of the labels (..., n), and the way back.

    The rows of a block are near to each other then. Rows that lie on several devices stay
    on theirs: the parts that these may have are sorted each by itself.
    """
    xp, (*batch, n) = array_namespace(labels=labels), labels.shape
    parts = row_parts(n) if is_jax_namespace(xp) else 1
    cut = (*batch, n) if parts == 1 else (*batch, parts, n // parts)
    order = xp.argsort(xp.reshape(labels, cut), axis=-1, stable=True)

    def along(array, order):
        flat = xp.reshape(array, (*cut, -1))
        return xp.reshape(take_rows(xp, flat, order), array.shape)

    back = xp.argsort(order, axis=-1, stable=True)
    return [along(array, order) for array in arrays], lambda array: along(array, back)


def copies(metric, weight):
    """How many copies of a row its distance to itself counts for, in the sums.

    For the Euclidean distance all: what is not 0 is rounding. Else the one that is left out.
    """
    xp = array_namespace(weight=weight)
    return weight if metric == METRICS["euclidean"] else xp.ones_like(weight)


def _centre(rows, weight):
    """Weighted mean (..., 1, d) of a block."""
    xp = array_namespace(rows=rows)
    mass = xp.sum(weight, axis=-1)[..., None, None]
    sums = xp.sum(rows * weight[..., None], axis=-2, keepdims=True)
    return sums / xp.where(mass > 0, mass, xp.ones_like(mass))


def _front(array, axis):
    """The axis of the rows first."""
    rest = (i for i in range(array.ndim) if i != axis)
    return array_namespace(array=array).permute_dims(array, (axis, *rest))


def _back(array, axis):
    order = (*range(1, axis + 1), 0, *range(axis + 1, array.ndim))
    return array_namespace(array=array).permute_dims(array, order)


class Spread(NamedTuple):
    """Mean distance to a cluster: ``slope |x - centre|^2 + offset``; slope, offset (..., k)."""

    centres: Any
    slope: Any
    offset: Any
    counts: Any


def spread_of(x, labels, weights, k, embed, reduce=None):
    """The Spread of every cluster of mapped rows ``x``; rows of zeros are at distance 1 of all.

    ``embed`` says whether the rows are directions (cosine), where a row of zeros has none.
    """
    xp = array_namespace(x=x)
    metric = METRICS["sqeuclidean"]
    ones = xp.ones(labels.shape, dtype=x.dtype, device=device(x))
    share = ones if weights is None else weights * ones
    directed = share if not embed else share * xp.astype(xp.any(x != 0, axis=-1), x.dtype)
    centres, counts = centres_of(x, labels, directed, k, metric, reduce)
    squares = metric.distance(x, take_rows(xp, centres, labels)) * directed
    inertia = total(segment_sum(squares[..., None], labels, k)[..., 0], reduce)
    if not embed:
        one = xp.ones_like(counts)
        return Spread(centres, one, inertia / xp.where(counts > 0, counts, one), counts)
    sizes = total(segment_sum(share[..., None], labels, k)[..., 0], reduce)
    whole = xp.where(sizes > 0, sizes, xp.ones_like(sizes))
    # Half the squared chord, and 1 for the rows of zeros.
    return Spread(centres, counts / (2 * whole), (inertia / 2 + sizes - counts) / whole, sizes)


def own_and_other(x, labels, spread):
    """Mean distance to the own cluster, and to the nearest other one with rows: two (..., n)."""
    xp = array_namespace(x=x)
    k = spread.centres.shape[-2]
    origin = xp.mean(spread.centres, axis=-2, keepdims=True)
    centres = spread.centres - origin
    barrier = xp.where(spread.counts > 0, spread.offset, xp.full_like(spread.offset, xp.inf))

    def at(rows, index):
        chosen = take_rows(xp, spread.centres, index)
        far = xp.sum((rows - chosen) ** 2, axis=-1)
        return _pick(xp, spread.slope, index) * far + _pick(xp, spread.offset, index)

    def block(rows, own):
        table = spread.slope[..., None, :] * squared_block(rows - origin, centres)
        other = nearest_other(table + barrier[..., None, :], own)
        return (at(rows, own), at(rows, other)), ()

    results, _ = map_rows(block, (x, labels), spread.centres, k + 3 * x.shape[-1], None)
    return results


def nearest_other(table, own):
    """Column of the smallest entry of ``table`` (..., b, k) that is not ``own`` (..., b)."""
    xp = array_namespace(table=table)
    columns = xp.arange(table.shape[-1], dtype=own.dtype, device=device(table))
    return xp.argmin(
        xp.where(columns == own[..., None], xp.full_like(table, xp.inf), table), axis=-1
    )


def _pick(xp, values, index):
    """Entries of (..., k) by an index (..., b)."""
    return take_rows(xp, values[..., None], index)[..., 0]
