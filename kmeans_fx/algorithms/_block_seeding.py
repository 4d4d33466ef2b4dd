"""k-means|| over blocks of rows: for a key, the candidates that it has in memory.

The reach of a row, its distance to the candidates so far, stays with its block. A draw in
proportion to the reach takes two sweeps, as `kmeans_fx._backend.random.choice` takes two
steps: the sums over segments of about sqrt(n) neighbours tell in which segment a draw
falls, and its block finds the row there. Segments do not end where blocks do.
"""

import math
from typing import Any, NamedTuple

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.random import invert
from kmeans_fx._partition import Space
from kmeans_fx._sampling import choose_among_candidates, reach_of_nearest, uniforms
from kmeans_fx.algorithms._block_steps import add, real_rows, statistics
from kmeans_fx.algorithms._sweeps import Swept
from kmeans_fx.distances import as_metric

__all__ = ["Layout", "parallel_start"]


class Layout(NamedTuple):
    """Where the rows are: the first row of every block by its number, of n, and the origin."""

    firsts: dict
    n: int
    origin: Any

    @property
    def size(self):
        """Rows of a segment."""
        return math.isqrt(self.n - 1) + 1


class Segments(NamedTuple):
    """Sums over segments, from one to another; ``edges`` are by block.

    Attributes
    ----------
    first : int
    sums : array (s,)
    edges : tuple of (number, first segment, last segment, sum so far in the last one)
    """

    first: int
    sums: Any
    edges: tuple


class Drawn(NamedTuple):
    """For every draw whether its row was found (t,), and the rows (t, d), else 0."""

    found: Any
    rows: Any


def parallel_start(sweep, k, words, layout, how, rounds, batch):
    """The rows that `kmeans_parallel` chooses."""
    xp = array_namespace(origin=layout.origin)
    draws = uniforms(layout.origin, words, rounds + 1, batch)
    outputs, segments = sweep(mass_of_rows, None, layout, how, merge=merge_segments)
    first = _drawn_rows(sweep, outputs, segments, draws[0, :1, :], layout, None)
    candidates = fresh = first
    for turn in range(1, rounds + 1):
        # Reach of the first candidate alone, then the smaller of the old and the new one.
        function = first_reach if turn == 1 else next_reach
        outputs, segments = sweep(function, outputs, fresh, layout, how, merge=merge_segments)
        fresh = _drawn_rows(sweep, outputs, segments, draws[turn, ...], layout, first)
        candidates = xp.concat([candidates, fresh])
    del outputs
    space = Space(as_metric(how.metric), layout.origin, how.chunk_size)
    relative = space.relative(candidates)
    every = xp.zeros(candidates.shape[:1], dtype=xp.bool, device=device(candidates))
    given = (relative, layout.origin, every, how, False)
    _, stats = sweep(statistics, None, *given, merge=add)
    counts = xp.astype(stats.counts, layout.origin.dtype, copy=False)
    chosen = choose_among_candidates(candidates, counts, words, k, how.metric, how.portable)
    return xp.take(candidates, chosen, axis=0)


def mass_of_rows(block, kept, layout, how):
    """Weights or ones, which the first draw is in proportion to."""
    del kept, how
    rows, weights = real_rows(block)
    xp = array_namespace(rows=rows)
    if weights is None:
        dtype = accumulation_dtype(xp, rows.dtype)
        weights = xp.ones(rows.shape[:1], dtype=dtype, device=device(rows))
    return _swept(block, weights, weights, layout)


def first_reach(block, kept, fresh, layout, how):
    """The reach of the rows from the first candidates."""
    del kept
    return next_reach(block, (None, None), fresh, layout, how)


def next_reach(block, kept, fresh, layout, how):
    """The reach, shrunk by new candidates."""
    old, _ = kept
    rows, weights = real_rows(block)
    args = {"portable": how.portable, **how._asdict()}
    (reach,) = _reach(rows, fresh, layout.origin, old, **args)
    mass = reach if weights is None else reach * weights
    return _swept(block, reach, mass, layout)


@program("nd md d n", "n")
def _reach(x, fresh, origin, old, *, metric, chunk_size):
    space = Space(as_metric(metric), origin, chunk_size)
    reach = reach_of_nearest(x, fresh, space)
    return (reach if old is None else array_namespace(x=x).minimum(reach, old),)


