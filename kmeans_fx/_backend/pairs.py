"""Distances between all rows of two blocks: |x|^2 - 2 x . y + |y|^2 as one product.

The caller centres the rows, and takes blocks that fit the cache.
"""

from kmeans_fx._backend.linalg import matmul
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_numpy_namespace,
    is_torch_namespace,
)
from kmeans_fx._backend.transform import tracks_gradients

__all__ = ["euclidean_block", "rows_per_tile", "squared_block"]


def rows_per_tile(xp):
    """Rows b of the fastest tile of b by 2 b distances, measured on CPUs.

    NumPy's sums of rows slow down fourfold beyond; PyTorch's threads, which meet after each
    operation, want larger ones.
    """
    return 768 if is_torch_namespace(xp) else 384


def squared_block(x, y):
    """Squared distances (..., n, m) of rows (..., n, d) and (..., m, d), up to rounding.

    Rounding may make them slightly negative.
    """
    xp = array_namespace(x=x, y=y)
    left = xp.concat([x, _norms(xp, x), _ones(xp, x)], axis=-1)
    right = xp.matrix_transpose(xp.concat([y * -2.0, _ones(xp, y), _norms(xp, y)], axis=-1))
    return matmul(left, right)


def euclidean_block(x, y):
    """Euclidean distances (..., n, m) of rows (..., n, d) and (..., m, d); slope 0 at 0."""
    xp = array_namespace(x=x, y=y)
    squares = squared_block(x, y)
    if is_numpy_namespace(xp):
        xp.maximum(squares, 0.0, out=squares)
        return xp.sqrt(squares, out=squares)
    if is_torch_namespace(xp) and not tracks_gradients(x, y):
        return squares.clamp_(min=0.0).sqrt_()
    positive = squares > 0
    root = xp.sqrt(xp.where(positive, squares, xp.ones_like(squares)))
    return xp.where(positive, root, xp.zeros_like(root))


def _norms(xp, rows):
    return xp.sum(rows * rows, axis=-1, keepdims=True)


def _ones(xp, rows):
    return xp.ones((*rows.shape[:-1], 1), dtype=rows.dtype, device=device(rows))
