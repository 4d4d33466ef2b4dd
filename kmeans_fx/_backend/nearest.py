"""The nearest centroid of a block of rows: argmin over j of |c_j|^2 - 2 x . c_j.

The caller centres the rows; the term |x|^2 is the same for every j and left out.
One body per framework, each the fastest array program measured for it on a CPU.
Ties go to the first centroid.
"""

from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    index_dtype,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
)

__all__ = ["nearest", "score_table", "squared_norms"]

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


def _nearest(xp, rows, operand, bias):
    """Any backend, any batch."""
    return xp.argmin(xp.matmul(rows, operand) + bias[..., None, :], axis=-1)


def _nearest_numpy(rows, operand, bias):
    """NumPy: the bias is added in place; argmin along rows is vectorised."""
    scores = rows @ operand
    scores += bias
    return scores.argmin(axis=1)


def _nearest_torch(rows, operand, bias):
    """PyTorch: one fused product; min over dim 1 is faster than argmin."""
    import torch

    return torch.addmm(bias, rows, operand).min(dim=1).indices


def _nearest_jax(rows, operand, bias):
    """JAX: scores as (k, rows) and two plain minima; XLA's argmin is 3-4 times slower."""
    from jax import lax
    from jax import numpy as jnp

    scores = bias[:, None] + jnp.matmul(operand.T, rows.T, precision="highest")
    k = scores.shape[0]
    index = lax.broadcasted_iota(jnp.int32, scores.shape, 0)
    # Textbook form: jnp.argmin(scores, axis=0). The clip is for rows of NaN.
    found = jnp.min(jnp.where(scores == jnp.min(scores, axis=0), index, k), axis=0)
    return jnp.minimum(found, k - 1).astype(index_dtype(jnp, rows))
