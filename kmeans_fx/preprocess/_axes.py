"""Principal axes of weighted rows: from their covariances, or from themselves where few."""

from kmeans_fx._backend.checks import check_finite, check_points, check_weights
from kmeans_fx._backend.fixed_point import differentiable
from kmeans_fx._backend.linalg import eigh, matmul, svd
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._partition import centred_space, map_rows
from kmeans_fx.distances import METRICS

__all__ = ["checked", "deviations", "from_population", "principal_axes", "with_signs"]

# From so many rows a column on the covariances are as good, and quicker by far.
_MANY_ROWS = 10
# A variance of so many roundings is none.
_ROUNDINGS = 10


def checked(x, weights):
    """Namespace, rows and weights (..., n), or an error that names the argument."""
    xp, x = check_points(x=x)
    weights = check_weights(xp, x, weights)
    check_finite(x=x)
    return xp, x, weights


def from_population(xp, x, weights, correction):
    """The factor (...) from variances of the population to those that are asked for."""
    total = _total(xp, x, weights)
    if is_concrete(total) and not bool(xp.all(total > correction)):
        least = float(xp.min(total))
        msg = f"correction must be less than the total weight, {least}, got {correction}"
        raise ValueError(msg)
    return total / (total - correction)


@differentiable("nd n", "d rd r .")
def principal_axes(x, weights, *, r):
    """Mean, first r axes by variance, the variances along them, and their whole sum."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, METRICS["sqeuclidean"], None)
    many = x.shape[-2] >= _MANY_ROWS * x.shape[-1]
    shift, values, axes = (_from_covariances if many else _from_rows)(x, weights, space)
    axes, kept = axes[..., :r, :], values[..., :r]
    return space.origin + shift, with_signs(xp, axes), kept, xp.sum(values, axis=-1)


def _from_covariances(x, weights, space):
    """By the eigenvectors of the d x d covariances, summed over blocks of rows."""
    xp = array_namespace(x=x)

    def block(part, share):
        rows = space.rows(part)
        weighted = rows if share is None else rows * share[..., None]
        return (), (matmul(xp.matrix_transpose(rows), weighted), xp.sum(weighted, axis=-2))

    d = x.shape[-1]
    _, (products, sums) = map_rows(block, (x, weights), x[..., :1, :], 4 * d, None)
    total = _total(xp, x, weights)
    # The mean is off by a rounding, which a product of a large mean would show.
    shift = sums / total[..., None]
    covariances = products / total[..., None, None] - shift[..., :, None] * shift[..., None, :]
    values, vectors = eigh((covariances + xp.matrix_transpose(covariances)) / 2)
    values = xp.where(values > 0, values, xp.zeros_like(values))
    return shift, xp.flip(values, axis=-1), xp.flip(xp.matrix_transpose(vectors), axis=-2)


def _from_rows(x, weights, space):
    """By the singular vectors of the centred rows."""
    xp = array_namespace(x=x)
    rows, total = space.rows(x), _total(xp, x, weights)
    share = xp.ones_like(rows[..., 0]) if weights is None else weights
    share = share / total[..., None]
    shift = xp.sum(rows * share[..., None], axis=-2)
    # The slope of the root at 0 is infinite: give the dead branch a safe operand.
    there = share > 0
    root = xp.sqrt(xp.where(there, share, xp.ones_like(share)))
    root = xp.where(there, root, xp.zeros_like(root))
    lengths, axes = svd((rows - shift[..., None, :]) * root[..., None])
    return shift, lengths**2, axes


def _total(xp, x, weights):
    """The total weight (...): the number of rows where no weights are given."""
    if weights is not None:
        return xp.sum(weights, axis=-1)
    dtype = accumulation_dtype(xp, x.dtype)
    return xp.full(x.shape[:-2], float(x.shape[-2]), dtype=dtype, device=device(x))


def with_signs(xp, axes):
    """Every axis in the direction in which its largest entry is positive."""
    place = xp.argmax(xp.abs(axes), axis=-1, keepdims=True)
    largest = xp.take_along_axis(axes, place, axis=-1)
    return xp.where(largest < 0, -axes, axes)


def deviations(mean, variances, total):
    """Standard deviations along axes, 1 where the variance is nothing but rounding.

    ``total`` (...) is the sum of all variances.
    """
    xp = array_namespace(variances=variances)
    eps, d = float(xp.finfo(variances.dtype).eps), mean.shape[-1]
    floor = _ROUNDINGS * d * eps * total + (_ROUNDINGS * eps) ** 2 * xp.max(mean**2, axis=-1)
    real = variances > floor[..., None]
    return xp.sqrt(xp.where(real, variances, xp.ones_like(variances)))
