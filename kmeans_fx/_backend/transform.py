"""What a transformation sees: stop_gradient, jit, and whether values can be read."""

from contextlib import nullcontext

from kmeans_fx._backend.namespace import (
    array_namespace,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
)

__all__ = [
    "as_given",
    "is_captured",
    "is_concrete",
    "is_watched",
    "jit",
    "quiet",
    "stop_gradient",
    "tracks_gradients",
    "with_slope",
]


def stop_gradient(array):
    """The same values with no derivative; None stays None."""
    if array is None:
        return None
    xp = array_namespace(array=array)
    if is_jax_namespace(xp):
        from jax.lax import stop_gradient as stop

        return stop(array)
    return array.detach() if is_torch_namespace(xp) else array


def is_concrete(array):
    """Whether Python may read the values: not under jit, vmap, grad, compile or capture."""
    xp = array_namespace(array=array)
    if is_jax_namespace(xp):
        from jax.core import Tracer

        return not isinstance(array, Tracer)
    if is_torch_namespace(xp):
        import torch

        return not (torch.compiler.is_compiling() or _in_functorch() or is_captured(array))
    return True


def is_captured(array):
    """Whether work on the tensor goes to a CUDA graph, which runs later: nothing can be read."""
    if not array.is_cuda:
        return False
    from torch import cuda

    return cuda.is_current_stream_capturing()


def is_watched(tensors):
    """Whether PyTorch transforms, traces or counts operations, or the tensors do it themselves.

    A custom operator makes one operation of a program for them. Nobody else needs it, and its
    first call imports the compiler, which takes seconds.
    """
    import torch

    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or _in_functorch()
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack() > 0
        or any(type(tensor) is not torch.Tensor for tensor in tensors)
    )


def tracks_gradients(*arrays):
    """Whether a derivative with respect to one of the arrays may be asked for.

    True when in doubt: the price of a needless True is one pass over the rows.
    """
    given = [array for array in arrays if array is not None]
    xp = array_namespace(array=given[0])
    if is_jax_namespace(xp):
        return not all(is_concrete(array) for array in given)
    if is_torch_namespace(xp):
        import torch

        return (
            torch.compiler.is_compiling()
            or _in_functorch()
            or torch.autograd.forward_ad._current_level >= 0
            or (torch.is_grad_enabled() and any(array.requires_grad for array in given))
        )
    return False


def with_slope(function, values, arrays):
    """``values``, with the derivative that ``function(*arrays)`` has.

    ``function`` gives as many arrays as ``values``, of the same shapes and dtypes, and
    takes everything that it needs as an argument.
    """
    if is_jax_namespace(array_namespace(array=arrays[0])):
        return _slope_on_demand(function)(values, arrays)
    results = function(*arrays)
    return tuple(v + (r - stop_gradient(r)) for v, r in zip(values, results, strict=True))


def _slope_on_demand(function):
    """JAX: nothing of ``function`` is computed unless a derivative is asked for."""
    import jax

    @jax.custom_jvp
    def attached(values, arrays):
        del arrays
        return values

    @attached.defjvp
    def rule(primals, tangents):
        values, arrays = primals
        _, slopes = jax.jvp(function, arrays, tangents[1])
        # Attached again, for derivatives of derivatives.
        return attached(values, arrays), slopes

    return attached


def jit(function, array):
    """Compile ``function`` where the namespace of ``array`` compiles eager calls."""
    if is_jax_namespace(array_namespace(array=array)):
        from jax import jit as jax_jit

        return jax_jit(function)
    return function


def quiet(xp):
    """A context in which NumPy does not warn: overflow and NaN end in the status."""
    if not is_numpy_namespace(xp):
        return nullcontext()
    from numpy import errstate

    return errstate(all="ignore")


def as_given(array):
    """A context in which PyTorch multiplies in the dtype of its operands, autocast or not."""
    if not is_torch_namespace(array_namespace(array=array)):
        return nullcontext()
    import torch

    kind = array.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _in_functorch():
    import torch

    # Not ``from torch._C._functorch import``, which takes ten times as long.
    return torch._C._functorch.peek_interpreter_stack() is not None
