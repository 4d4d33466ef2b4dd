"""A fit as one opaque operation, of which a transformation sees only the arrays.

A program is a pure function of arrays (with leading batch dimensions) and static
options. It is handed to each framework as one box without a derivative: a custom
operator on PyTorch, one cached jitted function on JAX, a plain call elsewhere. A
box may loop, branch on values and read them back wherever its framework can.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import NamedTuple

from kmeans_fx._backend.host import (
    by_foreign_call,
    from_numpy,
    has_kernels,
    is_on_host,
    pays_from_xla,
    suits_numpy,
    to_numpy,
)
from kmeans_fx._backend.kernels import allowed, are_few
from kmeans_fx._backend.members import broadcast_shapes, map_members
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_cupy_namespace,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
)
from kmeans_fx._backend.sharding import compiled_placement
from kmeans_fx._backend.threads import one_thread
from kmeans_fx._backend.transform import (
    as_given,
    is_watched,
    quiet,
    stop_gradient,
    tracks_gradients,
)

__all__ = [
    "align",
    "call",
    "differentiable",
    "in_the_open",
    "opaque",
    "program",
    "ranks_of",
    "run_on_host",
    "shapes_of",
]


class Program(NamedTuple):
    """A function with the core shape of each array, as one letter a dimension."""

    run: Callable
    inputs: tuple
    outputs: tuple
    by_numpy: bool


_PROGRAMS: dict[str, Program] = {}


def program(inputs, outputs, *, by_numpy=False):
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
        others that in which sums of the first input are kept. ``"."`` is a scalar. A letter that no
        input has is the option of that name.
    by_numpy : bool
        Whether NumPy is faster for arrays of PyTorch and JAX on a CPU, also without kernels.
    """

    def register(function):
        name = _name(function)
        _PROGRAMS[name] = Program(function, _parse(inputs), _parse(outputs), by_numpy)

        def launch(*arrays, portable=False, **options):
            static = tuple(sorted(options.items()))
            if not portable:
                return opaque(name, arrays, static)
            present, given = _split(arrays)
            return in_the_open(name, present, static, given)

        return launch

    return register


def _name(function):
    return f"{function.__module__}.{function.__name__}"


def differentiable(inputs, outputs):
    """Register ``function(*arrays, **options)`` as a program that has derivatives.

    Where one may be asked for it runs in the open, elsewhere as one opaque operation.
    """

    def register(function):
        launch = program(inputs, outputs)(function)

        def run(*arrays, portable=False, **options):
            if not portable and not tracks_gradients(*arrays):
                return launch(*arrays, **options)
            return _openly(_name(function), arrays, tuple(sorted(options.items())), portable)

        return run

    return register


def _openly(name, arrays, options, portable):
    """Run a registered program with its derivatives."""
    present = tuple(array is not None for array in arrays)
    given = [array for array in arrays if array is not None]
    xp = array_namespace(array=given[0])
    if is_jax_namespace(xp) and not portable:
        return _placed(name, present, _jax_open(name, present, options))(*given)
    with quiet(xp), as_given(given[0]):
        return _as_arrays(xp, _call_in_the_open(xp, name, present, options, given), given[0])


def opaque(name, arrays, options):
    """Run a registered program without derivatives; absent arrays are None."""
    present, given = _split(arrays)
    xp = array_namespace(array=given[0])
    if is_torch_namespace(xp):
        from kmeans_fx._backend import operator

        if is_watched(given):
            return tuple(operator.run(given, name, repr((present, options))))
        return tuple(operator.compute(given, name, present, options))
    if is_jax_namespace(xp):
        outputs = run_on_host(name, present, options, given)
        run = _placed(name, present, _jax_program(name, present, options, allowed()))
        return outputs or tuple(run(*given))
    if is_cupy_namespace(xp):
        from kmeans_fx._backend.dlpack import from_tensors, to_tensors

        tensors = to_tensors(arrays, _cores(name), options)
        if tensors is not None:
            return from_tensors(xp, opaque(name, tensors, options))
    return in_the_open(name, present, options, given)


def run_on_host(name, present, options, given):
    """The outputs by NumPy where it is the faster one, else None."""
    if not (_suits_numpy(name, options, given) and is_on_host(given)):
        return None
    views = to_numpy(given, _present_cores(name, present))
    return from_numpy(in_the_open(name, present, options, views), given[0])


def _suits_numpy(name, options, given):
    """Whether NumPy has kernels for the call, or is faster without."""
    suits = _PROGRAMS[name].by_numpy and suits_numpy(given, options)
    return suits or has_kernels(given, options)


def _cores(name):
    return [core for core, _ in _PROGRAMS[name].inputs]


