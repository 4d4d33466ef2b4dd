"""The few smallest numbers of every row; of equal ones those that come first."""

from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._backend.transform import is_concrete

__all__ = ["smallest"]


def smallest(table, k):
    """Places (..., k) of the k smallest along the last axis, in order."""
    xp = array_namespace(table=table)
    if is_jax_namespace(xp):
        from jax import lax

        return lax.top_k(-table, k)[1]
    if is_numpy_namespace(xp):
        return _smallest_numpy(table, k)
    if is_torch_namespace(xp) and not on_accelerator(table) and is_concrete(table):
        import torch

        return torch.from_numpy(_smallest_numpy(table.detach().numpy(), k))
    return _smallest(xp, table, k)


def _smallest(xp, table, k):
    """Any backend: a few times argmin, which a partial sort would leave open for ties."""
    places = xp.arange(table.shape[-1], device=device(table))
    found = []
    for _ in range(k):
        found.append(xp.argmin(table, axis=-1, keepdims=True))
        taken = xp.astype(places, found[-1].dtype) == found[-1]
        table = xp.where(taken, xp.full_like(table, xp.inf), table)
    return xp.concat(found, axis=-1)


def _smallest_numpy(table, k):
    """NumPy: in place in one copy, because its argmin is quick and a where is not."""
    import numpy as np

    table = table.copy()
    found = np.empty((*table.shape[:-1], k), dtype=np.intp)
    for i in range(k):
        place = table.argmin(axis=-1)[..., None]
        np.put_along_axis(table, place, np.inf, axis=-1)
        found[..., i] = place[..., 0]
    return found
