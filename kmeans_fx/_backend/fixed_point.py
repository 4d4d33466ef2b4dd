"""A fit as one opaque operation, of which a transformation sees only the arrays.

A program is a pure function of arrays (with leading batch dimensions) and static
options. It is handed to each framework as one box without a derivative: a custom
operator on PyTorch, one cached jitted function on JAX, a plain call elsewhere. A
box may loop, branch on values and read them back wherever its framework can.
"""

import ast
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

from kmeans_fx._backend.members import map_members
from kmeans_fx._backend.namespace import (
    array_namespace,
    is_jax_namespace,
    is_torch_namespace,
)
from kmeans_fx._backend.transform import stop_gradient

__all__ = ["Program", "opaque", "program"]

_PROGRAMS = {}


class Program(NamedTuple):
    """A function with the core shape of each array, as one letter a dimension."""

    run: Callable
    inputs: tuple
    outputs: tuple


def program(inputs, outputs):
    """Register a function as a program, and return the way to call it.

    The call takes the arrays, the options by name, and ``portable``: whether to run
    the function in the open, because an option (a callable) cannot cross the border
    of an operator.

    Parameters
    ----------
    inputs : str
        Core shapes of the arrays, as ``"nd kd n"``. An array may be None.
    outputs : str
        Core shapes of the results; ``"n:index"`` has the default index dtype, the
        others the dtype of the first input. ``"."`` is a scalar. A letter that no
        input has is the option of that name.
    """

    def register(function):
        name = function.__name__
        _PROGRAMS[name] = Program(function, _parse(inputs), _parse(outputs))

        def call(*arrays, portable=False, **options):
            run = _portable if portable else opaque
            return run(name, arrays, tuple(sorted(options.items())))

        return call

    return register


def opaque(name, arrays, options):
    """Run a registered program without derivatives; absent arrays are None."""
    present, given = _split(arrays)
    xp = array_namespace(array=given[0])
    if is_jax_namespace(xp):
        return tuple(_jax_program(name, present, options)(*given))
    if is_torch_namespace(xp):
        return tuple(_torch_operator()(given, name, repr((present, options))))
    return tuple(_call(name, present, options, given))


def _portable(name, arrays, options):
    present, given = _split(arrays)
    return tuple(_call(name, present, options, given))


def _split(arrays):
    present = tuple(array is not None for array in arrays)
    return present, [stop_gradient(array) for array in arrays if array is not None]


def _call(name, present, options, given):
    rest = iter(given)
    arrays = [next(rest) if there else None for there in present]
    run, inputs, _ = _PROGRAMS[name]
    options = dict(options)
    sizes = _sizes(inputs, arrays, options)
    return map_members(
        partial(run, **options),
        arrays,
        [len(core) for core, _ in inputs],
        sizes["n"] * (sizes["k"] + sizes["d"]),
    )


def _sizes(inputs, arrays, options):
    sizes = dict(options)
    for (core, _), array in zip(inputs, arrays, strict=True):
        if array is not None:
            sizes.update(zip(core, array.shape[array.ndim - len(core) :], strict=True))
    return sizes


@lru_cache(maxsize=512)
def _jax_program(name, present, options):
    """JAX: made and compiled once for the options; vmap calls the batched form."""
    import jax
    from jax.custom_batching import custom_vmap

    ranks = _ranks(name, present)

    @custom_vmap
    def run(*given):
        return tuple(_call(name, present, options, given))

    @run.def_vmap
    def rule(axis_size, batched, *given):
        del axis_size
        outputs = run(*_align(given, [0 if b else None for b in batched], ranks))
        return outputs, [True] * len(outputs)

    return jax.jit(run)


@lru_cache(maxsize=1)
def _torch_operator():
    """PyTorch: one operator for all programs, with shapes for tracing and a vmap rule."""
    import torch
    from torch import Tensor

    def run(arrays: list[Tensor], name: str, call: str) -> list[Tensor]:
        present, options = ast.literal_eval(call)
        outputs = _call(name, present, options, arrays)
        # An operator must not return its inputs or views of them.
        return [output.clone() for output in outputs]

    # The schema is read from the annotations, which need these very names.
    run.__annotations__ = {"arrays": list[Tensor], "name": str, "call": str, "return": list[Tensor]}
    operator = torch.library.custom_op("kmeans_fx::program", run, mutates_args=())
    operator.register_fake(_torch_shapes)

    @operator.register_vmap
    def rule(info, in_dims, arrays, name, call):
        del info
        present, _ = ast.literal_eval(call)
        aligned = _align(arrays, in_dims[0], _ranks(name, present))
        outputs = operator(aligned, name, call)
        return outputs, [0] * len(outputs)

    return operator


def _torch_shapes(given, name, call):
    import torch

    present, options = ast.literal_eval(call)
    rest = iter(given)
    arrays = [next(rest) if there else None for there in present]
    sizes = _sizes(_PROGRAMS[name].inputs, arrays, options)
    ranks = _ranks(name, present)
    leads = (a.shape[: a.ndim - r] for a, r in zip(given, ranks, strict=True))
    batch = torch.broadcast_shapes(*leads)

    def empty(core, dtype):
        shape = (*batch, *(sizes[letter] for letter in core))
        return given[0].new_empty(shape, dtype=torch.int64 if dtype else None)

    return [empty(core, dtype) for core, dtype in _PROGRAMS[name].outputs]


def _parse(shapes):
    parts = (shape.partition(":") for shape in shapes.split())
    return tuple((core.replace(".", ""), dtype) for core, _, dtype in parts)


def _ranks(name, present):
    inputs = _PROGRAMS[name].inputs
    return [len(core) for (core, _), there in zip(inputs, present, strict=True) if there]


def _align(arrays, dims, ranks):
    """Bring the new batch axis in front of all others, so that plain broadcasting fits."""
    old = max(
        a.ndim - (d is not None) - rank for a, d, rank in zip(arrays, dims, ranks, strict=True)
    )

    def lift(array, dim, rank):
        if dim is None:
            return array
        xp = array_namespace(array=array)
        order = (dim, *(axis for axis in range(array.ndim) if axis != dim))
        array = xp.permute_dims(array, order)
        filler = (1,) * (old - (array.ndim - 1 - rank))
        return xp.reshape(array, (array.shape[0], *filler, *array.shape[1:]))

    return [lift(a, d, r) for a, d, r in zip(arrays, dims, ranks, strict=True)]