def _present_cores(name, present):
    """The core shapes of the arrays that are given."""
    return [core for core, there in zip(_cores(name), present, strict=True) if there]


def in_the_open(name, present, options, given):
    """The outputs of a program for the arrays that are present, by their own library."""
    xp = array_namespace(array=given[0])
    calls_blas = is_numpy_namespace(xp) and not _is_brief(name, present, options, given)
    threads = one_thread(given[0]) if calls_blas else nullcontext()
    with quiet(xp), as_given(given[0]), threads:
        outputs = _call_in_the_open(xp, name, present, options, given)
    return _as_arrays(xp, outputs, given[0])


def _is_brief(name, present, options, given):
    """Whether kernels are done, on this thread, before a BLAS would have given up its threads."""
    if not (_PROGRAMS[name].by_numpy and has_kernels(given, options)):
        return False
    ranks, k = ranks_of(name, present), _sizes(name, present, options, given).get("k", 1)
    single = all(array.ndim == rank for array, rank in zip(given, ranks, strict=True))
    return single and are_few(given[0], k)


def _call_in_the_open(xp, name, present, options, given):
    run = partial(_call_given, name, present, options)
    return _placed(name, present, run)(*given) if is_jax_namespace(xp) else run(*given)


def _call_given(name, present, options, *given):
    return call(name, present, options, given)


def _placed(name, present, run):
    """JAX: a program's function of arrays, for arrays on explicit meshes, too."""
    outputs = [core for core, _ in _PROGRAMS[name].outputs]
    return compiled_placement(run, _present_cores(name, present), outputs)


def _as_arrays(xp, outputs, like):
    """NumPy's reductions give scalars, and a result holds arrays."""
    if not is_numpy_namespace(xp):
        return tuple(outputs)
    place = device(like)
    return tuple(o if isinstance(o, xp.ndarray) else xp.asarray(o, device=place) for o in outputs)


def _split(arrays):
    present = tuple(array is not None for array in arrays)
    return present, [stop_gradient(array) for array in arrays if array is not None]


def call(name, present, options, given):
    """Run a program, on one problem or on a batch."""
    rest = iter(given)
    arrays = [next(rest) if there else None for there in present]
    run, inputs, *_ = _PROGRAMS[name]
    sizes = _sizes(name, present, options, given)
    return map_members(
        partial(run, **dict(options)),
        arrays,
        [len(core) for core, _ in inputs],
        sizes.get("n", 1) * (sizes.get("k", 1) + sizes.get("d", 1)),
    )


def shapes_of(name, present, options, given):
    """The shape of every output, and whether it holds indices."""
    outputs, sizes = _PROGRAMS[name].outputs, _sizes(name, present, options, given)
    leads = [a.shape[: a.ndim - r] for a, r in zip(given, ranks_of(name, present), strict=True)]
    batch = broadcast_shapes(*leads)
    return [((*batch, *(sizes[i] for i in core)), kind == "index") for core, kind in outputs]


def _sizes(name, present, options, given):
    """What the letters of core shapes stand for in a call."""
    sizes = dict(options)
    for core, array in zip(_present_cores(name, present), given, strict=True):
        sizes.update(zip(core, array.shape[array.ndim - len(core) :], strict=True))
    return sizes


@lru_cache(maxsize=512)
def _jax_program(name, present, options, kernels):
    """JAX: made and compiled once for the options, with ``kernels`` or without.

    vmap calls the batched form.
    """
    import jax
    from jax.custom_batching import custom_vmap

    ranks = ranks_of(name, present)
    del kernels  # a trace asks again

    @custom_vmap
    def run(*given):
        def portable(*given):
            return tuple(call(name, present, options, given))

        k = _sizes(name, present, options, given).get("k", 1)
        if not (_suits_numpy(name, options, given) and pays_from_xla(given[0], k)):
            return portable(*given)
        shapes = shapes_of(name, present, options, given)
        return tuple(by_foreign_call(name, present, options, given, shapes, portable))

    @run.def_vmap
    def rule(axis_size, batched, *given):
        del axis_size
        outputs = run(*align(given, [0 if b else None for b in batched], ranks))
        return outputs, (True,) * len(outputs)

    return jax.jit(run)


@lru_cache(maxsize=512)
def _jax_open(name, present, options):
    """JAX: made once for the options, so that a derivative in an eager call compiles once."""
    import jax

    return jax.jit(lambda *given: tuple(call(name, present, options, given)))


def _parse(shapes):
    parts = (shape.partition(":") for shape in shapes.split())
    return tuple((core.replace(".", ""), dtype) for core, _, dtype in parts)


def ranks_of(name, present):
    """Number of core dimensions of every array that is given."""
    return [len(core) for core in _present_cores(name, present)]


def align(arrays, dims, ranks):
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
