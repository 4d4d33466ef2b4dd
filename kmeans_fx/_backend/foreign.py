"""JAX: one foreign function, through which compiled code runs a program on NumPy views.

It is called with the addresses of the arrays, so nothing is copied. `jax.pure_callback`
would copy, and waits forever where XLA has a single thread.

Imported when a program has kernels, never before.
"""

import ast
import ctypes
from functools import cache
from math import prod

import jax
import numpy as np

from kmeans_fx._backend import fixed_point

__all__ = ["call"]

_TARGET = "kmeans_fx_program"
_ADDRESSES = ctypes.POINTER(ctypes.c_void_p)
# XLA's custom call: results, arguments, a string of ours and its length, a status.
_CUSTOM_CALL = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, _ADDRESSES, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
)
_WITH_STATUS = 3


def call(name, present, options, arrays, results):
    """Run the program ``name`` on the arrays that are present; ``results`` are its shapes."""
    _register()
    shapes = [[(a.shape, a.dtype.name) for a in group] for group in (arrays, results)]
    return jax.ffi.ffi_call(
        _TARGET,
        results,
        custom_call_api_version=_WITH_STATUS,
        legacy_backend_config=repr((name, present, options, *shapes)),
    )(*arrays)


@cache
def _register():
    address = ctypes.cast(_run, ctypes.c_void_p).value
    jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(address), platform="cpu", api_version=0)


@_CUSTOM_CALL
def _run(results, arguments, text, length, _):
    name, present, options, given, wanted = ast.literal_eval(
        ctypes.string_at(text, length).decode()
    )
    # One result comes by its own address, several by that of their addresses.
    addresses = [results] if len(wanted) == 1 else ctypes.cast(results, _ADDRESSES)
    outputs = [_view(addresses[i], *spec) for i, spec in enumerate(wanted)]
    try:
        arrays = [_view(arguments[i], *spec) for i, spec in enumerate(given)]
        values = fixed_point.in_the_open(name, present, options, arrays)
    except BaseException:
        # Python prints it and goes on: no garbage must look like a result.
        for output in outputs:
            output.fill(np.nan if output.dtype.kind == "f" else -1)
        raise
    for output, value in zip(outputs, values, strict=True):
        output[...] = value


def _view(address, shape, dtype):
    """The array at an address, which is null where it has no entries."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = (ctypes.c_char * size).from_address(address) if size else bytearray()
    return np.frombuffer(memory, dtype).reshape(shape)
