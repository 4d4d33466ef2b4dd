"""Lloyd's algorithm over blocks of rows, by sweeps, wherever the blocks are."""

from math import inf
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer
from kmeans_fx._backend.namespace import (
    accumulation_dtype,
    array_namespace,
    device,
    dtype_name,
    index_dtype,
)
from kmeans_fx._backend.random import as_key
from kmeans_fx._empty import split
from kmeans_fx._partition import Space
from kmeans_fx._result import KMeansResult
from kmeans_fx.algorithms._block_rows import sampled_start
from kmeans_fx.algorithms._block_seeding import Layout, parallel_start
from kmeans_fx.algorithms._block_steps import (
    How,
    add,
    farther,
    farthest_row,
    label_rows,
    merge_moments,
    moments,
    statistics,
)
from kmeans_fx.algorithms._checkpoint import load_state, save_state
from kmeans_fx.algorithms._options import check_options
from kmeans_fx.algorithms._samples import Search
from kmeans_fx.algorithms._state import LloydState, advance, last_centroids
from kmeans_fx.algorithms.kmeans import check_init, restart_keys
from kmeans_fx.converge import MAX_ITER, NONFINITE, RUNNING, STOPPED, reads
from kmeans_fx.distances import as_metric
from kmeans_fx.init import check_rounds
from kmeans_fx.update import cluster_means

__all__ = ["Seen", "block_options", "fit_blocks", "look", "start_blocks"]


class Seen(NamedTuple):
    """What the first sweep tells: a row (1, d) of the data's dtype, the layout, the moments."""

    like: Any
    layout: Layout
    moments: Any


def look(sweep, k, how):
    """The first sweep, in which rows and weights are checked.

    Raises
    ------
    TypeError, ValueError
        If the blocks do not fit each other, or hold values that are not usable.
    """
    k = check_integer("k", k, 1)
    _, found = sweep(moments, None, how, merge=merge_moments)
    if found is None:
        msg = "the blocks must hold rows, got none"
        raise ValueError(msg)
    firsts, n = {}, 0
    for number, size in found.sizes:
        firsts[number], n = n, n + size
    if k > n:
        msg = f"k must be at most the number of rows, {n}, got {k}"
        raise ValueError(msg)
    if not float(found.total) > 0:
        msg = "weights must not all be zero"
        raise ValueError(msg)
    xp = array_namespace(mean=found.mean)
    like = xp.zeros((1, found.mean.shape[0]), dtype=found.mean.dtype, device=device(found.mean))
    like = xp.astype(like, _real(xp, found))
    origin = xp.astype(found.mean, accumulation_dtype(xp, like.dtype))
    if as_metric(how.metric).embed is None:
        origin = xp.zeros_like(origin)
    return Seen(like, Layout(firsts, n, origin), found)


def _real(xp, found):
    """The dtype in which rows are clustered."""
    if not xp.isdtype(found.dtype, ("integral", "bool")):
        return found.dtype
    return xp.__array_namespace_info__().default_dtypes(device=device(found.mean))["real floating"]


def block_options(metric, max_iter, tol, empty, chunk_size, callback, history):
    """The Options of a fit by blocks, or an error that names the argument."""
    options = check_options(
        None, metric, max_iter, tol, empty, 0, "lloyd", chunk_size, None, None, history
    )
    for wrong, msg in (
        (empty == "random", "empty must not be 'random', which needs all rows at once"),
        (as_metric(metric).centre is not None, "metric must have a centre that follows from means"),
        (reads(options.rule, "labels"), "tol must not read labels, which are not kept"),
    ):
        if wrong:
            raise ValueError(msg)
    return options._replace(callback=callback)


def start_blocks(sweep, seen, k, words, init, init_size, how):
    """Initial centroids (k, d): by k-means|| over all rows, from a sample, or as given."""
    if isinstance(init, str) and init == "k-means||":
        return parallel_start(sweep, k, words, seen.layout, how, *check_rounds(k, 5, 2.0))
    size = max(3 * 4096, 10 * k) if init_size is None else check_integer("init_size", init_size, k)
    search = Search(check_init(init, 1, None), 1, size, how.metric)
    return sampled_start(sweep, seen.like, k, words, seen.layout, search)


def fit_blocks(sweep, k, key, init, init_size, options, *, n_init=1, labels=False, checkpoint=None):
    """The KMeansResult without labels, and what the last sweep kept: the labels of each block.

    Those of the lowest inertia of ``n_init`` fits, one after the other.
    """
    n_init = check_integer("n_init", n_init, 1)
    check_init(init, n_init, None)
    if n_init > 1 and checkpoint is not None:
        msg = f"n_init must be 1 with a checkpoint, which is that of one fit, got {n_init}"
        raise ValueError(msg)
    seen = look(sweep, k, How(options.metric, options.chunk_size))
    words = as_key(key, array_namespace(like=seen.like), device(seen.like))
    if n_init == 1:
        return _fit(sweep, seen, k, words, init, init_size, options, labels, checkpoint)
    (keys,) = restart_keys(words, r=n_init)
    best, least = None, inf
    for i in range(n_init):
        fit = _fit(sweep, seen, k, keys[i, :], init, init_size, options, labels, None)
        if best is None or float(fit[0].inertia) < least:
            best, least = fit, float(fit[0].inertia)
    return best


