"""Arrays in a file: NumPy's NPZ, which needs no pickle and no code of ours to be read."""

import os
from pathlib import Path

from kmeans_fx._backend.namespace import device

__all__ = ["load_arrays", "placed_as", "save_arrays"]


def save_arrays(path, **arrays):
    """Write arrays, numbers and strings by name, all or nothing.

    They are written beside ``path`` and brought to the disk before they take its place, so
    that the file is whole at any time, whatever ends the process.
    """
    import numpy as np

    path = Path(path)
    beside = path.with_name(f"{path.name}.part")
    with beside.open("wb") as file:
        np.savez(file, **{name: _on_host(array) for name, array in arrays.items()})
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load_arrays(path):
    """The NumPy arrays of a file by name."""
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def placed_as(xp, values, like):
    """NumPy values as an array of ``xp``, on the device and in the dtype of ``like``."""
    return xp.asarray(values, dtype=like.dtype, device=device(like))


def _on_host(array):
    """PyTorch has ``cpu`` and CuPy has ``get`` to leave a device; others go by themselves."""
    import numpy as np

    for leave in ("detach", "cpu", "get"):
        array = getattr(array, leave, lambda same=array: same)()
    return np.asarray(array)
