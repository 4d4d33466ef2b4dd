"""Loops and branches: one name, a body per way of running, each saying what it supports."""

from functools import partial

from kmeans_fx._backend.namespace import (
    array_namespace,
    is_jax_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._backend.sharding import as_varying, as_varying_alike
from kmeans_fx._backend.transform import is_captured

__all__ = ["any_member", "cond", "repeat", "select", "while_loop"]

# Steps on an accelerator from one look at the state to the next, in a long loop.
_STRIDE = 8


def while_loop(running, body, state, /, *, max_steps, min_steps=0, eager=False):
    """Repeat ``body`` while a member of the batch runs; finished members stay as they are.

    Parameters
    ----------
    running : callable
        ``state -> bool array`` with the batch's shape.
    body : callable
        ``state -> state``, same shapes and dtypes.
    state : NamedTuple of arrays, or of such states
    max_steps : int
        After this many steps ``running`` is False for certain.
    min_steps : int
        Before this many steps ``running`` is True for certain.
    eager : bool
        Run from Python whatever the backend, because ``body`` talks to the caller.
    """
    engine = _engine(state, eager)
    if engine is _while_apart:
        engine = partial(_while_apart, min_steps=min_steps)
    single = running(state).ndim == 0

    def step(current):
        # Textbook form: body(current). But the finished members of a batch stay.
        return select(running(current), body(current), current)

    stops = engine in (_while_python, _while_lax) or min_steps == max_steps
    return engine(running, body if single and stops else step, state, max_steps)


def repeat(body, state, /, steps):
    """``body`` applied ``steps`` times to a tuple of arrays: differentiable, of fixed length.

    Reverse mode keeps what every step held.
    """
    if is_jax_namespace(array_namespace(state=state[0])):
        from jax import lax

        start = as_varying(body, state)
        return lax.fori_loop(0, steps, lambda _, current: body(current), start)
    for _ in range(steps):
        state = body(state)
    return state


def cond(predicate, if_true, if_false, operand):
    """``if_true(operand)`` for the members whose ``predicate`` holds, else ``if_false``.

    Both return a NamedTuple of arrays. A branch that no member needs is not computed
    where the predicate can be read, or where the framework branches by itself.
    """
    xp = array_namespace(predicate=predicate)
    if predicate.ndim == 0 and is_jax_namespace(xp):
        from jax import lax

        return lax.cond(predicate, *as_varying_alike((if_true, if_false), operand), operand)
    if is_jax_namespace(xp) or not _readable(predicate):
        return select(predicate, if_true(operand), if_false(operand))
    if not any_member(predicate):
        return if_false(operand)
    if predicate.ndim == 0 or bool(xp.all(predicate)):
        return if_true(operand)
    return select(predicate, if_true(operand), if_false(operand))


def _engine(state, eager):
    array = _first_leaf(state)
    xp = array_namespace(state=array)
    if eager:
        return _while_python
    if is_jax_namespace(xp):
        return _while_lax
    if is_torch_namespace(xp):
        from torch import compiler

        if compiler.is_compiling():
            return _while_torch
        if not _readable(array):
            return _while_masked
    return _while_apart if on_accelerator(array) else _while_python


def _while_python(running, step, state, max_steps):
    """Any eager backend: stops as soon as nothing runs."""
    del max_steps
    while any_member(running(state)):
        state = step(state)
    return state


def _while_apart(running, step, state, max_steps, min_steps):
    """An accelerator, where a read waits for all work under way: one every few steps.

    The steps after the last one that counts leave the state as it is.
    """
    for taken in range(max_steps):
        look = taken % _STRIDE == 0 or taken & (taken - 1) == 0  # short loops end on time
        if look and taken >= min_steps and not any_member(running(state)):
            break
        state = step(state)
    return state


def _while_lax(running, step, state, max_steps):
    """JAX: under jit, vmap and jvp; no reverse mode."""
    del max_steps
    from jax import lax
    from jax import numpy as jnp

    start = as_varying(step, state)
    return lax.while_loop(lambda current: jnp.any(running(current)), step, start)


def _while_torch(running, step, state, max_steps):
    """PyTorch under torch.compile: one compiled body, no vmap."""
    del max_steps
    import torch

    def fresh(state):
        # The operator forbids aliases, and wants the same strides in every turn.
        return tuple(leaf.clone(memory_format=torch.contiguous_format) for leaf in _leaves(state))

    leaves = torch.while_loop(
        lambda *leaves: torch.any(running(_filled(state, iter(leaves)))),
        lambda *leaves: fresh(step(_filled(state, iter(leaves)))),
        fresh(state),
    )
    return _filled(state, iter(leaves))


def _while_masked(running, step, state, max_steps):
    """PyTorch under vmap or capture, where no value can be read: always ``max_steps`` steps."""
    del running
    for _ in range(max_steps):
        state = step(state)
    return state


def _readable(array):
    if not is_torch_namespace(array_namespace(array=array)):
        return True
    from torch import compiler
    from torch._C import _functorch

    if compiler.is_compiling() or is_captured(array):
        return False
    # Transforms nest: a batch may hide below the wrapper of a gradient.
    while _functorch.is_functorch_wrapped_tensor(array):
        if _functorch.is_batchedtensor(array):
            return False
        array = _functorch.get_unwrapped(array)
    return True


def any_member(flags):
    """Whether one of the flags (...), which can be read, is set."""
    # A single problem is spared a reduction: some ten calls of Python on NumPy.
    flags = flags if flags.ndim == 0 else array_namespace(flags=flags).any(flags)
    return bool(flags)


def select(active, new, old):
    """The new state where a member (...) is active, else the old one."""
    if isinstance(old, tuple):
        return type(old)(*(select(active, a, b) for a, b in zip(new, old, strict=True)))
    xp = array_namespace(active=active)
    mask = xp.reshape(active, (*active.shape, *(1,) * (new.ndim - active.ndim)))
    return xp.where(mask, new, old)


def _leaves(state):
    """The arrays of a state, in order."""
    if not isinstance(state, tuple):
        return (state,)
    return tuple(leaf for part in state for leaf in _leaves(part))


def _first_leaf(state):
    while isinstance(state, tuple):
        state = state[0]
    return state


def _filled(state, leaves):
    """A state of the same structure with the next of the leaves."""
    if not isinstance(state, tuple):
        return next(leaves)
    return type(state)(*(_filled(part, leaves) for part in state))
