"""The nearest centroid of a block of rows: argmin over j of |c_j|^2 - 2 x . c_j.

The caller centres the rows; the term |x|^2 is the same for every j and left out.
One body per framework, each the fastest array program measured for it on a CPU.
Ties go to the first centroid.
"""

from math import prod
from threading import local

from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    has_numpy,
    index_dtype,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
    on_accelerator,
)
from kmeans_fx._backend.transform import is_concrete

__all__ = ["nearest", "score_rows", "score_table", "squared_norms"]

_here = local()

# Up to here whole rows of scores are too short for argmin along them.
_FEW_CENTROIDS = 32
# From here on XLA's product with ones is faster than its sum along the last axis.
_MANY_COLUMNS = 16


def score_table(centroids, dropped=None):
    """What ``nearest`` needs of the centroids (..., k, d): (-2 C^T, |c|^2).

    Rows marked in ``dropped`` (..., k) are never the nearest.
    """
    xp = array_namespace(centroids=centroids)
    bias = xp.sum(centroids * centroids, axis=-1)
    if dropped is not None:
        bias = xp.where(dropped, xp.full_like(bias, xp.inf), bias)
    return xp.matrix_transpose(centroids) * -2.0, bias


def nearest(rows, table):
    """Labels (..., n) of the rows (..., n, d)."""
    operand, bias = table
    xp = array_namespace(rows=rows, operand=operand)
    if rows.ndim == operand.ndim == 2:
        if is_numpy_namespace(xp):
            return _nearest_numpy(rows, operand, bias)
        if is_torch_namespace(xp):
            return _nearest_torch(rows, operand, bias)
        if is_jax_namespace(xp):
            return _nearest_jax(rows, operand, bias)
    return _nearest(xp, rows, operand, bias)


def squared_norms(rows):
    """Sum of squares of every row: (..., n, d) to (..., n)."""
    xp = array_namespace(rows=rows)
    if is_numpy_namespace(xp):
        return xp.einsum("...ij,...ij->...i", rows, rows)
    if is_jax_namespace(xp) and rows.shape[-1] >= _MANY_COLUMNS:
        ones = xp.ones(rows.shape[-1], dtype=rows.dtype, device=device(rows))
        return xp.matmul(rows * rows, ones, precision="highest")
    return xp.sum(rows * rows, axis=-1)


def score_rows(rows, table):
    """Squared distances (..., n, k) of rows (..., n, d), up to a number for each row."""
    operand, bias = table
    return array_namespace(rows=rows).matmul(rows, operand) + bias[..., None, :]


def _nearest(xp, rows, operand, bias):
    """Any backend, any batch."""
    return xp.argmin(score_rows(rows, (operand, bias)), axis=-1)


def _nearest_numpy(rows, operand, bias):
    """NumPy: the bias is added in place; few centroids lie along the first axis."""
    if bias.shape[0] <= _FEW_CENTROIDS:
        scores = operand.T @ rows.T
        scores += bias[:, None]
        return _first_minimum(scores)
    scores = rows @ operand
    scores += bias
    return scores.argmin(axis=1)


def _nearest_torch(rows, operand, bias):
    """PyTorch: one fused product; on a CPU NumPy's argmin, which takes a tenth of the time."""
    import torch

    if on_accelerator(rows) or not (has_numpy() and is_concrete(rows)):
        return torch.addmm(bias, rows, operand).min(dim=1).indices
    n, k = rows.shape[0], bias.shape[0]
    if k <= _FEW_CENTROIDS:
        scores = _scratch(rows, k, n)
        labels = _first_minimum(torch.addmm(bias[:, None], operand.T, rows.T, out=scores).numpy())
    else:
        scores = _scratch(rows, n, k)
        labels = torch.addmm(bias, rows, operand, out=scores).numpy().argmin(axis=1)
    return torch.from_numpy(labels)


def _scratch(like, *shape):
    """PyTorch: memory of this thread, written over by the next call.

    Aligned blocks that come and go leave holes in the heap of the C library.
    """
    size = prod(shape)
    kept = getattr(_here, "scratch", None)
    if kept is None or kept.dtype != like.dtype or kept.shape[0] < size:
        kept = _here.scratch = like.new_empty(size)
    return kept[:size].view(shape)


def _first_minimum(scores):
    """NumPy: argmin along the first axis of few scores."""
    from kmeans_fx._backend.kernels.product_tiles import first_least

    return first_least(scores, scores.min(axis=0))


def _nearest_jax(rows, operand, bias):
    """JAX: by a kernel where there is one and code is made for a GPU."""
    kernels = kernels_for(rows, rows.dtype, "nearest")
    if kernels is None:
        return _nearest_xla(rows, operand, bias)
    from jax import lax

    bodies = {"cuda": kernels.nearest, "default": _nearest_xla}
    return lax.platform_dependent(rows, operand, bias, **bodies)


def _nearest_xla(rows, operand, bias):
    """JAX: scores as (k, rows) and plain minima; XLA's argmin is 3-4 times slower."""
    from jax import lax
    from jax import numpy as jnp

    scores = bias[:, None] + jnp.matmul(operand.T, rows.T, precision="highest")
    k = scores.shape[0]
    index = lax.broadcasted_iota(jnp.int32, scores.shape, 0)
    # Textbook form: jnp.argmin(scores, axis=0).
    if k <= _FEW_CENTROIDS:
        start = jnp.asarray(jnp.inf, dtype=scores.dtype), jnp.asarray(k, dtype=index.dtype)
        _, found = lax.reduce((scores, index), start, _smaller, (0,))
    else:
        found = jnp.min(jnp.where(scores == jnp.min(scores, axis=0), index, k), axis=0)
    return jnp.minimum(found, k - 1).astype(index_dtype(jnp, rows))  # rows of NaN find nothing


def _smaller(one, other):
    """JAX: of two pairs (score, index) the one that comes first in order."""
    from jax import numpy as jnp

    (score, index), (score2, index2) = one, other
    first = (score < score2) | ((score == score2) & (index < index2))
    return jnp.where(first, score, score2), jnp.where(first, index, index2)
