"""The best cuts of sorted numbers into k runs: a dynamic program, all rows of a level at once.

The least inertia of the first j numbers in m runs is the least over i of that of the first i
in m - 1 runs plus the inertia of the numbers from i to j. The best i never falls as j grows,
so that those of two neighbours bound the search between them.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.segment import segment_min

__all__ = ["best_cuts"]


class _Layer(NamedTuple):
    """Least inertia (b, n + 1) in ``turn`` runs, and where the last of m runs starts."""

    turn: Any
    least: Any
    last: Any


class _Sums(NamedTuple):
    """Sums (b (n + 1),) over the first numbers of every member: weights, numbers, squares."""

    weight: Any
    number: Any
    square: Any


def best_cuts(values, weights, k):
    """Where the runs start (b, k), for sorted ``values`` and ``weights`` (b, n).

    Values should be centred: their squares are summed. A run is empty only if there are fewer
    than k distinct values.
    """
    xp = array_namespace(values=values)
    b, n = values.shape
    sums = _Sums(*(_before(xp, w) for w in (weights, weights * values, weights * values**2)))
    one = xp.zeros((b, n + 1), dtype=index_dtype(xp, values), device=device(values))
    ends = xp.arange(b * (n + 1), dtype=one.dtype, device=device(values))
    begin = ends // (n + 1) * (n + 1)
    turn = xp.ones((), dtype=one.dtype, device=device(values))
    layers = xp.arange(k, dtype=one.dtype, device=device(values))[:, None]
    state = _Layer(
        turn,
        xp.reshape(_inertia(xp, sums, begin, ends), (b, n + 1)),
        xp.zeros((b, k, n + 1), dtype=one.dtype, device=device(values)),
    )

    def add_run(state):
        last = _last_starts(xp, sums, state.least)
        starts = xp.reshape(last + xp.reshape(begin, one.shape), (-1,))
        before = xp.take(xp.reshape(state.least, (-1,)), starts)
        least = before + _inertia(xp, sums, starts, ends)
        table = xp.where(layers == state.turn, last[:, None, :], state.last)
        return _Layer(state.turn + 1, xp.reshape(least, one.shape), table)

    if k > 1:
        state = while_loop(lambda s: s.turn < k, add_run, state, max_steps=k - 1)
    return _backtrack(xp, state.last)


def _before(xp, values):
    """Sums of the first 0 to n values, of all members in a row."""
    total = xp.cumulative_sum(values, axis=-1)
    return xp.reshape(xp.concat([xp.zeros_like(total[:, :1]), total], axis=-1), (-1,))


def _inertia(xp, sums, start, stop):
    """The inertia of the numbers between two places."""
    weight, number, square = (xp.take(s, stop) - xp.take(s, start) for s in sums)
    some = weight > 0
    spread = square - number * number / xp.where(some, weight, xp.ones_like(weight))
    return xp.where(some, xp.clip(spread, 0, None), xp.zeros_like(spread))


def _last_starts(xp, sums, least):
    """Where the last run of the first j numbers best starts, (b, n + 1) for j from 0 to n.

    Textbook form: solve for the middle j, then left and right of it with the start of the
    middle as a bound. Here the middles of all parts of a level are solved together.
    """
    n = least.shape[-1] - 1
    step = 1
    while step <= n:
        step *= 2
    known = xp.zeros_like(least[:, :1], dtype=index_dtype(xp, least))
    while step > 1:
        middles = xp.arange(step // 2, n + 1, step, dtype=known.dtype, device=device(least))
        if middles.shape[0] > 0:
            found = _solve(xp, sums, least, known, middles)
            known = _interleave(xp, known, found)
        step //= 2
    return known


def _solve(xp, sums, least, known, middles):
    """The best starts (b, m) of the middles, between those of their neighbours."""
    b, points = least.shape
    m = middles.shape[0]
    end = xp.full_like(known[:, :1], points - 1)
    upper = xp.concat([known[:, 1:], end], axis=-1)[:, :m]
    upper = xp.minimum(upper, middles)
    lower = known[:, :m]
    # The windows of all members, one after the other; the last of a member is padded.
    size = points - 1 + m
    length = xp.cumulative_sum(upper - lower + 1, axis=-1)
    member = xp.arange(b, dtype=known.dtype, device=device(least))[:, None]
    stops = xp.concat([length[:, :-1], xp.full_like(length[:, :1], size)], axis=-1)
    starts = xp.concat([xp.zeros_like(length[:, :1]), length[:, :-1]], axis=-1)
    starts = xp.reshape(starts + member * size, (-1,))
    stops = xp.reshape(stops + member * size, (-1,))
    flat = xp.arange(b * size, dtype=known.dtype, device=device(least))
    window = xp.astype(xp.searchsorted(stops, flat, side="right"), known.dtype)
    first = xp.reshape(lower + member * points, (-1,))
    final = xp.reshape(upper + member * points, (-1,))
    stop = xp.reshape(middles + member * points, (-1,))
    place = xp.take(first, window) + flat - xp.take(starts, window)
    inside = place <= xp.take(final, window)
    place = xp.where(inside, place, xp.take(final, window))
    total = xp.take(xp.reshape(least, (-1,)), place)
    total = total + _inertia(xp, sums, place, xp.take(stop, window))
    best = xp.take(segment_min(total, starts, window), window)
    # Of equal ones the first; the padding repeats a place that was there before.
    ranks = xp.astype(flat - xp.take(starts, window), least.dtype)
    rank = segment_min(xp.where(total <= best, ranks, xp.full_like(ranks, xp.inf)), starts, window)
    rank = xp.astype(xp.where(xp.isfinite(rank), rank, xp.zeros_like(rank)), known.dtype)
    return xp.minimum(lower + xp.reshape(rank, (b, m)), upper)


def _interleave(xp, known, found):
    """Known and found in turn; there is one known more, or as many."""
    spare = known.shape[-1] - found.shape[-1]
    padded = xp.concat([found, known[:, :1]], axis=-1) if spare else found
    both = xp.reshape(xp.stack([known, padded], axis=-1), (known.shape[0], -1))
    return both[:, : both.shape[-1] - spare]


class _Path(NamedTuple):
    """The starts (b, k) so far, where the run before them ends (b, 1), and its number."""

    starts: Any
    stop: Any
    turn: Any


def _backtrack(xp, last):
    """From the last run to the first: where every run starts."""
    k, points = last.shape[1:]
    places = xp.arange(k, dtype=last.dtype, device=device(last))

    def body(path):
        row = xp.take(last, path.turn[None], axis=1)[:, 0, :]
        start = xp.take_along_axis(row, path.stop, axis=-1)
        starts = xp.where(places == path.turn, start, path.starts)
        return _Path(starts, start, path.turn - 1)

    turn = xp.full((), k - 1, dtype=last.dtype, device=device(last))
    path = _Path(xp.zeros_like(last[:, :, 0]), xp.full_like(last[:, 0, :1], points - 1), turn)
    return while_loop(lambda path: path.turn > 0, body, path, max_steps=k).starts
