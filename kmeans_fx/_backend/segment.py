"""Sums of rows by label: native where there is one, portable otherwise."""

from kmeans_fx._backend.kernels import kernels_for
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_jax_namespace,
    is_numpy_namespace,
    is_torch_namespace,
)
from kmeans_fx._backend.sharding import by_compiler, row_parts
from kmeans_fx._backend.transform import tracks_gradients

# Up to here one bincount a column is faster than bringing the rows in order.
_FEW_COLUMNS = 8

__all__ = [
    "one_hot",
    "segment_counts",
    "segment_min",
    "segment_stats",
    "segment_sum",
    "take_one",
    "take_rows",
]


def segment_sum(values, labels, k):
    """Sum the rows of ``values`` (..., n, d) that share a label, to (..., k, d).

    The leading dimensions of ``labels`` (..., n) equal those of ``values``.
    Differentiable in ``values``.
    """
    xp = array_namespace(values=values, labels=labels)
    if values.ndim > 2:
        return _batched(xp, values, labels, k)
    if is_jax_namespace(xp):
        return _scattered(xp, values, labels, k)
    if is_torch_namespace(xp):
        zeros = values.new_zeros((k, values.shape[-1]))
        return zeros.index_add(0, labels, values)
    if is_numpy_namespace(xp):
        return _sorted_stats(values, labels, k, None)[0]
    return xp.matmul(xp.matrix_transpose(one_hot(xp, labels, k, values.dtype)), values)


@by_compiler("nd n", "kd")
def _scattered(xp, values, labels, k):
    """JAX: labels out of range are left out."""
    zeros = xp.zeros((k, values.shape[-1]), dtype=values.dtype, device=device(values))
    return zeros.at[labels].add(values)


def segment_min(values, starts, places):
    """The least of every run of ``values`` (n,), to (r,). No derivative.

    Run i is from ``starts[i]`` to the next start, the last to the end. The first start is 0,
    no run is empty, and ``places`` (n,) is the run of every value.
    """
    xp = array_namespace(values=values, starts=starts)
    if is_numpy_namespace(xp):
        return xp.minimum.reduceat(values, starts)
    if is_jax_namespace(xp) or is_torch_namespace(xp):
        infinite = xp.full(starts.shape, xp.inf, dtype=values.dtype, device=device(values))
        if is_jax_namespace(xp):
            return infinite.at[places].min(values)
        return infinite.scatter_reduce(0, places, values, "amin")
    return _scanned_min(xp, values, starts, places)


def _scanned_min(xp, values, starts, places):
    """Portable: after turn t a value is the least of its run's last 2^t up to it."""
    step = 1
    while step < values.shape[0]:
        same = places[step:] == places[:-step]
        least = xp.where(same, xp.minimum(values[step:], values[:-step]), values[step:])
        values = xp.concat([values[:step], least])
        step *= 2
    last = xp.concat([starts[1:] - 1, xp.full_like(starts[:1], values.shape[0] - 1)])
    return xp.take(values, last)


def one_hot(xp, labels, k, dtype):
    """Indicator matrix (..., n, k) of the labels, by comparison."""
    return xp.astype(
        labels[..., None] == xp.arange(k, dtype=labels.dtype, device=device(labels)), dtype
    )


@by_compiler("kd n", "nd")
def take_rows(xp, rows, labels):
    """``rows[labels]``: from (..., k, d) and (..., n) to (..., n, d)."""
    if rows.ndim == 2:
        # JAX fills rows out of bounds with NaN, which needs the taken rows in memory.
        bounds = {"mode": "clip"} if is_jax_namespace(xp) else {}
        taken = xp.take(rows, xp.reshape(labels, (-1,)), axis=0, **bounds)
        return xp.reshape(taken, (*labels.shape, rows.shape[-1]))
    batch = broadcast_shapes(rows.shape[:-2], labels.shape[:-1])
    rows = xp.broadcast_to(rows, (*batch, *rows.shape[-2:]))
    index = xp.broadcast_to(labels[..., None], (*batch, labels.shape[-1], rows.shape[-1]))
    return xp.take_along_axis(rows, index, axis=-2)


def take_one(values, index):
    """``values[..., index]``: one entry of each (..., k) by an index (...)."""
    xp = array_namespace(values=values)
    return xp.take_along_axis(values, index[..., None], axis=-1)[..., 0]


def _batched(xp, values, labels, k):
    # One flat problem with k labels of its own for every member.
    *batch, n, d = values.shape
    members = 1
    for size in batch:
        members *= size
    offsets = xp.arange(members, dtype=labels.dtype, device=device(labels))[:, None] * k
    labels, values = xp.reshape(labels, (members, n)) + offsets, xp.reshape(values, (members, n, d))
    if is_jax_namespace(xp) and row_parts(n) > 1:
        # Rows that lie on several devices stay there if they are the first axis.
        labels, values = xp.matrix_transpose(labels), xp.permute_dims(values, (1, 0, 2))
    flat = xp.reshape(values, (members * n, d))
    sums = segment_sum(flat, xp.reshape(labels, (-1,)), members * k)
    return xp.reshape(sums, (*batch, k, d))


def segment_stats(rows, labels, k, weights=None):
    """Weighted sums (..., k, d) and counts (..., k) of the rows (..., n, d) by label (..., n)."""
    xp = array_namespace(rows=rows, labels=labels)
    ranks = (rows, 2), (labels, 1), (weights, 1)
    batch = broadcast_shapes(*(a.shape[: a.ndim - r] for a, r in ranks if a is not None))
    if batch:
        rows = xp.broadcast_to(rows, (*batch, *rows.shape[-2:]))
        labels = xp.broadcast_to(labels, (*batch, *labels.shape[-1:]))
    if batch and weights is not None:
        weights = xp.broadcast_to(weights, labels.shape)
    kernels = kernels_for(rows, rows.dtype, "segment_stats")
    if kernels is not None and not tracks_gradients(rows, weights):
        return kernels.segment_stats(rows, labels, k, weights)
    if is_numpy_namespace(xp) and labels.ndim == 1:
        return _sorted_stats(rows, labels, k, weights)
    ones = xp.ones(labels.shape, dtype=rows.dtype, device=device(rows))
    values = rows if weights is None else rows * weights[..., None]
    share = ones if weights is None else weights
    return segment_sum(values, labels, k), segment_sum(share[..., None], labels, k)[..., 0]


def segment_counts(labels, k, weights, like):
    """Total weight (k,) of every label (n,), in the dtype of ``like``; eager backends."""
    xp = array_namespace(labels=labels)
    return xp.astype(xp.bincount(labels, weights, minlength=k), like.dtype)


def _sorted_stats(rows, labels, k, weights):
    """NumPy: bring equal labels together, then one reduceat; add.at is 10x slower."""
    import numpy as np

    from kmeans_fx._backend.kernels.product_tiles import in_runs

    d = rows.shape[-1]
    sizes = np.bincount(labels, minlength=k)
    sums = np.zeros((k, d), dtype=rows.dtype)
    if d <= _FEW_COLUMNS:
        for j in range(d):
            column = rows[:, j] if weights is None else rows[:, j] * weights
            sums[:, j] = np.bincount(labels, column, k)
    elif labels.size:
        order, present, starts = in_runs(labels, sizes)
        ordered = rows.take(order, axis=0)
        if weights is not None:
            ordered *= weights.take(order)[:, None]
        sums[present] = np.add.reduceat(ordered, starts, axis=0)
    counts = sizes if weights is None else np.bincount(labels, weights, k)
    return sums, counts.astype(rows.dtype)
