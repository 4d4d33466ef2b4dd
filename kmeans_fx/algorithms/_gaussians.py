"""Gaussian components: log densities of rows, and the components that rows ask for.

Covariances of all kinds are arrays (..., q, e, f) that broadcast to (..., k, d, d):
full (k, d, d), tied (1, d, d), diag (k, 1, d) and spherical (k, 1, 1).
"""

from math import log, pi
from typing import Any, NamedTuple

from kmeans_fx._backend.factor import inverse_cholesky
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.segment import one_hot
from kmeans_fx._partition import map_rows
from kmeans_fx._soft import softmax_and_log

__all__ = [
    "COVARIANCES",
    "Components",
    "estimate",
    "log_joint",
    "moments",
    "narrow",
    "parameters_of",
    "sizes_of",
    "widen",
]

COVARIANCES = ("full", "tied", "diag", "spherical")


class Components(NamedTuple):
    """Means (..., k, d), covariances (..., q, e, f) and proportions (..., k)."""

    means: Any
    covariances: Any
    proportions: Any


class Moments(NamedTuple):
    """Sums over the rows by responsibility, of deviations from the means before."""

    counts: Any
    sums: Any
    squares: Any
    log_likelihood: Any


def sizes_of(kind, k, d):
    """The sizes q, e, f of the covariances, as options of a program."""
    shapes = {"full": (k, d, d), "tied": (1, d, d), "diag": (k, 1, d), "spherical": (k, 1, 1)}
    return dict(zip("qef", shapes[kind], strict=True))


def widen(kind, covariances):
    """From the caller's shape to (..., q, e, f)."""
    if kind == "full":
        return covariances
    if kind == "tied":
        return covariances[..., None, :, :]
    return covariances[..., :, None, :] if kind == "diag" else covariances[..., :, None, None]


def narrow(kind, covariances):
    """From (..., q, e, f) to the caller's shape."""
    if kind == "full":
        return covariances
    if kind == "tied":
        return covariances[..., 0, :, :]
    return covariances[..., :, 0, :] if kind == "diag" else covariances[..., :, 0, 0]


def parameters_of(kind, k, d):
    """How many numbers a mixture is free to choose."""
    triangle = d * (d + 1) // 2
    numbers = {"full": k * triangle, "tied": triangle, "diag": k * d, "spherical": k}
    return numbers[kind] + k * d + k - 1


def log_joint(components, kind):
    """The function from rows (..., b, d) to log p(row, component) (..., k, b).

    It also gives the deviations (..., k, b, d) from the means.
    """
    means, covariances, proportions = components
    xp = array_namespace(means=means)
    d = means.shape[-1]
    if kind in ("full", "tied"):
        whiten = inverse_cholesky(covariances)
        eye = xp.eye(d, dtype=whiten.dtype, device=device(whiten))
        diagonal = xp.sum(whiten * eye, axis=-1)
        whiten = xp.matrix_transpose(whiten)
    else:
        nothing = xp.full_like(covariances, xp.nan)
        whiten = 1.0 / xp.sqrt(xp.where(covariances > 0, covariances, nothing))
        diagonal = xp.broadcast_to(whiten, (*whiten.shape[:-1], d))[..., 0, :]
    scale = xp.sum(xp.log(diagonal), axis=-1) - 0.5 * d * log(2 * pi)
    some = proportions > 0
    logs = xp.log(xp.where(some, proportions, xp.ones_like(proportions)))
    offset = scale + xp.where(some, logs, xp.full_like(logs, -xp.inf))

    def joint(rows):
        away = rows[..., None, :, :] - means[..., :, None, :]
        white = xp.matmul(away, whiten) if kind in ("full", "tied") else away * whiten
        return offset[..., None] - 0.5 * xp.sum(white * white, axis=-1), away

    return joint


def nearest(means):
    """As `log_joint`, but all or nothing: the nearest mean has the row."""
    xp = array_namespace(means=means)

    def joint(rows):
        away = rows[..., None, :, :] - means[..., :, None, :]
        labels = xp.argmin(xp.sum(away * away, axis=-1), axis=-2)
        own = xp.matrix_transpose(one_hot(xp, labels, means.shape[-2], means.dtype))
        return xp.where(own > 0, xp.zeros_like(own), xp.full_like(own, -xp.inf)), away

    return joint


def moments(x, means, weights, space, kind, joint):
    """One pass over the rows: responsibilities by ``joint``, and the sums for `estimate`."""
    xp = array_namespace(x=x)
    k, d = means.shape[-2:]

    def block(part, share):
        logs, away = joint(space.rows(part))
        pulls, evidence = softmax_and_log(logs, axis=-2)
        evidence = evidence[..., 0, :]
        if share is not None:
            pulls, evidence = pulls * share[..., None, :], evidence * share
        sums = xp.matmul(pulls[..., None, :], away)[..., 0, :]
        squares = _squares(xp, away, pulls, kind)
        return (), (xp.sum(pulls, axis=-1), sums, squares, xp.sum(evidence, axis=-1))

    _, totals = map_rows(block, (x, weights), means, 3 * k * d, space.chunk_size)
    return Moments(*totals)


def _squares(xp, away, pulls, kind):
    """Sums of products of deviations (..., q, e, f)."""
    if kind in ("full", "tied"):
        pulled = away * pulls[..., None]
        if kind == "tied":
            *lead, k, b, d = away.shape
            pulled, away = (xp.reshape(a, (*lead, 1, k * b, d)) for a in (pulled, away))
        return xp.matmul(xp.matrix_transpose(pulled), away)
    squares = xp.matmul(pulls[..., None, :], away * away)
    return squares if kind == "diag" else xp.mean(squares, axis=-1, keepdims=True)


def estimate(components, found, kind, reg_covar):
    """The components that the moments ask for; one without rows stays as it is."""
    means, covariances, _ = components
    xp = array_namespace(means=means)
    occupied = found.counts > 0
    counts = xp.where(occupied, found.counts, xp.ones_like(found.counts))
    shift = xp.where(occupied[..., None], found.sums / counts[..., None], means * 0.0)
    total = xp.sum(found.counts, axis=-1, keepdims=True)
    here = occupied[..., None, None]
    squares, shares = found.squares, counts[..., None, None]
    if kind in ("full", "tied"):
        outer = shift[..., :, None] * shift[..., None, :]
        if kind == "tied":
            outer = xp.sum(outer * shares, axis=-3, keepdims=True)
            shares, here = total[..., None, None], (total > 0)[..., None, None]
            spread = (squares - outer) / shares
        else:
            spread = squares / shares - outer
        d = means.shape[-1]
        spread = spread + reg_covar * xp.eye(d, dtype=means.dtype, device=device(means))
    else:
        outer = shift[..., :, None, :] ** 2
        outer = outer if kind == "diag" else xp.mean(outer, axis=-1, keepdims=True)
        # Rounding may leave a variance of equal rows slightly negative.
        spread = xp.clip(squares / shares - outer, 0.0, None) + reg_covar
    return Components(means + shift, xp.where(here, spread, covariances), found.counts / total)
