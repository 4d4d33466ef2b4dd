"""Iterations between two looks of Python at the state of a fit, where nobody else is to see it."""

from functools import partial
from typing import Any, NamedTuple

from kmeans_fx._backend.loop import cond, select, while_loop
from kmeans_fx._backend.namespace import array_namespace, on_accelerator
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partition import Space
from kmeans_fx.converge import RUNNING
from kmeans_fx.distances import as_metric

__all__ = ["looks_rarely", "runs_ahead"]


def runs_ahead(step, x, weights, options, present, assigned):
    """The step, after as many iterations by kernels as nothing but means has to be computed.

    They stop before an iteration with an empty cluster, or that a rule may end: it is found
    again by the step that knows all rules. Elsewhere every iteration is such a step.
    """
    plain = (
        hasattr(assigned, "ahead")
        and as_metric(options.metric).project is None
        and options.rule[0] == "shift"
        and options.empty != "merge"
        and options.h == 0
        and present is None
    )
    if not plain:
        return step

    def stride(state):
        space = Space(as_metric(options.metric), state.origin, options.chunk_size)
        return _if_running(step, assigned.ahead(x, weights, state, space, options))

    return stride


def _if_running(step, state):
    return cond(state.status == RUNNING, step, lambda state: state, state)


class _Stride(NamedTuple):
    """A state, and whether no cluster has become empty on the way to it."""

    state: Any
    undisturbed: Any


def looks_rarely(step, x, options, present):
    """The step, after as many as need nobody to look at their values.

    An empty cluster is filled by a loop that is entered where there is one, so whether there
    is has to be read. Here the steps go on without, and are taken back to the one before.
    """
    fills = options.empty not in ("keep", "merge")
    if not (fills and on_accelerator(x) and is_concrete(x)) or options.callback is not None:
        return step
    xp, plain = array_namespace(x=x), partial(step, options=options._replace(empty="keep"))

    def running(stride):
        return stride.undisturbed & (stride.state.status == RUNNING)

    def go_on(stride):
        state = plain(stride.state)
        empty = state.counts == 0 if present is None else (state.counts == 0) & present
        filled = ~xp.any(empty, axis=-1)
        return _Stride(select(filled, state, stride.state), filled)

    def strides(state):
        start = _Stride(state, state.status == RUNNING)
        state = while_loop(running, go_on, start, max_steps=options.max_iter).state
        return _if_running(step, state)

    return strides
