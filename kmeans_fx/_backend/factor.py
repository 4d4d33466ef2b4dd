"""Factors of positive definite matrices: native where there is one, portable otherwise."""

from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
)

__all__ = ["inverse_cholesky"]


def inverse_cholesky(matrix):
    """Lower triangular W (..., d, d) with W matrix W^T = 1; NaN if not positive definite.

    Differentiable.
    """
    xp = array_namespace(matrix=matrix)
    if is_jax_namespace(xp):
        return _jax(matrix)
    if is_torch_namespace(xp):
        return _torch(matrix)
    return _inverse(xp, _numpy(matrix) if is_numpy_namespace(xp) else _columns(xp, matrix))


def _jax(matrix):
    from jax import numpy as jnp
    from jax.lax.linalg import triangular_solve

    factor = jnp.linalg.cholesky(matrix)
    eye = jnp.broadcast_to(jnp.eye(matrix.shape[-1], dtype=matrix.dtype), matrix.shape)
    return triangular_solve(factor, eye, left_side=True, lower=True)


def _torch(matrix):
    import torch

    # The other form raises, which a compiled or batched program must not.
    factor, info = torch.linalg.cholesky_ex(matrix)
    factor = torch.where((info == 0)[..., None, None], factor, torch.nan)
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)


def _numpy(matrix):
    import numpy as np

    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        # One member of a batch is enough to raise: NaN for that one alone.
        return _columns(np, matrix)


def _columns(xp, matrix):
    """Any backend: the factor column by column, of what the columns before it leave."""
    d = matrix.shape[-1]
    places = xp.arange(d, device=device(matrix))
    columns = []
    for j in range(d):
        # Textbook form: column[j:] = matrix[j:, j] / sqrt(matrix[j, j]).
        column = xp.where(places >= j, matrix[..., :, j], xp.zeros_like(matrix[..., :, j]))
        pivot = matrix[..., j, j]
        pivot = xp.where(pivot > 0, pivot, xp.full_like(pivot, xp.nan))
        column = column / xp.sqrt(pivot)[..., None]
        matrix = matrix - column[..., :, None] * column[..., None, :]
        columns.append(column)
    return xp.stack(columns, axis=-1)


def _inverse(xp, factor):
    """Any backend: forward substitution, row by row."""
    d = factor.shape[-1]
    eye = xp.eye(d, dtype=factor.dtype, device=device(factor))
    rows: list = []
    for j in range(d):
        row = xp.broadcast_to(eye[j, :], factor.shape[:-1])
        if rows:
            known = xp.stack(rows, axis=-2)
            row = row - xp.matmul(factor[..., j : j + 1, :j], known)[..., 0, :]
        rows.append(row / factor[..., j, j][..., None])
    return xp.stack(rows, axis=-2)
