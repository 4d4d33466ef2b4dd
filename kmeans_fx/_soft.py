"""What soft assignments share: distances as one product, the softmax, a checked parameter."""

from kmeans_fx._backend.checks import check_batch, check_features, check_finite, check_points
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, as_real, device
from kmeans_fx._backend.pairs import squared_block
from kmeans_fx._backend.transform import is_concrete, stop_gradient
from kmeans_fx.distances import METRICS, as_metric

__all__ = [
    "check_parameter",
    "log_sum_exp",
    "positive_part",
    "soft_distances",
    "soft_scores",
    "softmax",
    "softmax_and_log",
]


def soft_distances(x, centroids, metric):
    """Distances (..., n, k), without (..., n, k, d) differences for "sqeuclidean".

    Differentiable in both. Rounding is that of squares of centred rows, which a softmax
    bears; a reported distance never comes from here.

    Raises
    ------
    TypeError, ValueError
        As `pairwise_distances`; in an eager call also if a value is not finite.
    """
    measure = as_metric(metric)
    xp, x = check_points(x=x)
    centroids = check_features(xp, x, centroids=centroids)
    check_finite(x=x, centroids=centroids)
    dtype = accumulation_dtype(xp, x.dtype)
    x, centroids = (xp.astype(a, dtype, copy=False) for a in (x, centroids))
    if measure != METRICS["sqeuclidean"]:
        return measure.distance(x[..., :, None, :], centroids[..., None, :, :])
    origin = stop_gradient(xp.mean(centroids, axis=-2, keepdims=True))
    return squared_block(x - origin, centroids - origin)


def soft_scores(x, centroids, temperature, metric):
    """Logarithms (..., n, k) of responsibilities, up to a constant of each row.

    Raises
    ------
    TypeError, ValueError
        As `soft_assign`.
    """
    distances = soft_distances(x, centroids, metric)
    return -distances / check_parameter(distances, 0.0, temperature=temperature)[..., None, None]


def softmax(scores, axis=-1):
    """Exponentials along an axis, divided by their sum."""
    # Not exp(scores - log_sum_exp): a compiler that fuses rounds the two apart, and those of
    # large scores do not sum to 1.
    _, powers, total = _powers(scores, axis)
    return powers / total


def softmax_and_log(scores, axis=-1):
    """The `softmax` and the `log_sum_exp`, from the same exponentials."""
    xp = array_namespace(scores=scores)
    highest, powers, total = _powers(scores, axis)
    return powers / total, highest + xp.log(total)


def log_sum_exp(scores, axis=-1):
    """Logarithm of the sum of exponentials, keeping the axis; -inf where all are -inf."""
    xp = array_namespace(scores=scores)
    highest, _, total = _powers(scores, axis)
    return highest + xp.log(total)


def _powers(scores, axis):
    """The largest score, or 0 where none is finite; exponentials relative to it; their sum."""
    xp = array_namespace(scores=scores)
    # A constant that drops out: without a slope, or ties would split it.
    highest = stop_gradient(xp.max(scores, axis=axis, keepdims=True))
    highest = xp.where(xp.isfinite(highest), highest, xp.zeros_like(highest))
    powers = xp.exp(scores - highest)
    return highest, powers, xp.sum(powers, axis=axis, keepdims=True)


def positive_part(squares, floor):
    """``squares``, at least the positive ``floor``; whether they are above it."""
    xp = array_namespace(squares=squares)
    above = squares > floor
    return xp.where(above, squares, floor), above


def check_parameter(x, above, /, **parameter):
    """A number or array (...) above a bound, as an array in the accumulation dtype of ``x``.

    Raises
    ------
    TypeError, ValueError
        If it is neither a number nor an array of the library of ``x``, its leading
        dimensions do not fit, or, where it can be read, it is not above the bound.
    """
    ((name, value),) = parameter.items()
    xp = array_namespace(x=x)
    dtype = accumulation_dtype(xp, x.dtype)
    wanted = "be positive" if above == 0 else f"be greater than {above}"
    if isinstance(value, (int, float)):
        if not above < value < float("inf"):
            msg = f"{name} must {wanted} and finite, got {value}"
            raise ValueError(msg)
        return xp.asarray(float(value), dtype=dtype, device=device(x))
    array_namespace(**{"x": x, name: value})
    value = xp.astype(as_real(xp, value, name), dtype, copy=False)
    check_batch(name, tuple(value.shape), x.shape[:-2])
    check_finite(**{name: value})
    right = xp.all(value > above)
    if is_concrete(right) and not bool(right):
        msg = f"{name} must {wanted}, got a minimum of {float(xp.min(value))}"
        raise ValueError(msg)
    return value
