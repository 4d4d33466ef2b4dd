"""Rows by their numbers, and samples of rows, fetched from where the blocks are."""

from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx.algorithms._batches import sample_rows
from kmeans_fx.algorithms._block_steps import real_rows
from kmeans_fx.algorithms._samples import best_of_samples, count_samples
from kmeans_fx.algorithms._sweeps import Swept

__all__ = ["fetch", "sampled_start"]

# Row numbers are drawn as words of 31 bits.
_MOST_ROWS = 1 << 31


class Fetched(NamedTuple):
    """Rows (m, d), their weights (m,) or None, and the places (m,) that they belong in."""

    rows: Any
    weights: Any
    places: Any


def fetch(sweep, index, layout):
    """The rows (m, d) of the numbers (m,), in their order, and their weights or None."""
    xp = array_namespace(index=index)
    order = xp.argsort(index, stable=True)
    _, found = sweep(rows_at, None, xp.take(index, order), order, layout, merge=merge_fetched)
    back = xp.argsort(found.places, stable=True)
    weights = None if found.weights is None else xp.take(found.weights, back)
    return xp.take(found.rows, back, axis=0), weights


def rows_at(block, kept, index, places, layout):
    """Those of the rows of ascending numbers that a block has."""
    del kept
    rows, weights = real_rows(block)
    xp, start = array_namespace(rows=rows), layout.firsts[block.number]
    bounds = xp.asarray([start, start + rows.shape[0]], dtype=index.dtype, device=device(index))
    low, high = (int(i) for i in xp.searchsorted(index, bounds))
    if low == high:
        return Swept(None, None)
    here = index[low:high] - start
    shares = None if weights is None else xp.take(weights, here)
    return Swept(None, Fetched(xp.take(rows, here, axis=0), shares, places[low:high]))


def merge_fetched(first, second):
    """The rows of two parts; a block without weights has ones."""
    xp = array_namespace(rows=first.rows)
    weights = None
    if first.weights is not None or second.weights is not None:
        weights = xp.concat([_shares(xp, first), _shares(xp, second)])
    pairs = ((first.rows, second.rows), (first.places, second.places))
    rows, places = (xp.concat(pair, axis=0) for pair in pairs)
    return Fetched(rows, weights, places)


def _shares(xp, part):
    if part.weights is not None:
        return part.weights
    return xp.ones(part.rows.shape[:1], dtype=part.rows.dtype, device=device(part.rows))


def sampled_start(sweep, like, k, words, layout, search, length=1):
    """Initial centroids from samples, the same as `best_start` finds in memory.

    ``like`` (1, d) is a row of the data's dtype.
    """
    return best_of_samples(
        like, k, words, None, search, _samples(sweep, like, words, layout, search, length)
    )


def _samples(sweep, like, words, layout, search, length):
    """As many samples as `count_samples`; all rows if a sample would have as many."""
    if not callable(search.start):
        return []
    xp, count = array_namespace(like=like), count_samples(search)
    if search.size >= layout.n:
        return [fetch(sweep, xp.arange(layout.n, device=device(like)), layout)] * count
    if layout.n >= _MOST_ROWS:
        msg = f'init must be "k-means||" or an array with 2**31 rows or more, got {layout.n} rows'
        raise ValueError(msg)
    index = sample_rows(layout.n, words, count, search.size, length, like)
    return [fetch(sweep, index[i, :], layout) for i in range(count)]
