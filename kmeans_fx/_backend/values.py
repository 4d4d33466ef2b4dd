"""The values of an array of any library, where NumPy can read them."""

from kmeans_fx._backend.namespace import array_namespace, is_torch_namespace

__all__ = ["numpy_values"]


def numpy_values(array, name="array"):
    """A NumPy array of the values, from any library and device, without derivatives.

    Half precision, of which NumPy lacks one, is widened. Lists and numbers are taken too.

    Raises
    ------
    TypeError
        If NumPy cannot read it, as under a trace.
    """
    import numpy as np

    try:
        return np.asarray(_on_host(array))
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"{name} must be an array whose values can be read, got {type(array).__name__}"
        raise TypeError(msg) from error


def _on_host(array):
    kind = type(array).__module__.partition(".")[0]
    if kind == "torch" and is_torch_namespace(array_namespace(array=array)):
        array = array.detach().cpu()
        return array.float() if str(array.dtype) == "torch.bfloat16" else array
    if kind == "cupy":
        return array.get()
    if kind == "array_api_strict":
        return array.to_device(type(array.device)("CPU_DEVICE"))
    return array