def _fit(sweep, seen, k, words, init, init_size, options, labels, checkpoint):
    how = How(options.metric, options.chunk_size)
    state, save = None, None
    if checkpoint is not None:
        fit = _marks(seen, k, words, options)
        blank = _initial(seen, seen.layout.origin[None, :], options)
        state = load_state(checkpoint, blank, fit)

        def save(state):
            save_state(checkpoint, state, fit)

    if state is None:
        centroids = start_blocks(sweep, seen, k, words, init, init_size, how)
        state = _initial(seen, centroids, options)
        if save is not None:
            save(state)
    state = _iterate(sweep, state, options, how, save)
    return _finish(sweep, seen, state, options, how, labels)


def _marks(seen, k, words, options):
    """What tells one fit from another."""
    return {
        "rows": seen.layout.n,
        "columns": seen.like.shape[1],
        "dtype": dtype_name(seen.like.dtype),
        "clusters": k,
        "key": " ".join(str(int(word)) for word in words),
        "metric": options.metric if isinstance(options.metric, str) else "callable",
        "empty": options.empty,
    }


def _initial(seen, centroids, options):
    """The state before the first iteration."""
    xp, (k, d) = array_namespace(centroids=centroids), centroids.shape
    origin = seen.layout.origin
    space = Space(as_metric(options.metric), origin, options.chunk_size)
    like = {"dtype": origin.dtype, "device": device(origin)}
    # Data without any spread: then every shift but 0 is too large.
    spread = float(seen.moments.spread) / float(seen.moments.total) / d or 1.0
    zero = xp.zeros((), dtype=index_dtype(xp, origin), device=device(origin))

    def scalar(value):
        return xp.full((), value, **like)

    return LloydState(
        centroids=space.relative(centroids),
        labels=xp.zeros((0,), dtype=zero.dtype, device=device(origin)),
        counts=xp.ones((k,), **like),
        origin=origin,
        variance=scalar(spread),
        shift=scalar(xp.inf),
        changed=scalar(1.0),
        inertia=scalar(xp.inf),
        n_iter=zero,
        status=zero + RUNNING,
        history=xp.full((options.h,), xp.nan, **like),
    )


def _iterate(sweep, state, options, how, save):
    """The state at the end of Lloyd's iterations, each a sweep."""
    xp = array_namespace(x=state.centroids)
    space = Space(as_metric(options.metric), state.origin, options.chunk_size)
    track = options.h > 0 or reads(options.rule, "inertia")
    if int(state.n_iter) >= options.max_iter and int(state.status) == RUNNING:
        state = state._replace(status=xp.full_like(state.status, MAX_ITER))
    while int(state.status) == RUNNING:
        args = (state.centroids, state.origin, _dropped(state, options), how, track)
        _, stats = sweep(statistics, None, *args, merge=add)
        stats = type(stats)(*(xp.astype(a, state.origin.dtype, copy=False) for a in stats))
        centroids = space.centres(cluster_means(xp, stats, state.centroids))
        missing = stats.counts == 0
        if options.empty == "farthest" and bool(xp.any(missing)):
            centroids = _to_farthest(sweep, centroids, state.centroids, missing, space, how)
        elif options.empty == "split" and bool(xp.any(missing)):
            centroids = split(centroids, stats.counts, missing, state.variance).centroids
        state = advance(state, None, centroids, stats, None, track, options)
        if options.callback is not None and options.callback(state):
            state = state._replace(status=xp.full_like(state.status, STOPPED))
        if save is not None:
            save(state)
    return state


def _dropped(state, options):
    return state.counts == 0 if options.empty == "merge" else None


def _to_farthest(sweep, centroids, previous, missing, space, how):
    """What `farthest` does: one sweep for every centroid that is missing.

    The least distance to the centroid of a row and to those just placed is that to the
    nearest of all of them.
    """
    xp, placed = array_namespace(x=centroids), previous
    index = xp.arange(centroids.shape[0], device=device(centroids))
    for turn in [i for i, gone in enumerate(missing) if bool(gone)]:
        _, best = sweep(farthest_row, None, placed, space.origin, how, merge=farther)
        row = space.relative(best.row)
        centroids = xp.where((index == turn)[:, None], row, centroids)
        placed = xp.concat([placed, row])
    return centroids


def _finish(sweep, seen, state, options, how, keep):
    """Centroids as the caller sees them, with the inertia and labels that are theirs."""
    xp = array_namespace(x=state.centroids)
    space, dropped, centroids = last_centroids(seen.like, state, options)
    relative = space.relative(centroids)
    args = (relative, state.origin, dropped, how, keep)
    outputs, (inertia,) = sweep(label_rows, None, *args, merge=add)
    inertia = xp.astype(inertia, state.origin.dtype)
    status = state.status
    if not bool(xp.isfinite(inertia)):
        status = xp.full_like(status, NONFINITE)
    result = KMeansResult(
        xp.astype(centroids, seen.like.dtype, copy=False),
        state.labels,
        inertia,
        state.n_iter,
        status,
        state.history,
    )
    return result, outputs
