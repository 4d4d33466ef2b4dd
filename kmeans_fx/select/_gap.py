"""What the gap statistic compares with: rows without clusters, clustered in the same way."""

from typing import Any, NamedTuple

from kmeans_fx._backend.half import widened
from kmeans_fx._backend.linalg import eigh, matmul
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.random import fold_in, split, uniform
from kmeans_fx.preprocess._axes import with_signs
from kmeans_fx.select._fits import fit_each

__all__ = ["Box", "box_of", "draw", "gap_of", "groups", "logarithm", "reference_logs"]

# Numbers of reference rows that are alive at a time, and those of one draw of bits.
_NUMBERS, _BITS = 1 << 24, 1 << 20


class Box(NamedTuple):
    """A box around the rows: its lower corner and its sides (d,), along ``axes`` (d, d) or None.

    The corner is relative to ``mean`` (d,).
    """

    low: Any
    sides: Any
    axes: Any
    mean: Any


def box_of(x, weights, reference):
    """The smallest box around the rows x (n, d) of positive weight."""
    xp = array_namespace(x=x)
    x = widened(x)
    share = xp.ones_like(x[:, 0]) if weights is None else weights
    mean = xp.sum(x * share[:, None], axis=0) / xp.sum(share)
    centred, axes = x - mean, None
    if reference == "pca":
        axes = _principal_axes(xp, centred, share)
        centred = matmul(centred, axes)
    there = (share > 0)[:, None]
    low = xp.min(xp.where(there, centred, xp.inf), axis=0)
    high = xp.max(xp.where(there, centred, -xp.inf), axis=0)
    return Box(low, high - low, axes, mean)


def _principal_axes(xp, centred, share):
    """Eigenvectors of the covariance as columns, the largest entry of each positive."""
    scatter = matmul(xp.matrix_transpose(centred * share[:, None]), centred)
    _, axes = eigh(scatter / xp.sum(share))
    return xp.matrix_transpose(with_signs(xp, xp.matrix_transpose(axes)))


def draw(box, key, n, dtype):
    """Rows (b, n, d), uniform in the box, for keys (b, 2)."""
    xp = array_namespace(key=key)
    d = box.low.shape[0]
    rows = max(1, min(n, _BITS // d))
    parts = []
    for start in range(0, n, rows):
        shape = (min(rows, n - start), d)
        part = uniform(fold_in(key, start), shape, box.low.dtype) * box.sides + box.low
        part = part if box.axes is None else matmul(part, xp.matrix_transpose(box.axes))
        parts.append(xp.astype(part + box.mean, dtype, copy=False))
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)


def groups(x, references):
    """How many references each batch has: all, while they are not too many numbers."""
    size = max(1, min(references, _NUMBERS // (x.shape[0] * x.shape[1])))
    return [min(size, references - start) for start in range(0, references, size)]


def reference_logs(x, ks, key, box, sizes, n_init, weights, options, report):
    """Log W of the references, (b, m), clustered in batches of the given sizes."""
    xp = array_namespace(x=x)
    words = split(key)
    draws, logs, start = split(words[0, :], sum(sizes)), [], 0
    for size in sizes:
        rows = draw(box, draws[start : start + size, :], x.shape[0], x.dtype)
        inertias = []
        # All references share the key of their starts: their rows differ.
        for fit in fit_each(rows, ks, words[1, :], n_init, weights, options):
            inertias.append(fit.inertia)
            report(fit)
        logs.append(logarithm(xp.stack(inertias, axis=-1)))
        start += size
    return xp.concat(logs, axis=0)


def gap_of(logs, inertia):
    """Gap(k) and s_k (m,), from log W of the references (b, m) and the inertia (m,).

    NaN where a reference has no inertia either.
    """
    xp = array_namespace(logs=logs)
    known = xp.isfinite(logs)
    logs = xp.where(known, logs, xp.zeros_like(logs))
    mean = xp.mean(logs, axis=0)
    spread = xp.sqrt(xp.mean((logs - mean) ** 2, axis=0))
    nothing = xp.full_like(mean, xp.nan)
    known = xp.all(known, axis=0)
    gap = xp.where(known, mean - logarithm(inertia), nothing)
    return gap, xp.where(known, spread * (1 + 1 / logs.shape[0]) ** 0.5, nothing)


def logarithm(values):
    """log, and -inf at 0, where NumPy would warn."""
    xp = array_namespace(values=values)
    logs = xp.log(xp.where(values > 0, values, xp.ones_like(values)))
    return xp.where(values > 0, logs, xp.full_like(logs, -xp.inf))
