"""Memory that a thread takes once for what it computes in blocks: NumPy.

The system clears the pages of a new array, and that takes longer than a sum or a product of
a block does.
"""

from math import prod
from threading import local

import numpy as np

__all__ = ["scratch"]

_here = local()


def scratch(name, shape, dtype):
    """An array of this thread, of any content, written over by the next call for the name."""
    kept = vars(_here).setdefault("arrays", {})
    size, dtype = prod(shape), np.dtype(dtype)
    key = name, dtype
    if key not in kept or kept[key].shape[0] < size:
        kept[key] = np.empty(size, dtype)
    return kept[key][:size].reshape(shape)
