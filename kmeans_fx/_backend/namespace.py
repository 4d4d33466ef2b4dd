"""Namespace, dtype and device facts. Everything follows the first array."""

from functools import cache
from importlib.util import find_spec

import array_api_compat as compat

__all__ = [
    "accumulation_dtype",
    "array_namespace",
    "as_real",
    "device",
    "dtype_name",
    "has_numpy",
    "index_dtype",
    "is_cupy_namespace",
    "is_jax_namespace",
    "is_numpy_namespace",
    "is_torch_namespace",
    "on_accelerator",
    "widest",
]

_STANDARD_REALS = ("float32", "float64")
# Kinds of PyTorch's devices on which an array is at hand for Python and NumPy.
HOSTS = {"cpu"}


@cache
def has_numpy():
    """Whether NumPy is there; nothing is imported to tell."""
    return find_spec("numpy") is not None


def is_numpy_namespace(xp):
    """Whether ``xp`` is NumPy."""
    return xp.__name__ in ("array_api_compat.numpy", "numpy")


def is_torch_namespace(xp):
    """Whether ``xp`` is PyTorch."""
    return xp.__name__ in ("array_api_compat.torch", "torch")


def is_jax_namespace(xp):
    """Whether ``xp`` is JAX."""
    return xp.__name__ == "jax.numpy"


def is_cupy_namespace(xp):
    """Whether ``xp`` is CuPy."""
    return xp.__name__ in ("array_api_compat.cupy", "cupy")


def _is_torch(array):
    return type(array).__module__.partition(".")[0] == "torch"


def _is_numpy(array):
    # array-api-compat looks for every library in turn, and an iteration asks some dozen times.
    return type(array).__module__ == "numpy" and hasattr(array, "shape")


def _namespace(array):
    """The namespace of an array; None for anything else."""
    if _is_numpy(array):
        return _numpy()
    # array-api-compat caches its answers, which torch.compile warns about at each call.
    if _is_torch(array):
        import array_api_compat.torch as xp

        return xp
    return compat.array_namespace(array) if compat.is_array_api_obj(array) else None


@cache
def _numpy():
    import array_api_compat.numpy as xp

    return xp


def device(array):
    """The device, as creation functions take it; None for a JAX array that is bound to none."""
    if _is_numpy(array):
        return "cpu"
    if _is_torch(array):
        return array.device
    place = compat.device(array)
    if place is None or hasattr(place, "device_set"):
        return None  # in a trace, or in pieces: JAX places by itself what meets the array
    # JAX compiles anew for an array that is bound to the device on which it would be anyway.
    return place if getattr(array, "committed", True) else None


def on_accelerator(array):
    """Whether Python waits, where it reads a value of the array, for all work under way.

    JAX is left out: its loops are compiled, and read nothing.
    """
    if _is_torch(array):
        return array.device.type not in HOSTS
    return type(array).__module__.partition(".")[0] == "cupy"


def array_namespace(**arrays):
    """The one namespace of the named arrays; None values are skipped.

    Raises
    ------
    TypeError
        If an argument is not an array, or is of another library than the first.
    ValueError
        If an argument lives on another device than the first.
    """
    first_name, xp, where = None, None, None
    for name, array in arrays.items():
        if array is None:
            continue
        space = _namespace(array)
        if space is None:
            msg = f"{name} must be an array, got {type(array).__name__}"
            raise TypeError(msg)
        if len(arrays) == 1:
            return space
        place = _placement(space, array)
        if xp is None:
            first_name, xp, where = name, space, place
        elif space is not xp:
            msg = (
                f"{name} must be an array of the same library as {first_name}, "
                f"{_library(xp)}; got {_library(space)}"
            )
            raise TypeError(msg)
        elif place is not None and where is not None and place != where:
            msg = f"{name} must be on the device of {first_name}, {where}; got {place}"
            raise ValueError(msg)
    return xp


def _library(xp):
    return xp.__name__.removeprefix("array_api_compat.").split(".")[0]


def _placement(space, array):
    # JAX places and shards by its own rules and raises by itself where it must.
    return None if is_jax_namespace(space) else device(array)


def as_real(xp, array, name):
    """Promote integers and booleans to the default real dtype; refuse complex.

    Raises
    ------
    TypeError
        If the dtype is neither real, integer nor boolean.
    """
    dtype = array.dtype
    if is_real_floating(xp, dtype):
        return array
    if xp.isdtype(dtype, ("integral", "bool")):
        info = xp.__array_namespace_info__()
        return xp.astype(array, info.default_dtypes(device=device(array))["real floating"])
    msg = f"{name} must have a real, integer or boolean dtype, got {dtype}"
    raise TypeError(msg)


def is_real_floating(xp, dtype):
    """Whether ``dtype`` is real floating; bfloat16 and float16 count where they exist."""
    name = dtype_name(dtype)
    return name in ("bfloat16", "float16") or (
        name in _STANDARD_REALS or xp.isdtype(dtype, "real floating")
    )


def accumulation_dtype(xp, dtype):
    """The dtype in which sums are kept: float32 for half precision, else ``dtype``."""
    return xp.float32 if dtype_name(dtype) in ("bfloat16", "float16") else dtype


def widest(xp, array):
    """float64 where the device has it."""
    kinds = xp.__array_namespace_info__().dtypes(device=device(array), kind="real floating")
    return kinds.get("float64", xp.float32)


def index_dtype(xp, array):
    """The default integer dtype for indices on the device of ``array``."""
    info = xp.__array_namespace_info__()
    return info.default_dtypes(device=device(array))["indexing"]


def dtype_name(dtype):
    """The name that all libraries have for a dtype."""
    if type(dtype).__module__ == "numpy.dtypes":
        return _numpy_name(dtype)
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


@cache
def _numpy_name(dtype):
    # NumPy makes it anew, in a dozen calls of Python.
    return dtype.name
