"""Programs of CuPy on tensors of PyTorch, views of the same memory, where that has kernels.

The same as `host` does for NumPy: a program runs as a whole on the library whose kernels
there are. DLPack carries the arrays, and sees to the order of the work on the device.
"""

from importlib.util import find_spec

from kmeans_fx._backend.host import METRICS
from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace

__all__ = ["from_tensors", "to_tensors"]


def to_tensors(arrays, cores, options):
    """Views of the arrays, of which None stay; nothing where there are no kernels for them."""
    if dict(options).get("metric") not in METRICS or find_spec("torch") is None:
        return None
    import torch

    x = torch.from_dlpack(arrays[0])
    if kernels_for(x, accumulation_dtype(torch, x.dtype), "assign") is None:
        return None
    return [x, *(_view(a, core) for a, core in zip(arrays[1:], cores[1:], strict=True))]


def _view(array, core):
    if array is None:
        return None
    import torch

    if core == "w":
        # Words of keys are signed on PyTorch, which lacks unsigned arithmetic.
        xp = array_namespace(words=array)
        array = xp.astype(array, xp.int64)
    return torch.from_dlpack(array)


def from_tensors(xp, tensors):
    """The tensors as arrays of ``xp`` on the same memory."""
    return tuple(xp.from_dlpack(tensor) for tensor in tensors)
