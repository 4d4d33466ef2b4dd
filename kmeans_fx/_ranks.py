"""The rows of one process among those of all: sums, rows, maxima and draws over all ranks.

Everything is a few small sums through ``reduce``. What a reduction needs for it, beyond
being callable, is a ``rank`` from 0 to ``size - 1``, in the order of the rows.
"""

import math
from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace, device, index_dtype, is_jax_namespace
from kmeans_fx._backend.random import choice, fold_in, invert
from kmeans_fx._backend.segment import segment_sum, take_rows
from kmeans_fx._backend.transform import tracks_gradients
from kmeans_fx.update import ClusterStats

__all__ = [
    "Ranks",
    "agreed",
    "from_first",
    "knows_ranks",
    "own_key",
    "ranks_of",
    "rows_of_all",
    "total",
]

# No counter of random_bits reaches this: the draws of a rank are not those of all.
_STREAM = 5 << 32


class Ranks(NamedTuple):
    """Where the rows of this process lie among all: row i is number ``start + i`` of ``n``."""

    reduce: Any
    rank: Any
    n: int
    start: Any

    def total(self, array):
        """The sum of an array (..., m) over all ranks."""
        return total(array, self.reduce)

    def share(self, m, n):
        """How many of m rows are of this process, which has n, where each gives in proportion."""
        return -(-m * n // self.n)

    def gather(self, array):
        """The arrays (...) of all ranks side by side, (..., size)."""
        xp = array_namespace(array=array)
        places = xp.arange(self.reduce.size, device=device(array))
        return self.masked_total(array[..., None], places == self.rank)

    def take(self, x, numbers):
        """Rows (..., m, d) by their numbers (..., m)."""
        xp = array_namespace(x=x)
        if self.reduce is None:
            return take_rows(xp, x, numbers)
        n, local = x.shape[-2], numbers - self.start
        rows = take_rows(xp, x, xp.clip(local, 0, n - 1))
        mine = (local >= 0) & (local < n)
        flat = xp.reshape(xp.where(mine[..., None], rows, rows * 0), (*rows.shape[:-2], -1))
        return xp.reshape(self.total(flat), rows.shape)

    def entries(self, array, numbers, axis):
        """Those of an array along the axis of its rows, by their numbers (m,)."""
        xp = array_namespace(array=array)
        lead = array.shape[:axis]
        flat = xp.reshape(array, (*lead, array.shape[axis], -1))
        taken = self.take(flat, numbers)
        return xp.reshape(taken, (*lead, numbers.shape[0], *array.shape[axis + 1 :]))

    def own(self, array, n, axis):
        """The part of this process, which has n rows, of what there is along an axis for all."""
        xp = array_namespace(array=array)
        if self.reduce is None:
            return array[(*(slice(None),) * axis, slice(n), ...)]
        numbers = self.start + xp.arange(n, device=device(array))
        return xp.take(array, numbers, axis=axis)

    def any(self, mask):
        """Whether an entry of (..., n) is marked on any rank, (...)."""
        xp = array_namespace(mask=mask)
        here = xp.any(mask, axis=-1)
        if self.reduce is None:
            return here
        return self.total(xp.astype(here, xp.float32)[..., None])[..., 0] > 0

    def argmax(self, values):
        """The number of the largest of (..., n), and that; the first of equal ones."""
        xp = array_namespace(values=values)
        index, most = xp.argmax(values, axis=-1), xp.max(values, axis=-1)
        if self.reduce is None:
            return index, most
        tops = self.gather(most)
        number = self._of(index + self.start, xp.argmax(tops, axis=-1) == self.rank)
        return number, xp.max(tops, axis=-1)

    def draw(self, p, draws, otherwise=None):
        """Numbers (..., t) in proportion to ``p`` (..., n); ``otherwise`` (..., 1) if all are 0.

        The same rows as if one process had them all: see `choice` for the two draws.
        """
        xp = array_namespace(p=p)
        if self.reduce is None:
            drawn = choice(draws, p)
            some = None if otherwise is None else _has_mass(xp, p, drawn)
        else:
            drawn, some = self._draw(xp, p, draws)
        return drawn if otherwise is None else xp.where(some, drawn, otherwise)

    def _draw(self, xp, p, draws):
        n, kind = p.shape[-1], index_dtype(xp, p)
        size = math.isqrt(self.n - 1) + 1
        own = (xp.arange(n, dtype=kind, device=device(p)) + self.start) // size
        sums = segment_sum(p[..., None], xp.broadcast_to(own, p.shape), -(-self.n // size))
        sums = self.total(sums[..., 0])
        block = invert(xp, sums[..., None, :], draws[..., 0])
        # This rank's entries of the block, and the share of every rank in it.
        places = block[..., None] * size + xp.arange(size, dtype=kind, device=device(p))
        local = places - self.start
        flat = xp.reshape(xp.clip(local, 0, n - 1), (*p.shape[:-1], -1))
        entries = xp.reshape(xp.take_along_axis(p, flat, axis=-1), places.shape)
        entries = xp.where((local >= 0) & (local < n), entries, entries * 0)
        shares = self.gather(xp.sum(entries, axis=-1))
        owner, rest = _owner(xp, shares, draws[..., 1])
        number = self._of(block * size + invert(xp, entries, rest), owner == self.rank)
        return xp.clip(number, None, self.n - 1), xp.any(sums > 0, axis=-1, keepdims=True)

    def _of(self, array, mine):
        """The array (...) of the ranks that it is of."""
        return self.masked_total(array[..., None], mine[..., None])[..., 0]

    def masked_total(self, array, mine):
        """The sum over all ranks of what is marked."""
        return self.total(array_namespace(array=array).where(mine, array, array * 0))


def _has_mass(xp, p, drawn):
    """Whether any entry of ``p`` (..., n) is positive, for draws (..., t) or all together."""
    if is_jax_namespace(xp):
        # The entries may be on several devices.
        return xp.any(p > 0, axis=-1, keepdims=True)
    # An entry of 0 is drawn only where all are 0.
    return xp.take_along_axis(p, drawn, axis=-1) > 0


def _owner(xp, shares, draws):
    """The rank in whose share of a block a draw falls, and the draw within that share."""
    owner = invert(xp, shares, draws)
    upto = xp.cumulative_sum(shares, axis=-1)
    before = xp.take_along_axis(upto - shares, owner[..., None], axis=-1)[..., 0]
    share = xp.take_along_axis(shares, owner[..., None], axis=-1)[..., 0]
    rest = draws * upto[..., -1] - before
    rest = rest / xp.where(share > 0, share, xp.ones_like(share))
    return owner, xp.clip(rest, 0.0, 1.0 - 2.0**-23)


def total(array, reduce):
    """The sum of an array (..., m) over all ranks, through a reduction of statistics."""
    if reduce is None:
        return array
    zeros = array * 0
    stats = ClusterStats(array[..., None, :], zeros[..., :1], zeros[..., 0])
    return reduce(stats).sums[..., 0, :]


def knows_ranks(reduce):
    """Whether a reduction can also tell its place among all."""
    return hasattr(reduce, "rank") and hasattr(reduce, "size")


def ranks_of(x, reduce):
    """The Ranks of the rows; without ``reduce`` all are here.

    Raises
    ------
    ValueError
        If the reduction does not know its rank, or an index cannot hold the number of rows.
    """
    xp, n = array_namespace(x=x), x.shape[-2]
    if reduce is None:
        return Ranks(None, 0, n, 0)
    if not knows_ranks(reduce):
        msg = (
            "reduce must have a rank and a size to draw or compare rows of all ranks: use those of "
            "kmeans_fx.distributed, or give an array of centroids as init"
        )
        raise ValueError(msg)
    if is_jax_namespace(xp):
        # All shards are equal, and shapes must be known.
        kind, total = index_dtype(xp, x), n * reduce.size
        if total > xp.iinfo(kind).max:
            msg = f"x must have fewer rows than {kind} can number, got {total} on all ranks"
            raise ValueError(msg)
        rank = xp.astype(reduce.rank, kind)
        return Ranks(reduce, rank, total, rank * n)
    alone = Ranks(reduce, reduce.rank, n, 0)
    own = xp.asarray(n, dtype=index_dtype(xp, x), device=device(x))
    counts = [int(count) for count in alone.gather(own)]
    return Ranks(reduce, reduce.rank, sum(counts), sum(counts[: reduce.rank]))


def own_key(key, reduce):
    """A key for draws of this process alone."""
    return key if reduce is None else fold_in(fold_in(key, _STREAM), reduce.rank)


def rows_of_all(x, reduce):
    """The number of rows on all ranks; infinite where the reduction cannot tell."""
    if reduce is None:
        return x.shape[-2]
    return ranks_of(x, reduce).n if knows_ranks(reduce) else math.inf


def from_first(array, reduce):
    """What rank 0 holds, an array (..., m), on all ranks, where the reduction knows them."""
    if array is None or not knows_ranks(reduce):
        return array
    xp = array_namespace(array=array)
    first = xp.arange(1, device=device(array)) == reduce.rank
    return Ranks(reduce, reduce.rank, 0, 0).masked_total(array, first)


def agreed(reduce, check, **facts):
    """The result (xp, x, ...) of ``check()``, once the checks of all ranks have passed.

    An error on one rank, or other messages because of an argument that is not the same,
    would leave the others waiting. A reduction that has ``agree(facts, error)`` tells them.
    """
    tell = getattr(reduce, "agree", None)
    if tell is None:
        return check()
    try:
        result = check()
    except (TypeError, ValueError) as error:
        tell({}, error)
        raise
    x = result[1]
    own = {
        "columns of x": x.shape[-1],
        "dtype of x": str(x.dtype),
        "whether x has derivatives": tracks_gradients(x),
    }
    tell(own | facts, None)
    return result
