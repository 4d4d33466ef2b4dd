"""The loop of soft and fuzzy k-means: means of rows by their memberships, until they rest."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import (
    check_finite,
    check_integer,
    check_k,
    check_option,
    check_points,
    check_weights,
)
from kmeans_fx._backend.fixed_point import differentiable, program
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.loop import repeat, while_loop
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device, index_dtype
from kmeans_fx._backend.random import as_key, uniform
from kmeans_fx._backend.transform import stop_gradient, tracks_gradients, with_slope
from kmeans_fx._implicit import at_fixed_point
from kmeans_fx._partition import Space, centred_space, variance
from kmeans_fx._ranks import agreed, from_first, rows_of_all
from kmeans_fx._soft import check_parameter
from kmeans_fx.algorithms._memberships import KINDS, finish, move
from kmeans_fx.algorithms._sensitivity import response
from kmeans_fx.algorithms.kmeans import check_start, initial_centroids, shared_start
from kmeans_fx.assign import check_chunk_size
from kmeans_fx.converge import CONVERGED, MAX_ITER, NONFINITE, RUNNING, centroid_shift
from kmeans_fx.distances import METRICS

__all__ = ["reweighted_means"]

_SQEUCLIDEAN = METRICS["sqeuclidean"]
# How far a stage of annealing moves centroids apart, in standard deviations.
_STEP = 0.01


def reweighted_means(
    x,
    k,
    kind,
    parameter,
    *,
    key,
    init,
    weights,
    schedule,
    max_iter,
    tol,
    gradient,
    chunk_size,
    reduce,
):
    """Centroids, labels, objective, n_iter and status of checked arguments.

    ``parameter`` is the name and the value of the parameter of the kind.
    """

    def check():
        xp, rows = check_points(x=x)
        shares = check_weights(xp, rows, weights, of_all=reduce is None)
        check_finite(x=rows)
        value = check_parameter(rows, KINDS[kind].bound, **dict([parameter]))
        check_option("gradient", gradient, ("implicit", "unrolled"))
        options = {
            "kind": kind,
            "max_iter": check_integer("max_iter", max_iter, 1),
            "tol": centroid_shift(tol).bound,
            "schedule": _check_schedule(schedule),
            "chunk_size": check_chunk_size(chunk_size),
            "reduce": reduce,
        }
        start = check_start(xp, rows, k, init, 1, reduce)
        return xp, rows, shares, value, start, as_key(key, xp, device(rows)), options

    xp, x, weights, value, start, words, options = agreed(reduce, check, k=k)
    k = check_k(k, x, rows_of_all(x, reduce))
    words, start = from_first(words, reduce), shared_start(start, reduce)
    centroids = initial_centroids(xp, x, k, start, words, weights, "sqeuclidean")
    noise = None
    if schedule:
        (noise,) = _noise(centroids, words, s=len(options["schedule"]))
    fit = _search if gradient == "implicit" else _unrolled
    options["portable"] = reduce is not None
    centroids, *rest = fit(x, centroids, weights, value, noise, **options)
    centroids = xp.astype(centroids, x.dtype, copy=False)
    if gradient == "unrolled" or not tracks_gradients(x, weights, value):
        return (centroids, *rest)
    labels, objective, *counters = rest
    arrays = (x, weights, value, centroids)
    centroids, objective = with_slope(_solution(kind, reduce), (centroids, objective), arrays)
    return (centroids, labels, objective, *counters)


def _check_schedule(schedule):
    schedule = tuple(float(factor) for factor in schedule)
    if not all(0 < factor < float("inf") for factor in schedule):
        msg = f"schedule must hold positive numbers, got {schedule}"
        raise ValueError(msg)
    return schedule


@program("kd w", "skd")
def _noise(centroids, key, *, s):
    """Uniform numbers from -1 to 1: a program, because compilers take long over a key."""
    dtype = accumulation_dtype(array_namespace(centroids=centroids), centroids.dtype)
    core = (s, *centroids.shape[-2:])
    batch = broadcast_shapes(tuple(centroids.shape[:-2]), tuple(key.shape[:-1]))
    draws = uniform(key, core, dtype) * 2.0 - 1.0
    return (array_namespace(draws=draws).broadcast_to(draws, (*batch, *core)),)


class _State(NamedTuple):
    """Centroids relative to the origin, iterations in this stage and in all."""

    centroids: Any
    stage: Any
    n_iter: Any
    status: Any


_INPUTS, _OUTPUTS = "nd kd n . skd", "kd n:index . .:index .:index"


@program(_INPUTS, _OUTPUTS)
def _search(x, centroids, weights, parameter, noise, *, max_iter, tol, **options):
    """To the fixed point, without derivatives."""

    def run(step, state):
        def body(state):
            centroids, shift = step(state.centroids)
            return _advance(state, centroids, shift, max_iter, tol)

        return while_loop(lambda s: s.status == RUNNING, body, state, max_steps=max_iter)

    return _anneal(run, x, centroids, weights, parameter, noise, **options)


@differentiable(_INPUTS, _OUTPUTS)
def _unrolled(x, centroids, weights, parameter, noise, *, max_iter, tol, **options):
    """Exactly ``max_iter`` steps, in the open."""

    def run(step, state):
        (last,) = repeat(lambda s: (step(s[0])[0],), (state.centroids,), max_iter - 1)
        done = state._replace(stage=state.stage + max_iter - 1, n_iter=state.n_iter + max_iter - 1)
        centroids, shift = step(last)
        return _advance(done, centroids, shift, max_iter, tol)

    return _anneal(run, x, centroids, weights, parameter, noise, **options)


def _anneal(run, x, centroids, weights, parameter, noise, *, kind, schedule, chunk_size, reduce):
    """Run at every multiple of the parameter, then at the parameter itself."""
    xp = array_namespace(x=x)
    rows, shares = stop_gradient(x), stop_gradient(weights)
    space = centred_space(rows, shares, _SQEUCLIDEAN, chunk_size, reduce)
    spread = variance(rows, shares, space, reduce)
    spread = xp.where(spread > 0, spread, xp.ones_like(spread))
    state = _initial(xp, x, centroids, weights, parameter, space, kind, reduce)

    def step_at(value):
        def step(centroids):
            moved, _, _ = move(x, centroids, weights, value, space, kind, reduce)
            return moved, xp.sum((moved - centroids) ** 2, axis=(-2, -1)) / spread

        return step

    for turn, factor in enumerate(schedule):
        state = run(step_at(parameter * factor), state)
        # Centroids that fell together at a high temperature would stay together.
        apart = xp.sqrt(spread)[..., None, None] * _STEP * noise[..., turn, :, :]
        again = xp.where(state.status == NONFINITE, state.status, state.status * 0 + RUNNING)
        state = _State(state.centroids + apart, state.stage * 0, state.n_iter, again)
    state = run(step_at(parameter), state)
    rounded = xp.astype(xp.astype(space.absolute(state.centroids), x.dtype), spread.dtype)
    final = finish(x, space.relative(rounded), weights, parameter, space, kind, reduce)
    bad = ~xp.isfinite(final.objective)
    status = xp.where(bad, xp.full_like(state.status, NONFINITE), state.status)
    return rounded, final.labels, final.objective, state.n_iter, status


def _initial(xp, x, centroids, weights, parameter, space, kind, reduce):
    leads = [x.shape[:-2], centroids.shape[:-2], parameter.shape]
    usable = xp.isfinite(xp.sum(space.origin, axis=-1))
    usable = usable & xp.all(xp.isfinite(centroids), axis=(-2, -1))
    usable = usable & (parameter > KINDS[kind].bound) & xp.isfinite(parameter)
    if weights is not None:
        leads.append(weights.shape[:-1])
        if reduce is None:
            # With reduce= the origin tells, the same on all ranks.
            usable = usable & xp.all(weights >= 0, axis=-1) & (xp.sum(weights, axis=-1) > 0)
    batch = broadcast_shapes(*map(tuple, leads))
    zero = xp.zeros(batch, dtype=index_dtype(xp, x), device=device(x))
    status = xp.where(xp.broadcast_to(usable, batch), zero + RUNNING, zero + NONFINITE)
    centroids = space.relative(centroids)
    centroids = xp.broadcast_to(centroids, (*batch, *centroids.shape[-2:]))
    return _State(centroids, zero, zero, status)


def _advance(state, centroids, shift, max_iter, tol):
    """The next state; one that was not usable stays so."""
    xp = array_namespace(centroids=centroids)
    stage = state.stage + 1
    status = xp.where(stage >= max_iter, xp.full_like(stage, MAX_ITER), state.status)
    status = xp.where(shift <= tol, xp.full_like(stage, CONVERGED), status)
    bad = ~xp.isfinite(shift) | (state.status == NONFINITE)
    status = xp.where(bad, xp.full_like(stage, NONFINITE), status)
    return _State(centroids, stage, state.n_iter + 1, status)


def _solution(kind, reduce):
    """The function that has the derivatives of centroids and objective at the fixed point."""

    def solution(x, weights, parameter, centroids):
        xp = array_namespace(x=x)
        dtype = x.dtype
        x = widened(x)
        absolute = xp.astype(stop_gradient(centroids), x.dtype, copy=False)
        space = Space(_SQEUCLIDEAN, xp.mean(absolute, axis=-2), None)
        fixed = space.relative(absolute)
        rows, shares, value = (stop_gradient(a) for a in (x, weights, parameter))
        _, pulls, _ = move(rows, fixed, shares, value, space, kind, reduce)
        apply_inverse = response(rows, fixed, shares, value, pulls, space, kind, reduce)

        def again(point):
            return move(x, point, weights, parameter, space, kind, reduce)

        point = at_fixed_point(lambda point: again(point)[0], fixed, apply_inverse)
        _, _, objective = again(point)
        return xp.astype(space.absolute(point), dtype, copy=False), objective

    return solution
