"""The mutual information that two labelings of given cluster sizes share by chance."""

from typing import Any, NamedTuple

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import array_namespace

__all__ = ["expected_mutual_information"]


class _Walk(NamedTuple):
    """Both ends (..., r, c) of a walk from the mode: probabilities, relative to the mode's."""

    step: Any
    up: Any
    down: Any
    mass: Any
    gain: Any


@program("r c", ".")
def expected_mutual_information(classes, clusters):
    """Mean mutual information over all labelings with these cluster sizes (..., r), (..., c).

    The count of a cell is hypergeometric. Neighbouring probabilities have a simple ratio,
    so that no factorial is needed: from the mode of every cell one walks both ways, until
    what is left is below rounding, about ten standard deviations, and divides by what was
    summed. Memory is a few arrays (..., r, c), whatever the number of rows.

    Relative error: about the number of steps (at most 2.5 sqrt(n)) times the rounding unit.

    References
    ----------
    .. [1] N. X. Vinh, J. Epps, J. Bailey, "Information theoretic measures for clusterings
       comparison", JMLR 11, 2010 (equation 24a).
    """
    xp = array_namespace(classes=classes)
    a, b = classes[..., :, None], clusters[..., None, :]
    n = xp.sum(a, axis=-2, keepdims=True)
    mean = a * b / xp.where(n > 0, n, xp.ones_like(n))
    mode = xp.floor((a + 1) * (b + 1) / (n + 2))
    rest = n - a - b
    mode = xp.minimum(xp.maximum(mode, xp.clip(-rest, 0.0, None)), xp.minimum(a, b))
    one = xp.ones_like(mode)
    tiny = float(xp.finfo(mode.dtype).eps) ** 1.6

    def running(walk):
        return xp.any(xp.maximum(walk.up, walk.down) > tiny, axis=(-2, -1))

    def body(walk):
        high, low = mode + walk.step, mode - walk.step
        # p(k + 1) / p(k), and p(k - 1) / p(k): 0 at the ends of the support.
        up = walk.up * ((a - high) * (b - high) / ((high + 1) * (rest + high + 1)))
        down = walk.down * (low * (rest + low) / ((a - low + 1) * (b - low + 1)))
        gain = up * _excess(xp, high + 1, mean) + down * _excess(xp, low - 1, mean)
        return _Walk(walk.step + 1, up, down, walk.mass + up + down, walk.gain + gain)

    start = _Walk(xp.zeros_like(mode), one, one, one, _excess(xp, mode, mean))
    walk = while_loop(running, body, start, max_steps=1 << 30)
    total = xp.sum(walk.gain / walk.mass, axis=(-2, -1))
    n = n[..., 0, 0]
    return (total / xp.where(n > 0, n, xp.ones_like(n)),)


def _excess(xp, count, mean):
    """``count log(count / mean)``, less ``count - mean``, whose expectation is 0.

    So no term is negative, and the sum of the terms cancels nothing.
    """
    some = (count > 0) & (mean > 0)
    ratio = xp.where(some, count, xp.ones_like(mean)) / xp.where(some, mean, xp.ones_like(mean))
    return xp.where(some, count * xp.log(ratio) - (count - mean), mean)
