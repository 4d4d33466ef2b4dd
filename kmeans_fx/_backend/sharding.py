"""JAX arrays whose rows lie on several devices."""

import operator
from functools import wraps
from math import gcd

from kmeans_fx._backend.namespace import is_jax_namespace

__all__ = ["as_varying", "as_varying_alike", "by_compiler", "compiled_placement", "row_parts"]


def row_parts(n):
    """Into how many equal parts of n rows the devices may have cut them; 1 in a shard_map.

    A tracer does not tell: the devices of the mesh, or all that there are, where these divide
    the rows.
    """
    import jax

    mesh = _context_mesh()
    if mesh is None or mesh.empty:
        return gcd(n, jax.device_count())
    return 1 if mesh.manual_axes else gcd(n, mesh.size)


def as_varying(step, state):
    """JAX: the state, typed as one turn of a loop leaves it.

    In a shard_map the type of an array says along which axes of the mesh its values differ,
    and what a loop begins with must have the types that it ends with.
    """
    if not _in_shard_map():
        return state
    import jax

    # What varies may make more vary in the next turn.
    for _ in jax.tree.leaves(state):
        before, state = state, jax.tree.map(_cast, state, jax.eval_shape(step, state))
        if all(map(operator.is_, jax.tree.leaves(before), jax.tree.leaves(state))):
            break
    return state


def as_varying_alike(functions, operand):
    """JAX: branches of a condition, whose results must have the same types in a shard_map."""
    if not _in_shard_map():
        return functions
    import jax

    kinds = [jax.eval_shape(function, operand) for function in functions]

    def widened(function):
        return lambda operand: jax.tree.map(_cast, function(operand), *kinds)

    return [widened(function) for function in functions]


def _in_shard_map():
    mesh = _context_mesh()
    return mesh is not None and bool(mesh.manual_axes)


def _cast(array, *kinds):
    """An array that varies along all axes along which one of the types does."""
    import jax

    axes = frozenset().union(*map(_varying, kinds)) - _varying(jax.typeof(array))
    return jax.lax.pcast(array, tuple(axes), to="varying") if axes else array


def _varying(kind):
    """The axes of the mesh along which values of a type differ, as JAX 0.10 or 0.7 has it."""
    manual = getattr(kind, "manual_axis_type", None)
    return getattr(kind, "vma", frozenset()) if manual is None else manual.varying


def by_compiler(inputs, outputs):
    """Decorate ``function(xp, *arrays, *rest)``: see `compiled_placement`."""

    def decorate(function):
        @wraps(function)
        def run(xp, *arguments):
            m = len(inputs.split())
            arrays, rest = arguments[:m], arguments[m:]
            if not is_jax_namespace(xp):
                return function(xp, *arguments)

            def on_arrays(*given):
                return (function(xp, *given, *rest),)

            return compiled_placement(on_arrays, inputs.split(), outputs.split())(*arrays)[0]

        return run

    return decorate


def compiled_placement(function, inputs, outputs):
    """JAX: let the compiler place what happens in a function of arrays on an explicit mesh.

    There the types of arrays say where they lie, and an operation that may place its result
    in several ways is an error. The letters of the shapes, as of a program, tell how the
    outputs lie: a dimension as that of the same letter among the inputs, every other whole on
    each device.
    """

    def run(*arrays):
        mesh = _explicit_mesh(arrays)
        if mesh is None:
            return function(*arrays)
        from jax.sharding import NamedSharding, auto_axes

        axes = _axes(inputs, arrays)
        placed = tuple(NamedSharding(mesh, _spec(core, axes)) for core in outputs)
        return auto_axes(lambda *given: tuple(function(*given)), out_sharding=placed)(*arrays)

    return run


def _context_mesh():
    """The mesh of the context; None before JAX had meshes with types of axes."""
    from jax import sharding

    return sharding.get_abstract_mesh() if hasattr(sharding, "get_abstract_mesh") else None


def _explicit_mesh(arrays):
    import jax

    if _context_mesh() is None:
        return None
    meshes = (jax.typeof(array).sharding.mesh for array in arrays)
    return next((mesh for mesh in meshes if mesh.explicit_axes), None)


def _axes(inputs, arrays):
    """The axes of the mesh along which each letter lies, and under "" the leading dimensions."""
    from jax import typeof

    axes: dict = {"": ()}
    for core, array in zip(inputs, arrays, strict=True):
        spec = tuple(typeof(array).sharding.spec)
        spec += (None,) * (array.ndim - len(spec))
        lead = array.ndim - len(core)
        axes[""] = max(axes[""], spec[:lead], key=len)
        for letter, axis in zip(core, spec[lead:], strict=True):
            axes[letter] = axes.get(letter) or axis
    return axes


def _spec(core, axes):
    from jax.sharding import PartitionSpec

    spec = (*axes[""], *(axes.get(letter) for letter in core))
    # An axis of the mesh can cut one dimension only.
    return PartitionSpec(*(a if a not in spec[:i] else None for i, a in enumerate(spec)))