def _swept(block, reach, mass, layout):
    """The reach and mass are kept; the sums of the mass over segments merge."""
    xp, size = array_namespace(mass=mass), layout.size
    start = layout.firsts[block.number]
    first, last = start // size, (start + mass.shape[0] - 1) // size
    head = start - first * size
    tail = (last + 1) * size - start - mass.shape[0]

    def blank(length):
        return xp.zeros(length, dtype=mass.dtype, device=device(mass))

    padded = xp.concat([blank(head), mass, blank(tail)])
    sums = xp.sum(xp.reshape(padded, (-1, size)), axis=-1)
    edges = ((block.number, first, last, float(sums[-1])),)
    return Swept((reach, mass), Segments(first, sums, edges))


def merge_segments(first, second):
    """The sums of neighbouring parts, which may share a segment."""
    xp = array_namespace(first=first.sums)
    one, two = first.sums, second.sums
    if first.first + one.shape[0] > second.first:
        one, shared, two = one[:-1], one[-1:] + two[:1], two[1:]
        one = xp.concat([one, shared])
    return Segments(first.first, xp.concat([one, two]), first.edges + second.edges)


def _drawn_rows(sweep, outputs, segments, draws, layout, otherwise):
    """Rows (t, d) in proportion to the kept mass; ``otherwise`` (1, d) where all are 0."""
    xp = array_namespace(draws=draws)
    chosen = invert(xp, segments.sums, draws[:, 0])
    wanted = [int(i) for i in chosen]
    totals = [float(segments.sums[i]) for i in wanted]
    places = [float(draw) for draw in draws[:, 1]]
    turns = tuple(zip(wanted, totals, places, strict=True))
    _, drawn = sweep(find_rows, outputs, turns, _before(segments.edges), layout, merge=merge_drawn)
    if otherwise is None:
        return drawn.rows
    return xp.where(drawn.found[:, None], drawn.rows, otherwise)


def _before(edges):
    """By block, the mass that its first segment has in the blocks before it."""
    before, last, mass = {}, None, 0.0
    for number, first, end, sum_ in edges:
        before[number] = mass if first == last else 0.0
        # A block within one segment passes on what came before it.
        mass = sum_ + (before[number] if first == end else 0.0)
        last = end
    return before


def find_rows(block, kept, turns, before, layout):
    """The rows of a block on which draws fall: the second step of `choice`.

    ``turns`` are a segment, its total and a place in it for every draw.
    """
    _, mass = kept
    rows, _ = real_rows(block)
    xp, start = array_namespace(rows=rows), layout.firsts[block.number]
    found = [_find(xp, mass, turn, start, before[block.number], layout.size) for turn in turns]
    index = xp.asarray([max(i, 0) for i in found], device=device(rows))
    here = xp.asarray([i >= 0 for i in found], device=device(rows))
    taken = xp.take(rows, index, axis=0)
    return Swept(None, Drawn(here, xp.where(here[:, None], taken, xp.zeros_like(taken))))


def _find(xp, mass, turn, start, before, size):
    """The row on which a draw falls, or -1."""
    segment, total, draw = turn
    low, high = segment * size - start, (segment + 1) * size - start
    if total == 0 or high <= 0 or low >= mass.shape[0]:
        return -1
    entries = mass[max(low, 0) : min(high, mass.shape[0])]
    # What the segment has in earlier and later blocks are one entry each.
    earlier = before if low < 0 else 0.0
    later = 0.0
    if high > mass.shape[0]:
        later = max(0.0, total - earlier - float(xp.sum(entries)))
    ends = xp.asarray([earlier, later, draw], dtype=mass.dtype, device=device(mass))
    padded = xp.concat([ends[:1], entries, ends[1:2]])
    place = int(invert(xp, padded, ends[2:])[0]) - 1
    return place + max(low, 0) if 0 <= place < entries.shape[0] else -1


def merge_drawn(first, second):
    """A row that two blocks found at once is that of the first."""
    xp = array_namespace(found=first.found)
    rows = xp.where(first.found[:, None], first.rows, second.rows)
    return Drawn(first.found | second.found, rows)
