"""Programs of other libraries on NumPy views of their CPU arrays, where NumPy is the faster one.

A kernel knows NumPy alone. A view costs nothing, so a program that has kernels, or is faster as
products of NumPy, runs there as a whole; on JAX also from compiled code, in one call.
"""

from math import prod

from kmeans_fx._backend.kernels import allowed, enabled, is_large, pays
from kmeans_fx._backend.namespace import (
    accumulation_dtype,
    array_namespace,
    device,
    dtype_name,
    has_numpy,
    index_dtype,
    is_jax_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._backend.transform import is_concrete, is_watched

__all__ = [
    "METRICS",
    "at_hand",
    "by_foreign_call",
    "from_numpy",
    "has_kernels",
    "is_on_host",
    "pays_from_xla",
    "suits_numpy",
    "to_numpy",
]

# The metrics whose distances the kernels compute.
METRICS = ("cosine", "euclidean", "sqeuclidean")
# Half precision is widened block by block. NumPy lacks bfloat16.
_DTYPES = ("float16", "float32", "float64")
# A call from compiled code to Python pays for so many times the rows, or for so many distances.
_FOR_XLA, _FEW_DISTANCES = 4, 1 << 16


def has_kernels(arrays, options):
    """Whether there are kernels for a program's call, and enough rows to use them."""
    return dict(options).get("metric") in METRICS and _suits(arrays[0]) and enabled()


def suits_numpy(arrays, options):
    """Whether NumPy, which is there, can work on the arrays of PyTorch or JAX without kernels.

    XLA is as fast where problems are many, and for a metric that is no product of matrices.
    """
    x = arrays[0]
    if _is_jax(x):
        return _suits(x) and allowed() and x.ndim == 2 and dict(options).get("metric") in METRICS
    # A call of NumPy is shorter than one of PyTorch, and little else is done where rows are few.
    few = x.ndim == 2 and not is_large(x)
    return is_torch_namespace(array_namespace(x=x)) and has_numpy() and _suits(x, few)


def _suits(x, few=False):
    return dtype_name(x.dtype) in _DTYPES and (few or pays(x))


def is_on_host(arrays):
    """Whether NumPy can look at the arrays: values on a CPU, of PyTorch or JAX."""
    xp = array_namespace(array=arrays[0])
    if is_jax_namespace(xp):
        return all(is_concrete(array) and _places(array) == {"cpu"} for array in arrays)
    # What keeps PyTorch from reading a value on a CPU holds for all.
    return is_torch_namespace(xp) and is_concrete(arrays[0]) and not on_accelerator(arrays[0])


def at_hand(array):
    """A view by NumPy of a tensor on a CPU that it can read; any other array as it is.

    PyTorch's threads would spin for a while after an operation, beside those of the kernels.
    """
    if not (is_torch_namespace(array_namespace(array=array)) and has_numpy()):
        return array
    readable = dtype_name(array.dtype) in _DTYPES and not is_watched([array])
    return array.detach().numpy() if readable and not on_accelerator(array) else array


def to_numpy(arrays, cores):
    """Views of the arrays, with the words of keys as NumPy has them."""
    import numpy as np

    # Words are the one dtype in which libraries differ: PyTorch lacks unsigned arithmetic.
    return [
        np.asarray(array, dtype=np.uint32) if core == "w" else np.asarray(array)
        for array, core in zip(arrays, cores, strict=True)
    ]


def from_numpy(outputs, like):
    """The outputs as arrays of the library and on the device of ``like``."""
    xp = array_namespace(like=like)
    if is_torch_namespace(xp):
        return tuple(_as_tensor(output) for output in outputs)
    index, place = index_dtype(xp, like), device(like)

    def as_array(output):
        dtype = index if output.dtype.kind in "iu" else None
        return xp.asarray(output, dtype=dtype, device=place)

    return tuple(as_array(output) for output in outputs)


def _as_tensor(output):
    from torch import from_numpy

    if output.dtype.kind in "iu":
        output = output.astype("int64", copy=False)
    # There are no read-only tensors, and broadcasting makes such arrays.
    return from_numpy(output if output.flags.writeable else output.copy())


def pays_from_xla(x, k):
    """JAX, under a trace: whether compiled code may call NumPy for x, should it be for a CPU.

    The arrays of several devices would all be brought to one. What XLA compiled is faster
    where little is to be done with the rows and ``k`` clusters.
    """
    import jax

    much = pays(x, times=_FOR_XLA) or prod(x.shape[:-1]) * k >= _FEW_DISTANCES
    return jax.device_count() == 1 and pays(x) and much


def by_foreign_call(name, present, options, arrays, shapes, portable):
    """JAX: a program on NumPy where compiled for a CPU, and ``portable`` elsewhere.

    ``shapes`` are the shape of every output and whether it holds indices.
    """
    import jax

    from kmeans_fx._backend import foreign

    xp = array_namespace(array=arrays[0])
    index, real = index_dtype(xp, arrays[0]), accumulation_dtype(xp, arrays[0].dtype)
    results = [jax.ShapeDtypeStruct(s, index if is_index else real) for s, is_index in shapes]
    return jax.lax.platform_dependent(
        *arrays,
        cpu=lambda *given: foreign.call(name, present, options, given, results),
        default=lambda *given: list(portable(*given)),
    )


def _is_jax(array):
    return is_jax_namespace(array_namespace(array=array))


def _places(array):
    """The platform of a JAX array, which is in one piece; nothing if it is not."""
    devices = array.devices()
    return {d.platform for d in devices} if len(devices) == 1 else set()
