"""The values of an array of any library, where NumPy can read them."""

from kmeans_fx._backend.namespace import array_namespace, is_torch_namespace

__all__ = ["numpy_values"]


def numpy_values(array, name="array"):
    """A NumPy array of the values, from any library and device, without derivatives.

    bfloat16, which NumPy lacks, is widened. Lists and numbers are taken too.

    Raises
    ------
    TypeError
        If NumPy cannot read it, as under a trace, or it holds no numbers.
    """
    import numpy as np

    try:
        found = np.asarray(_on_host(array))
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"{name} must be an array whose values can be read, got {type(array).__name__}"
        raise TypeError(msg) from error
    if found.dtype.name == "bfloat16":
        return found.astype("float32")
    if found.dtype.kind not in "biuf":
        msg = f"{name} must be an array of real numbers, got {type(array).__name__}"
        raise TypeError(msg)
    return found


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
